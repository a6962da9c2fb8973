"""Tenants, and the roles that users hold in them."""
