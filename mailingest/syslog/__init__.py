"""Bytes of syslog -> records; pure."""
