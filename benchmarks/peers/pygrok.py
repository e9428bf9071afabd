"""pygrok as it comes, with mailingest's patterns, one ``Grok`` a program."""

import re
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Final

import orjson

from benchmarks.measure import Usage, run
from benchmarks.peers.peer import PATTERNS, Peer, grok_definitions

_HEADER: Final = re.compile(r"(\w{3} [ \d]\d [\d:]{8}) (\S+) ([^ \[:]+)(?:\[(\d+)\])?: (.*)")
_GROUP: Final = re.compile(r"\(\?<[\w-]+>")


def parse(file: Path) -> None:
    """Write the fields of a traditional log's texts as JSON lines.

    Field names with a hyphen are renamed, since pygrok cannot have them.
    """
    from pygrok import Grok

    write = sys.stdout.buffer.write
    with tempfile.TemporaryDirectory() as directory:
        for source in PATTERNS.glob("*.grok"):
            text = _GROUP.sub(lambda group: group[0].replace("-", "_"), source.read_text())
            Path(directory, source.name).write_text(text)
        names = grok_definitions(*PATTERNS.glob("*.grok"))
        groks: dict[str, Grok | None] = {}
        with file.open(encoding="latin-1", newline="\n") as lines:
            for line in lines:
                header = _HEADER.match(line)
                if header is None:
                    continue
                program = header[3]
                if program not in groks:
                    name = f"POSTFIX_{program.rpartition('/')[2].upper()}"
                    groks[program] = (
                        Grok(f"^(?:%{{{name}}})$", custom_patterns_dir=directory)
                        if program.startswith("postfix") and name in names
                        else None
                    )
                grok = groks[program]
                fields = grok.match(header[5]) if grok else None
                if fields:
                    write(orjson.dumps({name: value for name, value in fields.items() if value}))
                    write(b"\n")


def _run(file: Path, out: Path) -> Usage:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.peers.pygrok", str(file)]
    return run(command, stdout=out)


PEER: Final = Peer(
    name="pygrok as it comes, mailingest's patterns, JSON",
    package="",
    leaves_out="types, correlation, other programs than Postfix",
    version=lambda: version("pygrok"),
    run=_run,
    is_taken_apart=lambda line: line.startswith(b"{"),
)


if __name__ == "__main__":
    parse(Path(sys.argv[1]))
