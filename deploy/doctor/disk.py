"""Whether there is room left where the stack keeps its data."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from deploy.doctor.finding import Check, fine, found, skipped
from deploy.local.data_folder import DataFolder
from deploy.local.lodging import recorded_home

LEAST_BYTES = 1 << 30
LEAST_SHARE = 0.05


def disk(folder: DataFolder | None, least_bytes: int = LEAST_BYTES) -> Check:
    if folder is None:
        return skipped("disk", "The disks of these databases cannot be seen from here.")
    places = {recorded_home(part) for part in (folder.postgres, folder.valkey)} | {folder.path}
    return _scarcest((place for place in sorted(places) if place.exists()), least_bytes)


def _scarcest(places: Iterable[Path], least_bytes: int) -> Check:
    usage = {place: shutil.disk_usage(place) for place in places}
    place = min(usage, key=lambda each: usage[each].free)
    free, share = usage[place].free, usage[place].free / usage[place].total
    says = f"{free / (1 << 30):.1f} GiB ({share:.0%}) free at {place}."
    if free < least_bytes or share < LEAST_SHARE:
        return found("disk", says, "make room: a full disk stops every command.", free_bytes=free)
    return fine("disk", says, free_bytes=free)
