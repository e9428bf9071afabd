"""Measurements: made-up mail logs, and how fast and how small mailingest is with them."""
