"""What a process says about the places it cannot reach: where, and never with which password."""

import pytest

from shared_kernel.process import place_of


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://app:hidden@db.example:5432/twinlog?sslmode=require", "db.example:5432/twinlog"),
        ("postgresql://app:hidden@h1:5432,h2:5433/db?target_session_attrs=read-write", "h1:5432,h2:5433/db"),
        ("postgresql:///twinlog?password=hidden", "localhost/twinlog"),
        ("postgresql://app:hidden@[::1]:5432/db", "[::1]:5432/db"),
        ("postgresql://app:hidden@[::1:5432/db", "[::1:5432/db"),
        ("postgresql://app:hid/den@h/db", "h/db"),
        ("postgresql://app:hid?den@h/db", "h/db"),
        ("postgresql://h/db?password=hid@den", "h/db"),
        ("redis://:hidden@h:port/0", "h:port/0"),
        ("redis+cluster://:hidden@h:6379", "h:6379"),
        ("redis://h", "h"),
        ("unix:///run/redis.sock", "localhost/run/redis.sock"),
        ("nonsense", "localhost"),
    ],
)
def test_place_is_told_of_any_url_and_a_password_of_none(url: str, place: str) -> None:
    assert place_of(url) == place
