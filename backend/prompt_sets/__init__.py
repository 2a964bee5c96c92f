"""Files of prompts and conversations: uploaded, registered by path, or shipped."""
