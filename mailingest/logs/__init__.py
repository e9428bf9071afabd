"""mailingest's own log: `logger` writes an entry, `configuration` says how, `limit` how often."""
