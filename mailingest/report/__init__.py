"""Counts of a time -> the report that a postmaster reads in the morning; pure.

`report` says what it has, `tables` lays it out, `text`, `mail` and `values` write it.
"""
