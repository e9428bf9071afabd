"""A report as text, as a mail and as JSON; `mailingest report` and what docs/report.md says of it."""

import asyncio
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest
from typer.testing import CliRunner

from mailingest.cli import app
from mailingest.commands.report import Options, period
from mailingest.errors import UsageError
from mailingest.report.mail import html, mail
from mailingest.report.report import Report
from mailingest.report.tally import Tally
from mailingest.report.text import WIDTH, text
from mailingest.stores.breakdown import Breakdown, Figures
from mailingest.stores.sqlite.store import SqliteStore
from tests.support.logs import documents_of, lines_of
from tests.support.stores import fill

# Long lines are log lines.
# ruff: noqa: E501

GOLDEN = Path(__file__).with_name("report.txt")
D = "delay=1.5, delays=0.1/0.2/0.3/0.9"
REMOTE = f"relay=mx.example.net[198.51.100.9]:25, {D}"
LOG = f"""
24T10:00:00 mx1 postfix/smtpd[5]: AAAAAA1: client=pc.example.com[192.0.2.7], sasl_method=PLAIN, sasl_username=ann
24T10:00:00 mx1 postfix/qmgr[7]: AAAAAA1: from=<ann@example.com>, size=500, nrcpt=3 (queue active)
24T10:09:58 mx1 postfix/smtp[9]: Trusted TLS connection established to mx.example.net[198.51.100.9]:25: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)
24T10:09:59 mx1 postfix/smtp[9]: AAAAAA1: to=<bob@example.net>, {REMOTE}, dsn=2.0.0, status=sent (250 Ok: queued as 4XYZQ1)
24T10:09:59 mx1 postfix/smtp[9]: AAAAAA1: to=<eve@example.net>, {REMOTE}, dsn=4.2.2, status=deferred (host mx.example.net[198.51.100.9] said: 452 4.2.2 <eve@example.net>: Mailbox full (in reply to RCPT TO command))
24T10:09:59 mx1 postfix/local[8]: AAAAAA1: to=<all@example.com>, relay=local, {D}, dsn=2.0.0, status=sent (forwarded as AAAAAA2)
24T11:10:00 mx1 postfix/qmgr[7]: AAAAAA1: from=<ann@example.com>, size=500, nrcpt=3 (queue active)
24T11:10:00 mx1 postfix/smtp[9]: AAAAAA1: to=<eve@example.net>, {REMOTE}, dsn=5.2.2, status=bounced (host mx.example.net[198.51.100.9] said: 552 5.2.2 over quota (in reply to RCPT TO command))
24T13:00:00 mx1 postfix/smtpd[5]: NOQUEUE: reject: RCPT from pc.example.com[192.0.2.7]: 550 5.1.1 <no@example.com>: Recipient address rejected: User unknown in relay recipient table; from=<a@example.org> to=<no@example.com> proto=ESMTP helo=<pc>
24T13:00:01 mx1 postfix/smtpd[5]: NOQUEUE: reject_warning: RCPT from pc.example.com[192.0.2.7]: 450 4.7.1 no; from=<a@example.org> to=<b@example.com> proto=ESMTP helo=<pc>
24T13:00:02 mx1 postfix/cleanup[6]: AAAAAA7: hold: header Subject: x from pc.example.com[192.0.2.7]; from=<a@example.org> to=<b@example.com> proto=ESMTP helo=<pc>: kept
24T13:10:00 mx1 postfix/smtpd[5]: warning: hostname evil.example.org does not resolve to address 192.0.2.66
"""
HOSTILE = f"""
24T10:00:00 mx1 postfix/qmgr[7]: AAAAAA1: from=<"<img/src=x>\x1b[2J"@example.com>, size=500, nrcpt=3 (queue active)
24T10:00:00 mx1 postfix/smtp[9]: AAAAAA1: to=<{"x" * 200}@example.net>, {REMOTE}, dsn=5.0.0, status=bounced (<script>alert(1)</script> \x9b31m \u202e said no to you)
"""


def report_of(log: str, zone: str = "UTC") -> Report:
    tally = Tally()
    for document in documents_of(lines_of(log)):
        tally.add(document.fields)
    return Report(tally.counts(), tally.breakdown, ZoneInfo(zone), "3 files")


def test_the_text_is_what_was_read_once() -> None:
    assert text(report_of(LOG)) == GOLDEN.read_text()


def test_each_line_fits_a_terminal_of_80_columns() -> None:
    for log in (LOG, HOSTILE):
        assert max(map(len, text(report_of(log)).splitlines())) <= WIDTH


