"""Other programs on the same log, each as it is meant to be used.

They do less than mailingest, so a ratio says how far apart the tools are, not which one is better:
pygrok and rsyslog know no queue-ID map, and rsyslog's rules below leave out the rarer lines;
pflogsumm prints a report and no documents.  pygrok is given the header of the traditional file
format only.  What is not installed is said to be so.
"""

import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import orjson

from benchmarks.measure import MeasurementError, Usage, finish, free_port, run, socket_line

_HEADER: Final = re.compile(r"(\w{3} [ \d]\d [\d:]{8}) (\S+) ([^ \[:]+)(?:\[(\d+)\])?: (.*)")
_GROUP: Final = re.compile(r"\(\?<[\w-]+>")
_PATTERNS: Final = Path(__file__).resolve().parent.parent / "patterns"
_WAIT_SECONDS: Final = 300.0

# What rsyslog hands to the rules begins with the blank behind the tag.
_DELIVERY: Final = "relay=%relay:char-to:,%, delay=%delay:word% delays=%delays:word% dsn=%dsn:word%"
_RULES: Final = f"""version=2
rule=: connect from %client:rest%
rule=: disconnect from %client:word% %counters:rest%
rule=: %queueid:word% client=%client:rest%
rule=: %queueid:word% message-id=%messageid:rest%
rule=: %queueid:word% removed
rule=: %queueid:word% uid=%uid:number% from=<%from:char-to:>%>
rule=: %queueid:word% from=<%from:char-sep:>%>, size=%size:number%, nrcpt=%nrcpt:number% (queue active)
rule=: %queueid:word% from=<%from:char-sep:>%>, status=%status:rest%
rule=: %queueid:word% to=<%to:char-to:>%>, {_DELIVERY} status=%status:word% (%reply:rest%
rule=: %queueid:word% to=<%to:char-to:>%>, orig_to=<%origto:char-to:>%>, {_DELIVERY} status=%status:word% (%reply:rest%
rule=: %queueid:word% sender non-delivery notification: %child:rest%
rule=: NOQUEUE: reject: RCPT from %client:char-to::%: %code:number% %reply:rest%
rule=: %trust:word% TLS connection established from %client:char-to::%: %tls:rest%
rule=: %trust:word% TLS connection established to %relay:word% %tls:rest%
rule=: lost connection after %stage:word% from %client:rest%
rule=: warning: %warning:rest%
"""  # noqa: E501 - a rule is one line
_RSYSLOG: Final = """
global(workDirectory="{directory}" maxMessageSize="64k" parser.permitSlashInProgramName="on")
module(load="imptcp")
module(load="mmnormalize")
template(name="json" type="string" string="%$!all-json-plain%\\n")
ruleset(name="mail" queue.type="FixedArray" queue.timeoutShutdown="600000") {{
  action(type="mmnormalize" ruleBase="{directory}/mail.rulebase")
  action(type="omfile" file="{directory}/out.json" template="json" ioBufferSize="256k")
}}
input(type="imptcp" address="127.0.0.1" port="{port}" ruleset="mail")
"""


def pygrok(file: Path) -> int:
    """Parse a traditional log with one pygrok ``Grok`` a program; returns the number of matches.

    Field names with a hyphen are renamed, since pygrok cannot have them.
    """
    from pygrok import Grok

    matched = 0
    with tempfile.TemporaryDirectory() as directory:
        names: set[str] = set()
        for source in _PATTERNS.glob("*.grok"):
            text = _GROUP.sub(lambda group: group[0].replace("-", "_"), source.read_text())
            Path(directory, source.name).write_text(text)
            names.update(re.findall(r"(?m)^POSTFIX_([A-Z]+) ", text))
        groks: dict[str, Grok | None] = {}
        with file.open(encoding="latin-1", newline="\n") as lines:
            for line in lines:
                header = _HEADER.match(line)
                if header is None:
                    continue
                program = header[3]
                if program not in groks:
                    name = program.rpartition("/")[2].upper()
                    groks[program] = (
                        Grok(f"^(?:%{{POSTFIX_{name}}})$", custom_patterns_dir=directory)
                        if program.startswith("postfix") and name in names
                        else None
                    )
                grok = groks[program]
                fields = grok.match(header[5]) if grok else None
                if fields:
                    matched += 1
                    orjson.dumps({name: value for name, value in fields.items() if value})
    return matched


def _run_pygrok(file: Path, _: int) -> Usage:
    return run([sys.executable, "-W", "ignore", "-m", "benchmarks.peers", str(file)])


def _run_pflogsumm(file: Path, _: int) -> Usage:
    return run(["pflogsumm", str(file)])


def _run_rsyslog(file: Path, lines: int) -> Usage:
    """Over TCP into mmnormalize, JSON lines out."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        port = free_port("tcp")
        (directory / "mail.rulebase").write_text(_RULES)
        (directory / "rsyslog.conf").write_text(_RSYSLOG.format(directory=directory, port=port))
        began = time.perf_counter()
        process = subprocess.Popen(
            ["rsyslogd", "-n", "-f", str(directory / "rsyslog.conf"), "-i", str(directory / "pid")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + _WAIT_SECONDS
            while socket_line("tcp", port) is None:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise MeasurementError("rsyslogd did not start")
                time.sleep(0.05)
            with socket.create_connection(("127.0.0.1", port), _WAIT_SECONDS) as connection:
                with file.open("rb") as data:
                    connection.sendfile(data)
                connection.shutdown(socket.SHUT_WR)
                # rsyslog closes the connection when it has read all of it.
                connection.recv(1)
            process.send_signal(signal.SIGTERM)
            usage = finish(process, began)
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
        with (directory / "out.json").open("rb") as out:
            written = sum(1 for _ in out)
        if written < lines:
            raise MeasurementError(f"rsyslog wrote {written} of {lines} lines")
    return usage


PEERS: Final[tuple[tuple[str, str, Callable[[Path, int], Usage]], ...]] = (
    ("pygrok, one Grok a program, JSON", sys.executable, _run_pygrok),
    ("rsyslog imptcp, mmnormalize, JSON", "rsyslogd", _run_rsyslog),
    ("pflogsumm, report", "pflogsumm", _run_pflogsumm),
)


def measure(file: Path, lines: int) -> dict[str, Usage | str]:
    """What each peer used for the file, or why there is no figure."""
    results: dict[str, Usage | str] = {}
    for name, program, measured in PEERS:
        if shutil.which(program) is None:
            results[name] = "not installed"
            continue
        try:
            results[name] = measured(file, lines)
        except MeasurementError as error:
            results[name] = str(error)
    return results


if __name__ == "__main__":
    print(pygrok(Path(sys.argv[1])))
