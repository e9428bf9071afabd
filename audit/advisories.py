"""A dump of OSV advisories and locked versions -> the advisories that concern them.

The dump is the one of https://osv.dev for PyPI: a zip file of one JSON object an advisory, in the
schema of https://ossf.github.io/osv-schema.  It holds those of PyPA and of GitHub.
"""

import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

_LOCKED: Final = re.compile(
    r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE
)


class AuditError(Exception):
    """Nothing can be said: a file is missing or damaged, or the list is too old."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An advisory that concerns a locked version; ``fixed`` are the versions that mend it."""

    name: str
    version: str
    advisory: str
    aliases: tuple[str, ...]
    summary: str
    fixed: tuple[str, ...]


def locked_versions(path: Path) -> dict[str, str]:
    """Names, in one form, and versions of a locked requirements file; raises AuditError."""
    try:
        found = _LOCKED.findall(path.read_text("utf-8"))
    except OSError as error:
        raise AuditError(f"{path}: {error.strerror}") from error
    if not found:
        raise AuditError(f"{path}: has no locked requirement, name==version")
    return {canonicalize_name(name): version for name, version in found}


def read_dump(path: Path) -> Iterator[dict[str, Any]]:
    """All advisories of a dump; raises AuditError."""
    try:
        with zipfile.ZipFile(path) as dump:
            for name in dump.namelist():
                if name.endswith(".json"):
                    yield json.loads(dump.read(name))
    except OSError as error:
        raise AuditError(f"{path}: {error.strerror}") from error
    except (zipfile.BadZipFile, ValueError) as error:
        raise AuditError(
            f"{path}: is no dump of osv.dev, a zip file of JSON: fetch it anew ({error})"
        ) from error


def last_change(advisories: Iterable[Mapping[str, Any]]) -> datetime:
    """When the newest advisory was written: the date of the list; raises AuditError."""
    changes = [datetime.fromisoformat(one["modified"]) for one in advisories if "modified" in one]
    if not changes:
        raise AuditError("the list has no advisory: fetch it anew")
    return max(changes)


def findings(locked: Mapping[str, str], advisories: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """What concerns the locked versions, by name; raises AuditError for a version that is none."""
    found = []
    for advisory in advisories:
        if "withdrawn" in advisory:
            continue
        for affected in advisory.get("affected", ()):
            package = affected.get("package", {})
            name = canonicalize_name(package.get("name", ""))
            is_locked = package.get("ecosystem") == "PyPI" and name in locked
            if is_locked and _is_affected(locked[name], affected):
                found.append(_finding(name, locked[name], advisory, affected))
                break
    return sorted(found, key=lambda one: (one.name, one.advisory))


def _finding(
    name: str, version: str, advisory: Mapping[str, Any], affected: Mapping[str, Any]
) -> Finding:
    events = (event for one in affected.get("ranges", ()) for event in one.get("events", ()))
    return Finding(
        name,
        version,
        advisory["id"],
        tuple(advisory.get("aliases", ())),
        advisory.get("summary") or advisory.get("details", "").partition("\n")[0],
        tuple(event["fixed"] for event in events if "fixed" in event),
    )


def _is_affected(version: str, affected: Mapping[str, Any]) -> bool:
    """Whether a version is listed, or lies in a range (OSV schema, "Evaluation")."""
    locked = _version(version)
    if any(_version(one) == locked for one in affected.get("versions", ())):
        return True
    ranges = (one for one in affected.get("ranges", ()) if one.get("type") == "ECOSYSTEM")
    return any(_is_within(locked, one.get("events", ())) for one in ranges)


def _is_within(version: Version, events: Iterable[Mapping[str, str]]) -> bool:
    """Whether the last event up to a version says that it has the fault from there on."""
    is_within = False
    for event in sorted(events, key=_place):
        [(kind, at)] = event.items()
        if kind == "introduced":
            is_within |= at == "0" or version >= _version(at)
        elif kind == "fixed":
            is_within &= version < _version(at)
        elif kind == "last_affected":
            is_within &= version <= _version(at)
    return is_within


def _place(event: Mapping[str, str]) -> Version:
    [at] = event.values()
    return _version(at)


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        # Of long ago; nothing that is locked is like it.
        return Version("0")
