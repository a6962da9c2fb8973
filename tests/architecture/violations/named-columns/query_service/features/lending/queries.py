"""A lending desk, planted to break a rule."""

ALL = "SELECT * FROM loans"
THEIRS = """
    SELECT l.* FROM loans AS l
"""
NEW = f"INSERT INTO {'loans'} VALUES (%s, %s)"
GONE = "DELETE FROM loans WHERE id = %s RETURNING *"
COUNTED = "SELECT count(*) FROM loans"