def test_a_log_does_nothing_to_a_terminal_or_a_mail_program() -> None:
    report = report_of(HOSTILE)
    shown = text(report)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert shown.replace("\n", "").replace("…", "").isprintable()
    page = html(report)
    assert "<img" not in page
    assert "<script" not in page
    assert "&lt;img" in page
    assert "http" not in page


def test_the_mail_has_text_and_html_and_headers_for_sendmail() -> None:
    report = report_of(LOG)
    message = message_from_bytes(
        mail(report, "postmaster, ann@example.org", "root@example.org"), policy=policy.default
    )
    assert message["To"] == "postmaster, ann@example.org"
    assert message["From"] == "root@example.org"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Subject"].startswith("Mail from Tue 2026-11-24 10:00 to Tue 2026-11-24 14:00")
    plain, page = message.iter_parts()
    assert plain.get_content() == text(report)
    assert page.get_content() == html(report)
    assert page.get_content_type() == "text/html"


@pytest.mark.parametrize("address", ["", "a b", "a@b\nBcc: eve@example.org", "<a@b>", "ann@", "-f"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="not an address"):
        mail(report_of(LOG), address)


@pytest.mark.parametrize(
    ("options", "since", "until", "seconds"),
    [
        (Options(), "2026-03-29T22:00", "2026-03-30T10:10", 600),
        (Options(span="yesterday"), "2026-03-28T23:00", "2026-03-29T22:00", 3600),
        (Options(span="week"), "2026-03-22T23:00", "2026-03-29T22:00", 3600),
        (Options(since="eight", until="9:00"), "", "", 0),
        (Options(since="08:05", until="09:00"), "2026-03-30T06:00", "2026-03-30T07:00", 3600),
        (Options(since="08:15", until="09:00"), "2026-03-30T06:10", "2026-03-30T07:00", 600),
    ],
)
def test_times_are_days_of_the_zone(options: Options, since: str, until: str, seconds: int) -> None:
    now = datetime(2026, 3, 30, 10, 3, tzinfo=UTC)  # the day after summer time began
    if not since:
        with pytest.raises(UsageError):
            period(options, now=now, zone=ZoneInfo("Europe/Berlin"))
        return
    buckets = period(options, now=now, zone=ZoneInfo("Europe/Berlin"))
    assert buckets is not None
    assert f"{buckets.since:%Y-%m-%dT%H:%M}" == since
    assert f"{buckets.until:%Y-%m-%dT%H:%M}" == until
    assert buckets.seconds == seconds


def test_the_command_tells_of_a_store_and_of_files_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "mailingest.toml"
    config.write_text(
        f'[state]\ndirectory = "{tmp_path}"\n[syslog]\ntimezone = "UTC"\n'
        f'[sqlite]\ndirectory = "{tmp_path}/mail"\n'
    )
    asyncio.run(fill(SqliteStore(tmp_path / "mail", ["mail"]), documents_of(lines_of(LOG))))
    log = tmp_path / "mail.log"
    log.write_bytes(b"\n".join(lines_of(LOG)) + b"\n")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["report", "--config", str(config), *arguments])
        code = 2 if isinstance(result.exception, UsageError) else result.exit_code
        return code, result.stdout

    time = ("--since", "2026-11-24 10:00", "--until", "2026-11-24 14:00", "--json")
    code, of_store = run(*time)
    assert code == 0
    assert run(*time, "--file", str(log)) == (0, of_store)
    assert run("--json", "--file", str(log)) == (0, of_store)
    assert orjson.loads(of_store)["totals"]["received_bytes"] == 500
    assert run("--since", "2020-01-01", "--until", "2020-01-02")[0] == 1
    assert run("--file", str(tmp_path / "none"))[0] == 2
    assert run("--yesterday", "--week")[0] == 2
    assert run("--html-mail")[0] == 2


def test_rare_names_are_dropped_and_that_is_said() -> None:
    breakdown = Breakdown()
    for number in range(5):
        figures = Figures()
        figures.add("sent", number + 1)
        breakdown.names["sender"][f"{number}@example.org"] = figures
    breakdown.keep(2)
    assert [name for name, _ in breakdown.top("sender", 9)] == ["4@example.org", "3@example.org"]
    assert breakdown.short_by["sender"] == 3
    report = report_of(LOG)
    report.breakdown.merge(breakdown)
    assert "Each number may be short by up to 3." in text(report)


def test_percentiles_are_bounds_that_so_many_are_below() -> None:
    figures = Figures()
    for bucket, count in ((0, 89), (4, 1), (15, 10)):
        figures.add_delay(bucket, count)
    assert [figures.percentile(percent) for percent in (50, 90, 95)] == [0.2, 5, float("inf")]
    assert Figures().percentile(50) is None
