"""Logstash pipelines: read, understood, and said in mailingest's own settings."""
