"""What every HTTP server of mailingest needs: which names it answers to, and idle connections."""
