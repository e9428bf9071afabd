"""What a trace asks log files, without any store: which lines are looked for in them."""

import re
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from mailingest.inputs.files import LogFile
from mailingest.postfix.index_keys import is_about_a_mail, is_unmatched, queue_ids_of
from mailingest.postfix.names import MESSAGE_ID
from mailingest.stores.criteria import Criteria, Term, may_be_about, meets_term, terms_of
from mailingest.stores.events import StoredEvent, is_of_sessions
from mailingest.stores.logfiles.files import LogFiles
from mailingest.stores.logfiles.parsing import LineReading
from mailingest.stores.logfiles.prefilter import (
    Line,
    SubstringPrefilter,
    line_at,
    plain_part,
    words,
)
from mailingest.stores.logfiles.scan import Scan, Search
from mailingest.stores.protocol import Found, Progress, Span, no_progress
from mailingest.stores.threads import in_thread

T = TypeVar("T")

# Only a mail's first lines have its client, and it may stay for 5 days (maximal_queue_lifetime).
_LIFE: Final = timedelta(days=5)

# A line about a queue ID, or what a filter calls a mail, or a refusal without one: what stands
# before it depends on the header.
_OF_A_MAIL: Final = re.compile(
    rb"[:\-\]\[] +(?:\xef\xbb\xbf)?"
    rb"(?:(?:NOQUEUE|[0-9A-F]{6,}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{12,})[: ]"
    rb"|proxy-(?:accept|reject): "
    rb"|warning: (?:Illegal address|[A-Z][A-Za-z ]{1,60} limit exceeded|proxy \S+ rejected))"
)
# What stands before a value in a line; before other values may be anything.
_BEFORE: Final = {
    # A filter writes it in words.
    "recipient": "(?:to=|to |to:|command: |for )<?",
    "sender": "(?:from=|from:|command: )<?",
    "sasl_user": "sasl_username=<?",
    "client": "client=|from ",
    "relay": "relay=",
}


class LogFilesReader:
    """Asks log files, plain or compressed, oldest first.

    What comes from a pipe is kept in a temporary file until `close`, since it is read several
    times.  Memory is bounded by the limit of each question.
    """

    def __init__(
        self, files: Sequence[LogFile], reading: LineReading, progress: Progress = no_progress
    ) -> None:
        self._charset = reading.source.charset
        self._files = LogFiles(files, reading)
        self._scan = Scan(self._files, reading, progress)

    async def span(self) -> Span | None:
        """The time that there are lines for; None if there are none."""
        return await self._in_thread(self._files.span)

    async def find(self, criteria: Criteria, limit: int) -> Found:
        """Events of the term that the fewest lines seem to meet."""
        searches = list(self._searches(criteria))
        return await self._in_thread(
            lambda stop: self._scan.search(searches, criteria.until, limit, stop)
        )

    async def of_mails(
        self,
        queue_ids: Collection[str],
        message_ids: Collection[str],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """All events of queue IDs and Message-IDs."""
        ids = set(queue_ids)
        messages = {one.lower() for one in message_ids}
        prefilter = SubstringPrefilter(
            [
                # Postfix's own are in one piece; another one is in no line but the known one.
                *(one.lower().encode() for one in ids if one.isascii() and one.isalnum()),
                *map(plain_part, messages),
            ]
        )

        def is_wanted(event: StoredEvent) -> bool:
            return (
                not ids.isdisjoint(queue_ids_of(event))
                or str(event.get(MESSAGE_ID)).lower() in messages
            )

        def may_be(line: bytes) -> bool:
            return bool(messages) or not ids.isdisjoint(words(line))

        search = Search(lambda _, lowered: prefilter.lines(lowered), may_be, is_wanted, since)
        return await self._in_thread(lambda stop: self._scan.search([search], until, limit, stop))

    async def of_sessions(
        self,
        sessions: Collection[tuple[str, str, str]],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """The lines about SMTP sessions."""
        wanted = set(sessions)
        # RFC 3164 and RFC 5424.
        forms = ("{}[{}]: ", "{} {} ")
        prefilter = SubstringPrefilter(
            plain_part(form.format(program, pid)) for _, program, pid in wanted for form in forms
        )

        search = Search(
            lambda _, lowered: prefilter.lines(lowered),
            lambda line: b"NOQUEUE" in line or _OF_A_MAIL.search(line) is None,
            lambda event: is_of_sessions(event, wanted),
            since,
        )
        return await self._in_thread(lambda stop: self._scan.search([search], until, limit, stop))

    async def unmatched(self, criteria: Criteria, limit: int) -> Found:
        """Lines that no pattern matched, and that may be about what is asked for."""
        texts = [term.text for name, term in terms_of(criteria).items() if name != "host"]
        if criteria.queue_id is not None:
            texts.append(criteria.queue_id)
        prefilter = SubstringPrefilter(map(plain_part, texts or [""]))
        search = Search(
            lambda _, lowered: prefilter.lines(lowered),
            _any,
            lambda event: is_unmatched(event) and may_be_about(event, criteria),
            criteria.since,
        )
        return await self._in_thread(
            lambda stop: self._scan.search([search], criteria.until, limit, stop)
        )

    async def close(self) -> None:
        """Remove what was kept of a pipe."""
        self._files.close()

    async def _in_thread(self, work: Callable[[threading.Event], T]) -> T:
        stop = threading.Event()
        return await in_thread(partial(work, stop), stop.set)

    def _searches(self, criteria: Criteria) -> Iterator[Search]:
        since = criteria.since - _LIFE if criteria.since is not None else None
        if criteria.queue_id is not None:
            yield self._search_of_queue_id(criteria.queue_id, since)
        for name, term in terms_of(criteria).items():
            yield self._search_of_term(name, term, since)
        if criteria.queue_id is None and not terms_of(criteria):
            yield Search(
                lambda block, _: _lines_about_mails(block),
                _any,
                is_about_a_mail,
                criteria.since,
            )

    def _search_of_queue_id(self, queue_id: str, since: datetime | None) -> Search:
        prefilter = SubstringPrefilter([plain_part(queue_id)])
        whole = re.compile(rf"(?<!\w){re.escape(queue_id)}(?!\w)")
        return Search(
            lambda _, lowered: prefilter.lines(lowered),
            lambda line: whole.search(self._decoded(line)) is not None,
            lambda event: queue_id in queue_ids_of(event),
            since,
        )

    def _search_of_term(self, name: str, term: Term, since: datetime | None) -> Search:
        prefilter = SubstringPrefilter([plain_part(term.text)])
        before = _BEFORE.get(name, "")
        is_near = bool(before) and term.comparison in ("equals", "starts")
        begin = re.compile(before + re.escape(term.text) if is_near else before)

        def may_be(line: bytes) -> bool:
            if _OF_A_MAIL.search(line) is None:
                return False
            text = self._decoded(line).lower()
            found = begin.search(text)
            return found is not None and (is_near or text.find(term.text, found.end()) >= 0)

        return Search(
            lambda _, lowered: prefilter.lines(lowered),
            may_be,
            lambda event: is_about_a_mail(event) and meets_term(event, name, term),
            since,
        )

    def _decoded(self, line: bytes) -> str:
        charset = self._charset
        try:
            return line.decode("utf-8" if charset == "auto" else charset)
        except UnicodeDecodeError:
            return line.decode("iso-8859-1")


def _any(line: bytes) -> bool:
    return True


def _lines_about_mails(block: bytes) -> list[Line]:
    # A line may name several queue IDs.
    found = (line_at(block, one.end()) for one in _OF_A_MAIL.finditer(block))
    return list(dict.fromkeys(found))
