"""What runs once, before the services, when the pair is started in containers."""
