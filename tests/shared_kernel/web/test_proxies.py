"""Forwarding headers count from trusted proxies alone, and only what those themselves have written."""

from typing import Any

import pytest

from shared_kernel.web.proxies import TrustedProxies

PROXY, INNER, CALLER, LIAR = "10.0.0.1", "10.0.0.2", "203.0.113.7", "198.51.100.66"


def corrected(proxies: TrustedProxies, peer: str | None, *headers: tuple[str, str]) -> tuple[Any, str]:
    scope: dict[str, Any] = {
        "client": None if peer is None else (peer, 4711),
        "scheme": "http",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }
    proxies.correct(scope)
    return scope["client"] and scope["client"][0], scope["scheme"]


def by_list(*headers: tuple[str, str], peer: str | None = PROXY) -> tuple[Any, str]:
    return corrected(TrustedProxies.parse(["10.0.0.0/8", "fd00::/8"]), peer, *headers)


def by_rfc(*headers: tuple[str, str], peer: str | None = PROXY) -> tuple[Any, str]:
    return corrected(TrustedProxies.parse(["10.0.0.0/8"], "forwarded"), peer, *headers)


@pytest.mark.asvs("V4.1.3", "V15.3.4")
def test_nobody_else_is_believed() -> None:
    told = (("X-Forwarded-For", CALLER), ("X-Forwarded-Proto", "https"), ("Forwarded", f"for={CALLER};proto=https"))
    assert by_list(*told, peer=LIAR) == (LIAR, "http")
    assert corrected(TrustedProxies(), PROXY, *told) == (PROXY, "http")
    assert by_list(*told, peer=None) == (None, "http")
    assert by_list(*told, peer="unix:/socket") == ("unix:/socket", "http")


def test_a_trusted_proxy_says_who_called_and_how() -> None:
    assert by_list(("X-Forwarded-For", CALLER), ("X-Forwarded-Proto", "https")) == (CALLER, "https")
    assert by_list(("X-Forwarded-Proto", "https")) == (PROXY, "https")
    assert by_list(("X-Forwarded-For", f"{CALLER}, {INNER}")) == (CALLER, "http")
    assert by_list(("X-Forwarded-For", CALLER), ("X-Forwarded-For", INNER)) == (CALLER, "http")
    assert by_list(("X-Forwarded-For", f"[2001:db8::1]:443, {INNER}:80")) == ("2001:db8::1", "http")
    assert by_list(("X-Forwarded-For", CALLER), peer="fd00::1") == (CALLER, "http")
    assert by_list(("X-Forwarded-For", f"::ffff:{CALLER}"), peer="::ffff:10.0.0.1") == (CALLER, "http")


@pytest.mark.asvs("V4.1.3", "V15.3.4")
def test_what_the_caller_wrote_before_the_proxies_counts_for_nothing() -> None:
    for forged in (LIAR, INNER, f"{LIAR}, {LIAR}", "nonsense", "127.0.0.1", ", ,", "unknown"):
        assert by_list(("X-Forwarded-For", f"{forged}, {CALLER}")) == (CALLER, "http"), forged
    assert by_list(("X-Forwarded-Proto", "https, http"), ("X-Forwarded-For", CALLER)) == (CALLER, "http")


def test_what_is_no_address_stops_the_search_at_the_last_known_hop() -> None:
    for odd in ("nonsense", "256.1.1.1", "_hidden", "unknown", "10.0.0.2.3", "\xff", "1" * 5_000):
        assert by_list(("X-Forwarded-For", f"{CALLER}, {odd}")) == (PROXY, "http"), odd
        assert by_list(("X-Forwarded-For", f"{CALLER}, {odd}, {INNER}")) == (INNER, "http"), odd


def test_only_the_header_that_the_proxies_write_is_read() -> None:
    assert by_list(("Forwarded", f"for={LIAR};proto=https")) == (PROXY, "http")
    assert by_rfc(("X-Forwarded-For", LIAR), ("X-Forwarded-Proto", "https")) == (PROXY, "http")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (f"for={CALLER};proto=https", (CALLER, "https")),
        (f'For="{CALLER}:47011" ; Proto=HTTPS', (CALLER, "https")),
        (f'for="[2001:db8::1]:443", for={INNER}', ("2001:db8::1", "http")),
        (f"for={LIAR}, for={CALLER};by={PROXY}", (CALLER, "http")),
        (f'for="a,b;c", for={CALLER}', (CALLER, "http")),
        (f"for={CALLER};proto=gopher", (CALLER, "http")),
        (f"for={CALLER}, for=_hidden", (PROXY, "http")),
        (f"for={CALLER}, proto=https", (PROXY, "http")),
        (f"for={CALLER}, nonsense", (PROXY, "http")),
        (f'for="{CALLER}', (PROXY, "http")),
        ("", (PROXY, "http")),
    ],
)
def test_forwarded_is_read_as_rfc_7239_writes_it(value: str, found: tuple[str, str]) -> None:
    assert by_rfc(("Forwarded", value)) == found


def test_a_long_chain_costs_little_and_says_no_more() -> None:
    assert by_list(("X-Forwarded-For", ", ".join([LIAR] * 1_000 + [CALLER]))) == (CALLER, "http")
    assert by_rfc(("Forwarded", ",".join([f"for={INNER}"] * 5_000))) == (INNER, "http")


@pytest.mark.asvs("V4.1.3", "V15.3.4")
@pytest.mark.parametrize(
    "forged",
    [
        f"for={LIAR}," * 5_000,
        f"for={LIAR};proto=https," * 5_000,
        'for="' + "x" * 5_000,
        "x" * 5_000 + f",for={LIAR},",
        ('"' * 4_095 + ",") * 2,
    ],
)
@pytest.mark.parametrize("lines", [1, 2])
def test_what_the_proxies_have_added_is_read_however_much_the_caller_wrote_before_it(forged: str, lines: int) -> None:
    told = f"for={CALLER};proto=http, for={INNER}"
    headers = [f"{forged},{told}"] if lines == 1 else [forged, told]
    assert by_rfc(*(("Forwarded", each) for each in headers)) == (CALLER, "http")


def test_half_an_element_is_nobodys_word() -> None:
    """Wherever a header that is too long is cut: this one says nothing of `for` until then."""
    for length in range(4_000, 4_096):
        forged = f"{'x' * 100}for={LIAR};by=_{'y' * length},for={INNER}"
        assert by_rfc(("Forwarded", forged)) == (INNER, "http"), length


@pytest.mark.parametrize("networks", [["10.0.0.1/8"], ["everybody"], [""], ["*"]])
def test_what_is_no_network_is_refused(networks: list[str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        TrustedProxies.parse(networks)
