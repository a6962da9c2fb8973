"""What is kept of where a sign-in came from: enough to know one's own device, too little to follow a person."""

import pytest

from command_service.infrastructure.origin import device_of, network_of

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"
EDGE = f"{CHROME} Edg/126.0"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile Safari/604.1"


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (FIREFOX, "Firefox on Linux"),
        (CHROME, "Chrome on Windows"),
        (EDGE, "Edge on Windows"),
        (PHONE, "Safari on iOS"),
        ("Chrome/1", "Chrome"),
        ("curl/8.5.0", "curl"),
        ("python-httpx2/2.16.0", "python-httpx2"),
        ("", None),
        (None, None),
        ("<script>alert(1)</script>", None),
        ("x" * 500, "x" * 40),
    ],
)
def test_device_is_a_kind_of_program_without_its_version(user_agent: str | None, device: str | None) -> None:
    assert device_of(user_agent) == device


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1234:5678::1", "2001:db8:1234::/48"),
        ("testclient", None),
        ("", None),
        (None, None),
    ],
)
def test_network_is_too_wide_for_one_person(address: str | None, network: str | None) -> None:
    assert network_of(address) == network
