"""A lending desk, planted to break a rule."""

import psycopg

CONNECT = psycopg.connect
