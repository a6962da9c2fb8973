"""A lending desk, planted to break a rule."""

from psycopg.rows import dict_row

ROWS = dict_row
