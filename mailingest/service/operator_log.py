"""What the service notices -> its log, with what an operator does about it."""

from collections.abc import Sequence
from datetime import UTC, datetime

from mailingest.inputs.activation import passed_sockets
from mailingest.logs.logger import log
from mailingest.syslog.senders import Notice
from mailingest.watching.notices import MEANINGS
from mailingest.watching.notices import Notice as Noticed


def log_sockets(addresses: Sequence[str]) -> None:
    """Log where the sockets that systemd has bound and the configuration differ."""
    passed = passed_sockets()
    for place in passed.left:
        log.warning(
            "systemd has a socket that no input of the configuration is for: what comes there is "
            "read by nobody; take it out of mailingest.socket, or configure an input",
            address=place,
        )
    for place in addresses if passed else ():
        if place not in passed.taken:
            log.warning(
                "systemd has no socket for an input: what comes there during a restart is lost or "
                "refused; `mailingest units` writes mailingest.socket as the configuration says",
                address=place,
            )


def log_sender(notice: Notice) -> None:
    """Log what is wrong with a host's lines, and what to do about it."""
    if notice.kind == "tags_cut":
        log.warning(
            "tags arrive cut at the slash, so that the Postfix daemon has to be guessed; "
            'set global(parser.permitSlashInProgramName="on") in the rsyslog that sends them',
            host=notice.host,
        )
        return
    if notice.kind == "peer_unknown":
        log.warning(
            "lines under the name of a host come from a peer that did not send for it before; "
            "for a day, those about queue IDs are tagged _syslog_peer_unknown",
            host=notice.host,
            peer=notice.peer,
        )
        return
    log.warning(
        f"lines are dated {'ahead of' if notice.offset > 0 else 'behind'} their arrival: the "
        "host's clock is wrong, or its zone is not the one of syslog.timezone and "
        "syslog.host_timezones, or it sends late",
        host=notice.host,
        hours=round(abs(notice.offset) / 3600, 2),
    )


def log_noticed(notice: Noticed, *, has_begun: bool) -> None:
    """Log that something is noticed, and what to do about it, or that it is over."""
    if notice.kind == "clock_off" and has_begun:
        return  # `log_sender` has done it
    about = {"kind": notice.kind, "subject": notice.subject, "detail": notice.detail}
    if not has_begun:
        log.info("no longer so", **about)
        return
    since = datetime.fromtimestamp(notice.since, UTC).isoformat(timespec="seconds")
    log.warning(MEANINGS[notice.kind], **about, since=since, hint=notice.hint)


def log_not_reopened(error: Exception) -> None:
    """Log that the store's files are not opened anew after a rotation."""
    log.error(
        "the output cannot be opened anew after SIGHUP; it is tried again with each write, and "
        "lines wait in the spool until then",
        reason=str(error),
    )
