"""VictoriaLogs."""
