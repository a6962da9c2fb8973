"""User accounts: who somebody is and how they prove it."""
