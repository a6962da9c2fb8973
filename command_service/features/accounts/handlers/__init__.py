"""What can be asked of an account: to be opened, to be changed by its user, to be suspended, and whose it is."""
