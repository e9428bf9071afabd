"""Grok files -> compiled matchers; pure."""
