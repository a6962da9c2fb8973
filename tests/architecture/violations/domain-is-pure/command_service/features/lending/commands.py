"""A lending desk, planted to break a rule."""

from fastapi import Request

REQUEST = Request
