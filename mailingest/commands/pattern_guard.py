"""Before the daemon starts: are the site's own patterns open to ReDoS?

The shipped patterns are probed by the tests; a start looks at others only, and at those that refer
to them, and once: what was found to be all right is remembered by its hash.
"""

import sys
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import orjson

from mailingest.commands.redos_probe import Probe, find_slow
from mailingest.config import Settings, data_directory
from mailingest.errors import UsageError
from mailingest.grok.definitions import Definition
from mailingest.grok.library import Library
from mailingest.logs.logger import log
from mailingest.spool.files import make_directory, replace_file
from mailingest.wiring import build_parser, read_definitions

_CACHE: Final = "patterns-probed"


def refuse_slow_patterns(settings: Settings) -> None:
    """Raises UsageError if one that lines are matched against is slow with ReDoS payloads."""
    if not is_guarded(settings):
        return
    definitions = list(read_definitions(settings))
    digest = _digest(settings, definitions)
    path = settings.state.directory / _CACHE
    make_directory(settings.state.directory, "state.directory")
    try:
        if path.exists() and path.read_bytes().strip() == digest:
            return
    except OSError as error:
        log.warning("what was probed before cannot be read", path=str(path), reason=error.strerror)
    _probe(settings, definitions)
    try:
        replace_file(path, [digest])
    except OSError as error:
        log.warning("what was probed cannot be noted", path=str(path), reason=error.strerror)


def is_guarded(settings: Settings) -> bool:
    """Whether a start refuses slow patterns: those of the site, unless it wants them."""
    return bool(settings.grok.patterns_dirs) and not settings.grok.allow_slow_patterns


class OwnProbes(NamedTuple):
    """What to try of the patterns that the site has changed, and of those that refer to them.

    ``used`` are those that lines are matched against, and those in them.
    """

    used: Sequence[Probe]
    others: Sequence[Probe]


def own_probes(settings: Settings, definitions: Sequence[Definition]) -> OwnProbes:
    """Those of all definitions, which are compiled, used or not; raises UsageError."""
    shipped = str(data_directory("patterns"))
    own = {one.name for one in definitions if not one.file.startswith(f"{shipped}/")}
    library = Library(definitions, {})
    used = build_parser(settings).patterns
    used = used.union(*map(library.references, used))
    probes = [
        Probe(definition.name, library.references(definition.name), pattern)
        for definition, pattern in library.alternatives()
        if not own.isdisjoint({definition.name, *library.references(definition.name)})
    ]
    return OwnProbes(
        [one for one in probes if one.name in used],
        [one for one in probes if one.name not in used],
    )


def _probe(settings: Settings, definitions: Sequence[Definition]) -> None:
    probes = own_probes(settings, definitions).used
    if not probes:
        return
    log.info("the site's own patterns are probed, once", patterns=len(probes))
    slow, undecided = find_slow(probes)
    if slow:
        places = {one.name: one.place for one in definitions}
        raise UsageError(
            "\n".join(
                [
                    *(f"{places[one.name]} {one}" for one in slow),
                    "anybody who sends such a line can hold up all mail: make its repetitions "
                    "exclude one another (docs/patterns.md), or set grok.allow_slow_patterns",
                ]
            )
        )
    if undecided:
        log.warning("no time was left to look whether patterns are slow", patterns=undecided)


def _digest(settings: Settings, definitions: Sequence[Definition]) -> bytes:
    content = [
        sys.version,
        [[one.name, one.pattern, one.file] for one in definitions],
        dict(settings.grok.programs),
    ]
    return blake2b(orjson.dumps(content), digest_size=16).hexdigest().encode("ascii")
