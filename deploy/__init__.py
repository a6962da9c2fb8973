"""How the pair is run: the `twinlog` command, embedded engines, containers."""
