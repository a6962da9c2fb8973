"""A lending desk, planted to break a rule."""

import socket

CONNECTION = socket.create_connection(("127.0.0.1", 9))
