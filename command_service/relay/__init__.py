"""Tails the log in position order and publishes it on Redis Streams."""
