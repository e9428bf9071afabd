"""The services, and what an operator asks of them: run, check, status, web, web-user, spool."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mailingest.cli.options import (
    EXIT_FAILED,
    EXIT_NOT_RUNNING,
    EXIT_REFUSED,
    EXIT_UNREACHABLE,
    ConfigOption,
    DomainsOption,
    complain,
    start,
)
from mailingest.errors import UsageError
from mailingest.escaping import escape_terminal


def run(config: ConfigOption = None) -> None:
    """Receive syslog and store mail events.

    It ends at SIGTERM or Ctrl-C.  The counters go to standard error every minute.  What could not
    be stored before shutdown_timeout is in the spool, and is stored after the next start.  SIGHUP
    has it read its configuration again, as `mailingest reload` does.
    """
    from mailingest.commands.pattern_guard import refuse_slow_patterns
    from mailingest.config import Settings, load
    from mailingest.service.daemon import run as run_daemon

    def read() -> Settings:
        settings = load(config)
        refuse_slow_patterns(settings)
        return settings

    settings = start(config)
    refuse_slow_patterns(settings)
    raise typer.Exit(run_daemon(settings, read))


def reload(config: ConfigOption = None) -> None:
    """Have the daemon read its configuration again.

    Exit code 0: done, with what has changed; 2: refused, with the reason, and the daemon goes on
    with the configuration that it had; 7: no daemon runs.
    """
    from mailingest.commands.reload import reload as reload_daemon
    from mailingest.service.control import NotRunning

    try:
        lines = reload_daemon(config)
    except NotRunning as error:
        print(f"mailingest: {error}", file=sys.stderr)
        raise typer.Exit(EXIT_NOT_RUNNING) from None
    for line in lines:
        print(escape_terminal(line))


def check(config: ConfigOption = None) -> None:
    """Check configuration, patterns, addresses and the store.

    Would a start or restart work?  One line for each, `ok`, `warn` or `WRONG` and why.  Exit code
    0: all is well, but for the warnings; 2: something is wrong.  It may be asked while the
    service runs, such as by Ansible's `validate: mailingest check -c %s`.
    """
    from mailingest.commands.check import check as check_all
    from mailingest.web.server import access_of

    settings = start(config)
    wrong = check_all(settings, lambda: access_of(settings))
    raise typer.Exit(EXIT_REFUSED if wrong else 0)


def web(config: ConfigOption = None) -> None:
    """Serve the trace page until SIGTERM or Ctrl-C.

    It is on http://127.0.0.1:8025 unless set otherwise.  SIGHUP has it read its configuration
    again.
    """
    from mailingest.config import load
    from mailingest.web.server import run as run_web

    raise typer.Exit(run_web(start(config), lambda: load(config)))


def web_user(
    name: Annotated[str, typer.Argument(show_default=False)],
    domain: DomainsOption = None,
) -> None:
    """Ask for a password, and print its line for users_file.

    That is web.users_file.  Where the standard input is no terminal, its first line is the
    password.

    Example: mailingest web-user ann >> /etc/mailingest/users
    """
    from mailingest.postfix.mail_domains import MailDomains
    from mailingest.web.users import hash_password

    try:
        domains = MailDomains.read(domain or ())
    except ValueError as error:
        raise UsageError(f"web-user: --domain {error}") from None
    if sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    elif not (password := sys.stdin.readline().rstrip("\r\n")):
        raise UsageError("web-user: there is no password on the standard input: give it one line")
    print(f"{name}:{hash_password(password)}" + (f":{domains}" if domain else ""))


def status(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show how the running daemon is, and what needs you.

    Exit code 0: all is well; 1: something needs you; 4: no daemon answers.
    """
    from mailingest.commands.status import TIMEOUT_SECONDS, as_text, needs_somebody
    from mailingest.spool.status_socket import NoAnswer, ask

    directory = start(config).state.directory
    try:
        answer = ask(directory, TIMEOUT_SECONDS)
    except NoAnswer as error:
        complain(error)
        raise typer.Exit(EXIT_UNREACHABLE) from None
    print(json.dumps(answer) if as_json else as_text(answer, str(directory)))
    raise typer.Exit(EXIT_FAILED if needs_somebody(answer) else 0)


def show_config() -> None:
    """Print all settings, each with its meaning and default.

    Example: mailingest config > /etc/mailingest/mailingest.toml
    """
    from mailingest.config import data_directory

    print((data_directory("config") / "mailingest.toml").read_text("utf-8"), end="")


def units(
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="Write them below it: /etc.", show_default=False),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Print the units for systemd, and what belongs to them.

    Those are pieces for sysusers.d, tmpfiles.d and sysctl.d.  The units start this installation,
    and the sockets are at the addresses of the configuration.
    """
    from mailingest.commands import units as module

    settings = start(config)
    if directory is None:
        module.show(settings)
    else:
        module.write(settings, directory)


def show_spool_status(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    max_age: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="How long a line may wait to be stored."),
    ] = 300.0,
) -> None:
    """Show what is received and not stored, and what room is left.

    The daemon may run or not.

    Exit code 1, for monitoring: the spool is full, an operator has to do something before lines can
    be stored, a line waits for longer than --max-age, or lines wait and no daemon runs.
    """
    from mailingest.commands.spool import as_json as show_json
    from mailingest.commands.spool import as_text, is_well
    from mailingest.spool.status import spool_status

    status, now = spool_status(start(config)), datetime.now(UTC)
    print(show_json(status) if as_json else as_text(status, now))
    raise typer.Exit(0 if is_well(status, now, max_age) else EXIT_FAILED)
