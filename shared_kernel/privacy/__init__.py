"""Personal data: encrypted under a key per person, unreadable once that key is destroyed."""
