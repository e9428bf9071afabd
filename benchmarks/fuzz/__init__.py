"""Inputs that nobody thought of: coverage-guided fuzzing of what takes bytes from outside.

A target is a module with

``check(data)``
    raises if `data`, which may be any bytes, breaks a promise of the code under test; returns what
    it led to, as words that a fuzzer is to find more of.
``seeds()``
    inputs to begin with.

``corpus/TARGET/`` has the few inputs that together reach what all found so far reach, and those
that broke a promise once; ``tests/benchmarks/test_fuzz.py`` replays them.
"""
