"""Joni, the engine of Logstash's grok filter, with mailingest's patterns: Grok.java."""

import re
from pathlib import Path
from typing import Final

from benchmarks.measure import Usage, run
from benchmarks.peers.peer import PATTERNS, Peer, cache, first_line, grok_definitions, installed

_REFERENCE: Final = re.compile(r"%\{(\w+)(?::([^:{}]+))?(?::\w+)?\}")
_NAME: Final = re.compile(r"\(\?<([\w-]+)>")
_HEADER: Final = (
    r"\A(?<timestamp>\w{3} [ \d]\d [\d:]{8}) (?<host>\S+) (?<program>[^ \[:]+)"
    r"(?:\[(?<pid>\d+)\])?: (?<text>.*)\z"
)


def expanded(name: str, definitions: dict[str, str]) -> str:
    """A pattern with all that it refers to; hyphens are no part of a name in Oniguruma."""

    def reference(match: re.Match[str]) -> str:
        inner = expanded(match[1], definitions)
        return f"(?<{match[2]}>{inner})" if match[2] else f"(?:{inner})"

    source = _REFERENCE.sub(reference, definitions[name])
    return _NAME.sub(lambda group: group[0].replace("-", "_"), source)


def write_patterns(file: Path) -> None:
    """The header and a pattern a program, each anchored, for Grok.java."""
    definitions = grok_definitions(*sorted(PATTERNS.glob("*.grok")))
    rows = {"HEADER": _HEADER}
    for name in definitions:
        program = re.fullmatch(r"POSTFIX_([A-Z]+)", name)
        if program:
            rows[program[1].lower()] = rf"\A(?:{expanded(name, definitions)})\z"
    text = "".join(f"{program}\t{source}\n" for program, source in rows.items())
    file.write_text(text, "latin-1")


def _version() -> str:
    java = installed("java")
    jars = (cache() / "joni").glob("joni-*.jar")
    [engine] = [jar.stem.removeprefix("joni-") for jar in jars] or ["?"]
    runtime = re.search(r'"(.+?)"', first_line([java, "-version"]))
    return f"Joni {engine}, OpenJDK {runtime[1] if runtime else '?'}"


def _run(file: Path, out: Path) -> Usage:
    patterns = out.with_suffix(".patterns")
    write_patterns(patterns)
    classes = cache() / "joni"
    java = [installed("java"), "-Xmx256m", "-XX:+UseSerialGC", "-cp", f"{classes}:{classes}/*"]
    return run([*java, "Grok", str(patterns), str(file)], stdout=out)


PEER: Final = Peer(
    name="Java grok on Joni (Logstash's engine), JSON",
    package="joni",
    leaves_out="all of Logstash but the matching: its events, queues, types, correlation",
    version=_version,
    run=_run,
    is_taken_apart=lambda line: b',"postfix_' in line,
)
