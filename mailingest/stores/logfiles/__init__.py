"""Log files as they are, without any store."""
