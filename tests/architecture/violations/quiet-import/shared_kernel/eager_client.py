"""A lending desk, planted to break a rule."""

import httpx2

CLIENT = httpx2.AsyncClient()
