"""A topic of Kafka, for workers on other machines to read."""
