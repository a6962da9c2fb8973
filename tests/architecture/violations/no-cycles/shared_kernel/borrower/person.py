"""A lending desk, planted to break a rule."""

from shared_kernel.lender import desk

DESK = desk
