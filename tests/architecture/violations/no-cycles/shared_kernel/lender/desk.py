"""A lending desk, planted to break a rule."""

from shared_kernel.borrower import person

PERSON = person
