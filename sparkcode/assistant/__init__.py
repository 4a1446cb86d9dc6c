"""The coding assistant without a screen."""
