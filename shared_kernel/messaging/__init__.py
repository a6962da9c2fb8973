"""How events travel from the log to the read models."""
