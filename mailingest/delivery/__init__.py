"""Documents -> batches that a store has taken."""
