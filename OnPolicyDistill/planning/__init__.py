"""What a run will need and whether a pair fits, without loading anything."""
