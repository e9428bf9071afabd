"""Where events are kept and asked for; a folder each."""
