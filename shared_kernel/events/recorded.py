"""The list of all schemas that were ever committed, each with its hash: what a tree alone cannot tell of its own past.

A line is `<link> <SHA-256 of the schema's file> <topic>`, the newest of a topic counts. Lines are only added: each link
is made from the one before, so that whoever changes or takes away one in the middle breaks all that follow.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

NAME = "recorded.txt"

_LINK = 16


class ListChanged(Exception):
    """A line does not follow from the one before it; the argument is its topic."""


def read(folder: Path) -> dict[str, str]:
    """Topic to newest hash. Raises ListChanged."""
    found, link = {}, ""
    for line in _lines(folder):
        said, digest, topic = [*line.split(), "", ""][:3]
        link = _next(link, digest, topic)
        if said != link:
            raise ListChanged(topic)
        found[topic] = digest
    return found


def add(folder: Path, digests: Mapping[str, str]) -> None:
    """Say what the schemas of topics are now; what was said already is not said again."""
    known = read(folder)
    lines = list(_lines(folder))
    link = lines[-1].split()[0] if lines else ""
    for topic, digest in digests.items():
        if known.get(topic) != digest:
            link = _next(link, digest, topic)
            lines.append(f"{link} {digest} {topic}")
    (folder / NAME).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def digest_of(schema: bytes) -> str:
    return sha256(schema).hexdigest()


def _lines(folder: Path) -> Iterator[str]:
    file = folder / NAME
    return iter(file.read_text(encoding="utf-8").splitlines() if file.exists() else ())


def _next(link: str, digest: str, topic: str) -> str:
    return sha256(f"{link} {digest} {topic}".encode()).hexdigest()[:_LINK]
