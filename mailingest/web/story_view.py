"""Stories -> what the templates show; pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode

from mailingest.escaping import escape_terminal
from mailingest.stores.criteria import Criteria
from mailingest.trace.answer import iso
from mailingest.trace.engine import TraceResult
from mailingest.trace.origin import subject_of
from mailingest.trace.story import Story
from mailingest.web.gaps import for_reader
from mailingest.web.links import Links
from mailingest.web.numbers import size
from mailingest.web.texts import Texts
from mailingest.web.timeline import KINDS, Timeline, timeline


@dataclass(frozen=True, slots=True)
class StoryView:
    """Stories as one reader sees them: language, zone, and the JSON object with what is masked.

    ``links`` keep what the reader has chosen.
    """

    texts: Texts
    zone: tzinfo
    links: Links
    to_json: Callable[[Story], dict[str, Any]]
    link_key: bytes = b""
    shows_subjects: bool = True

    def row(self, story: Story) -> dict[str, Any]:
        """A story for a template; the control characters of every text are escaped."""
        return self.row_of(story, self.to_json(story))

    def row_of(self, story: Story, shown: Mapping[str, Any]) -> dict[str, Any]:
        """The same of an object of the story that has been made before."""
        values = escaped(shown)
        sender = values["sender"]
        return {
            **values,
            "title": self.texts(f"verdict_{story.verdict}"),
            "is_temporary": bool(story.temporary),
            "meaning": self._note(story) or self.texts(f"meaning_{story.verdict}"),
            "recipient": values["recipient"] or self.texts("recipient_unknown"),
            "sender": self.texts("bounce_sender")
            if sender == ""
            else sender or self.texts("sender_unknown"),
            "subject": escape_terminal(subject_of(story) or "") if self.shows_subjects else "",
            "came": self.time(story.received_at or story.decided_at, zone=""),
            "shown_size": size(values["size"]) if values["size"] is not None else "",
            "server": (values["relay"] or "").partition("[")[0],
            "received_at": self.time(story.received_at),
            "decided_at": self.time(story.decided_at),
            "iso": iso(story.decided_at or story.received_at),
            "link": self.links.to_mail(self.permalink(story)),
        }

    def permalink(self, story: Story) -> str:
        """The permalink of a mail with this recipient open, which is the same for every reader."""
        return permalink(story, recipient_id(story, self.link_key))

    def timeline(self, story: Story, until: datetime | None) -> Timeline | None:
        """The time line of a story, None if it has none; ``until`` is how far the logs reach."""
        return timeline(story, {kind: self.texts(kind) for kind in KINDS}, until)

    def remarks(self, result: TraceResult, criteria: Criteria) -> list[str]:
        """What a reader has to know instead of stories: no such mail, or no logs of that time."""
        if result.stories:
            return []
        span = result.span
        first, last = (self.time(span.first), self.time(span.last)) if span else ("", "")
        if not result.is_whole:
            return [self.texts("logs_span", first=first, last=last)] if span else []
        if span is None:
            return [self.texts("no_logs")]
        is_before = criteria.until is not None and criteria.until <= span.first
        is_after = criteria.since is not None and criteria.since > span.last
        if is_before or is_after:
            return [self.texts("no_logs_then", first=first, last=last)]
        if criteria.since is None and criteria.until is None:
            return [self.texts("nothing", first=first, last=last)]
        since = self.time(criteria.since or span.first)
        until = self.time(criteria.until or span.last)
        return [self.texts("nothing_then", since=since, until=until, first=first, last=last)]

    def warnings(self, result: TraceResult) -> list[str]:
        """Why a result is not whole, and that a mail which is not found may be there all the same.

        That there are more than a page shows is said beside their number.
        """
        why = [gap for gap in result.why if gap.code != "limit"]
        texts = [gap.text for gap in for_reader(why, self.texts)]
        return texts if result.stories or not texts else [self.texts("nothing_read"), *texts]

    def time(self, time: datetime | None, zone: str = " %Z") -> str:
        """A time for people; without ``zone`` where it is said beside it."""
        if time is None:
            return ""
        return f"{time.astimezone(self.zone):{self.texts('date')} %H:%M:%S{zone}}"

    def _note(self, story: Story) -> str:
        if story.note is None:
            return ""
        values = escaped(story.note.shown(self.time))
        return self.texts(f"note_{story.note.code}", **values)


def recipient_id(story: Story, key: bytes = b"") -> str:
    """What stands for a recipient of a mail in a link, which must not name anybody.

    With a ``key`` that a reader does not know it cannot be told from guesses either.
    """
    names = f"{story.recipient or ''}\0{story.original_recipient or ''}".lower()
    return blake2b(names.encode("utf-8", "surrogatepass"), digest_size=6, key=key).hexdigest()


def permalink(story: Story, to: str = "") -> str:
    """The path and query of a mail's own page, which stays right as long as the logs are kept.

    ``to`` is the recipient that is open there, see `recipient_id`.
    """
    first = story.first
    if first is not None:
        query = {
            "host": first.key.host,
            "queue_id": first.key.queue_id,
            "at": iso(first.created_at),
        }
    elif story.refusal is not None:
        # Its line: an address in a link would be in histories and logs, and not masked.
        query = {"line": story.refusal.event["_id"], "at": iso(story.refusal.time)}
    else:
        return ""
    query |= {"to": to} if to and first is not None else {}
    return "mail?" + urlencode({key: str(value) for key, value in query.items()})


def escaped(value: Any) -> Any:
    """A value of JSON with the control characters of every text in it escaped."""
    if isinstance(value, str):
        return escape_terminal(value)
    if isinstance(value, list):
        return [escaped(one) for one in value]
    if isinstance(value, dict):
        return {key: escaped(one) for key, one in value.items()}
    return value
