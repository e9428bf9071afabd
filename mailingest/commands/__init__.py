"""The commands that do one thing and end."""
