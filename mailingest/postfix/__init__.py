"""What Postfix and the programs beside it log, and what it means; pure."""
