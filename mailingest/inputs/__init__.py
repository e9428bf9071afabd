"""The rim that bytes come in through: sockets and log files."""
