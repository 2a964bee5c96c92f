"""LoRA: attach, save, fuse, export."""
