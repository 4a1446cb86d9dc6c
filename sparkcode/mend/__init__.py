"""What can be put right in an edited file without asking the model again. Pure."""
