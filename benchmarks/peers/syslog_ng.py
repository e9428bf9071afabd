"""syslog-ng: lines at its standard input, db-parser, the join of grouping-by, JSON lines out."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.measure import Usage, run
from benchmarks.peers.peer import RULES, Peer, environment, first_line, installed

# A queue ID's lines make one more message, with all their values, when it is removed.
_JOIN: Final = """\
parser p_join {
  grouping-by(
    key("$HOST:${mail.queueid}")
    having("${mail.queueid}" ne "")
    trigger("${mail.removed}" eq "1")
    timeout(3600)
    inject-mode("pass-through")
    aggregate(
      value("PROGRAM" "joined")
      value("mail.recipients" "$(context-values ${mail.to})")
      value("mail.statuses" "$(context-values ${mail.status})")
    )
  );
};
"""


def _version() -> str:
    found = re.search(r"\((\S+)\)", first_line([installed("syslog-ng"), "--version"]))
    return found[1] if found else "?"


def _running(*, is_joined: bool) -> Callable[[Path, Path], Usage]:
    def runs(file: Path, out: Path) -> Usage:
        config = out.with_suffix(".conf")
        text = (RULES / "syslog-ng.conf").read_text()
        values = {"rules": str(RULES), "out": str(out), "join": _JOIN if is_joined else ""}
        values["joined"] = " parser(p_join);" if is_joined else ""
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", value)
        config.write_text(text)
        command = [installed("syslog-ng"), "--foreground", "--no-caps", "--cfgfile", str(config)]
        command += ["--persist-file", str(out.with_suffix(".persist"))]
        command += ["--control", str(out.with_suffix(".ctl"))]
        command += ["--pidfile", str(out.with_suffix(".pid"))]
        modules = sorted(Path(installed("syslog-ng")).parents[1].glob("lib/syslog-ng/*/"))
        command += [f"--module-path={modules[-1]}"] if modules else []
        # It ends at the end of its standard input, which has to be a pipe.
        with subprocess.Popen(["cat", str(file)], stdout=subprocess.PIPE) as lines:
            return run(command, stdin=lines.stdout, env=environment())

    return runs


def _peer(*, is_joined: bool) -> Peer:
    join = ", grouping-by" if is_joined else ""
    without = "correlation but for one joined line a mail" if is_joined else "correlation"
    return Peer(
        name=f"syslog-ng, db-parser{join}, JSON",
        package="syslog-ng",
        leaves_out=f"rarer lines, types, {without}",
        version=_version,
        run=_running(is_joined=is_joined),
        is_taken_apart=lambda line: b'"mail":' in line and b'"PROGRAM":"joined"' not in line,
    )


PEERS: Final = (_peer(is_joined=False), _peer(is_joined=True))
