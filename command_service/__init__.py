"""The command service: says yes or no, and appends what happened to the log."""
