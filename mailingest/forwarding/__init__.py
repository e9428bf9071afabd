"""What an edge passes on to the workers that parse."""
