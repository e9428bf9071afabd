"""Postfix mail logs in, traced mail events out."""

__version__ = "0.1.0"
