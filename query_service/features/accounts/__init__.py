"""Accounts: who is registered, and the caller's own account."""
