"""The one door through which files that nobody vouches for are read: in processes of their own."""
