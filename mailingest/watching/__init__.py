"""What the daemon notices about the mail servers whose lines it takes; pure."""
