"""Running the whole system on one machine without containers: engines from wheels, one supervisor."""
