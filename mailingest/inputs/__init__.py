"""The edge where bytes come in: sockets and log files."""
