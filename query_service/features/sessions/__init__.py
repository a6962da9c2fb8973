"""Sessions: the sign-ins of the caller."""
