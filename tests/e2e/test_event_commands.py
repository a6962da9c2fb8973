"""The log of a running pair, as an operator asks for it: found by the data folder, read to the last event."""

import json

from tests.support.load import PASSWORD
from tests.support.stack import Stack


def test_every_event_of_the_running_pair_reads(stack: Stack) -> None:
    made = stack.twinlog("users", "create-admin", "--email", "topics@example.com", "--password-stdin", given=PASSWORD)
    assert made.returncode == 0, made.stderr
    asked = stack.twinlog("events", "topics", "--all", "--json")
    found = json.loads(asked.stdout)
    assert (asked.returncode, found["ok"]) == (0, True), found
    assert {"accounts.UserRegistered.v1", "access.RoleGranted.v1"} <= {each["topic"] for each in found["topics"]}
    assert all(each["checked"] == each["count"] for each in found["topics"])
    newest = json.loads(stack.twinlog("events", "list", "--newest", "--limit", "1", "--json").stdout)
    assert newest["events"][0]["position"] == max(each["last"] for each in found["topics"])
