"""The trace page: questions by browser, read-only."""
