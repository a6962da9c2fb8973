"""How often something may happen: quotas, what is left of them, and who counts."""
