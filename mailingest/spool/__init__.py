"""What was accepted and is not stored yet."""
