"""A lending desk, planted to break a rule."""

LOANS = """
    CREATE TABLE loans (
        id uuid PRIMARY KEY,
        reader uuid NOT NULL CONSTRAINT loans_reader_fkey REFERENCES readers (id),
        copy uuid NOT NULL,
        days numeric(5, 2) NOT NULL CHECK (days > 0 AND days < 100),
        CONSTRAINT loans_copy_key UNIQUE (copy),
        CONSTRAINT loans_days_check CHECK (days > 0),
        CONSTRAINT loans_copy_fkey FOREIGN KEY (copy) REFERENCES copies (id)
    )
"""
