"""What users said: executions and reactions as they arrive, counted exactly, read as issues and themes."""
