"""The chapters of the story, in the order in which they are played."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from rich.progress import Progress

from deploy.demo.cast import Cast
from deploy.demo.inventory import Asset
from deploy.demo.operator import Operator
from deploy.demo.register import Entry, Register
from deploy.demo.story import Advance, Story


async def keep_the_inventory(story: Story, cast: Cast, assets: list[Asset]) -> Register:
    """One resource per installed distribution, over REST."""
    story.chapter(f"The software installed here: {len(assets)} distributions become resources")
    register = Register()
    with _progress(story, "recording", len(assets)) as advance:
        await register.record(assets, cast.people, advance)
    story.expect(f"all {len(assets)} were accepted", len(register.entries) == len(assets), register.failures[:3])
    return register


async def live_with_it(story: Story, register: Register) -> None:
    """Change, archive and restore some of them."""
    story.chapter("Some change, some are archived, some come back")
    entries = sorted(register.entries.values(), key=lambda entry: str(entry.expected["name"]))
    reviewed = [entry for entry in entries if entry.expected["attributes"]["licence"] == "unknown"] or entries[:3]
    for entry in reviewed:
        change = {"description": "Licence to be clarified.", "classification": "confidential"}
        await register.apply(entry, "PATCH", "", change, change)
    archived = entries[::4]
    for entry in archived:
        await register.apply(entry, "POST", "/archive", None, {"state": "archived"})
    restored = archived[::2]
    for entry in restored:
        await register.apply(entry, "POST", "/restore", None, {"state": "active"})
    held = not register.failures
    story.expect(
        f"{len(reviewed)} changed, {len(archived)} archived, {len(restored)} restored", held, register.failures[:3]
    )


async def read_it_back(story: Story, cast: Cast, register: Register) -> None:
    """Every write is read back with its Consistency-Token, then all pages of the list are walked."""
    story.chapter("Everybody reads their own writes")
    with _progress(story, "reading", len(register.entries)) as advance:
        wrong = await register.differences(advance)
    story.expect("every resource reads as it was written, at once", not wrong, wrong[:5])
    listed = await _walk(cast, register.newest[1])
    story.expect(
        f"the list, page by page, holds the same {len(register.entries)} resources",
        sorted(listed) == sorted(register.entries),
        f"{len(listed)} listed, {len(set(listed))} different",
    )


async def _walk(cast: Cast, token: str) -> list[str]:
    answer = await cast.admin.question("/v1/resources", {"limit": 40}, token=token)
    ids = [item["id"] for item in answer.json()["items"]]
    while following := answer.links.get("next"):
        answer = await cast.admin.question(str(answer.url.join(str(following["url"]))))
        ids += [item["id"] for item in answer.json()["items"]]
    return ids


async def look_at_history(story: Story, cast: Cast, register: Register) -> None:
    """One resource's events: who did what, and when."""
    story.chapter("The history of one resource")
    entry = max(register.entries.values(), key=lambda entry: int(entry.expected["version"]))
    answer = await cast.admin.question(f"/v1/resources/{entry.id}/history", token=entry.token)
    items: list[dict[str, Any]] = answer.json().get("items", [])
    for item in items:
        story.tell(f"[dim]#{item['position']}[/dim] {item['time']} {item['type']} by {item['actor']}")
    versions = sorted(int(item["version"]) for item in items)
    whole = versions == list(range(1, int(entry.expected["version"]) + 1))
    story.expect(f"the history of {entry.expected['name']} is whole, version 1 to {len(versions)}", whole, answer.text)


async def meet_refusals(story: Story, cast: Cast, register: Register) -> None:
    """What is not allowed is refused, with an answer that says what to do."""
    story.chapter("What is refused, and how")
    entry = next(e for e in register.entries.values() if e.keeper is cast.author and e.expected["state"] == "active")
    path = f"/v1/resources/{entry.id}"
    stale = await cast.author.command("PATCH", path, {"description": "From an old page."}, {"If-Match": '"0"'})
    story.show_refusal("A stale version", stale, 412, "stale-version")
    bad = await cast.author.command("POST", "/v1/resources", {"name": "", "colour": "blue"})
    story.show_refusal("A bad body", bad, 422, "validation-failed")
    foreign = await cast.colleague.command("PATCH", path, {"description": "Not mine."})
    story.show_refusal("Changing a colleague's resource", foreign, 403, "forbidden")
    if cast.neighbour is not None:
        hidden = await cast.neighbour.command("PATCH", path, {"description": "Not even my tenant."})
        story.show_refusal("Another tenant's resource", hidden, 404, "not-found")
    await _repeat_a_key(story, cast, register)


async def _repeat_a_key(story: Story, cast: Cast, register: Register) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    body = {"name": "A spare keyboard", "description": "Sent twice by a nervous client."}
    first = await cast.author.command("POST", "/v1/resources", body, headers)
    again = await cast.author.command("POST", "/v1/resources", body, headers)
    same = first.status_code == again.status_code == 201 and first.json() == again.json()
    replayed = again.headers.get("Idempotency-Replayed") == "true"
    story.expect("the same request with the same key is carried out once", same and replayed, again.text)
    other = await cast.author.command("POST", "/v1/resources", body | {"name": "Something else"}, headers)
    story.show_refusal("The same key for something else", other, 422, "idempotency-key-reused")
    if same:
        made = first.json()
        expected = {"classification": "internal", "state": "active", "attributes": {}, "tags": []}
        expected |= body | {"version": made["version"], "owner": cast.author.user_id}
        register.keep(Entry(made["id"], cast.author, expected, first.headers["Consistency-Token"]), made["position"])


async def replay_the_log(story: Story, cast: Cast, register: Register, operator: Operator) -> None:
    """The audit copy has no gap, and read models rebuilt from the log equal the live ones row by row."""
    story.chapter("The log is the truth: rebuild everything from it and compare")
    sequence = await _tenant_events(cast, register.newest[1])
    rising = all(earlier < later for earlier, later in itertools.pairwise(sequence))
    whole = rising and bool(sequence)
    story.expect(f"the audit lists {len(sequence)} events of the tenant in order, none twice", whole, sequence[:20])
    rebuilt = await operator.rebuild()
    compared = await operator.diff()
    rows = 0
    for name, outcome in sorted(compared["projections"].items()):
        rows += int(outcome["rows"])
        same = outcome["missing"] == outcome["unexpected"] == outcome["different"] == 0
        story.expect(f"{name}: {outcome['rows']} rows rebuilt from the log equal the live ones", same, outcome)
    story.figures["rows compared"] = rows
    story.figures["events replayed"] = rebuilt["events"]


async def _tenant_events(cast: Cast, token: str) -> list[int]:
    answer = await cast.admin.question("/v1/events", {"limit": 200}, token=token)
    positions = [int(item["position"]) for item in answer.json()["items"]]
    while following := answer.links.get("next"):
        answer = await cast.admin.question(str(answer.url.join(str(following["url"]))))
        positions += [int(item["position"]) for item in answer.json()["items"]]
    return positions


@contextmanager
def _progress(story: Story, words: str, total: int) -> Iterator[Advance]:
    with Progress(console=story.console, transient=True) as progress:
        task = progress.add_task(f"  {words}", total=total)
        yield lambda: progress.advance(task)
