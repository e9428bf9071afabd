"""A mail -> what its page shows: one recipient open, and a page of the others; pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, Final

from mailingest.trace.answer import iso
from mailingest.trace.explanations import Explanations
from mailingest.trace.mails import Mail
from mailingest.trace.story import Story
from mailingest.web.numbers import number, size
from mailingest.web.questions import typed_time
from mailingest.web.story_view import StoryView, escaped, permalink, recipient_id

MOST_RECIPIENTS: Final = 50
"""So many are in a page's table."""
# More digits than the number of any page has.
_LONGEST_PAGE: Final = 6

MailToJson = Callable[[Mail, Sequence[Story]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which recipients are asked for: ``to`` is open, by its address or what stands for it.

    The table has those with the verdict ``status`` ("" for all), from page to page, of which the
    first is 1.
    """

    to: str = ""
    status: str = ""
    page: int = 1

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Selection":
        """What a query asks for; a page that is no number is the first."""
        page = query.get("page", "")
        is_number = page.isascii() and page.isdigit() and len(page) <= _LONGEST_PAGE
        return cls(
            query.get("to", "").strip(), query.get("status", ""), int(page) if is_number else 1
        )


def recipient_named(mail: Mail, to: str, key: bytes) -> Story | None:
    """The recipient of a mail that ``to`` asks for, see `Selection`; ``key`` is that of links."""
    address = to.lower()
    named = (one for one in mail.stories if recipient_id(one, key) == to)
    addressed = (
        one
        for one in mail.stories
        if address in (str(one.recipient).lower(), str(one.original_recipient).lower())
    )
    return next(chain(named, addressed), None)


@dataclass(frozen=True, slots=True)
class MailView:
    """A mail as one reader sees it; ``to_json`` masks what is masked."""

    view: StoryView
    to_json: MailToJson
    explanations: Explanations

    def page(self, mail: Mail, selection: Selection, until: datetime | None) -> dict[str, Any]:
        """A mail for the template; the control characters of every text are escaped.

        ``until`` is how far the logs reach.
        """
        opened = self._opened(mail, selection.to)
        chosen = [one for one in mail.stories if selection.status in ("", one.verdict)]
        last = max(1, -(-len(chosen) // MOST_RECIPIENTS))
        page = min(max(selection.page, 1), last)
        start = (page - 1) * MOST_RECIPIENTS
        listed = chosen[start : start + MOST_RECIPIENTS]
        shown = listed if opened is None else [opened, *listed]
        to = recipient_id(opened, self.view.link_key) if opened is not None else ""
        query = {"to": to, "status": selection.status}
        values = self.to_json(mail, shown)
        recipients = values.pop("recipients")
        rows = [
            self.view.row_of(story, {**values, **recipient})
            for story, recipient in zip(shown, recipients, strict=True)
        ]
        place = {"status": selection.status, "page": str(page) if page > 1 else ""}
        return {
            **self._header(mail, values),
            "open": self._open(opened, rows.pop(0), until) if opened is not None else None,
            "link": self.view.permalink(opened)
            if opened is not None
            else permalink(mail.stories[0]),
            "rows": [
                {**row, "link": self._recipient_link(story, place)}
                for story, row in zip(listed, rows, strict=True)
            ],
            "opened": next((n for n, one in enumerate(listed) if one is opened), None),
            "is_missing": bool(selection.to) and opened is None,
            "chips": self._chips(mail, {"to": to}, selection.status),
            "first": number(start + 1),
            "last": number(start + len(listed)),
            "count": number(len(chosen)),
            "previous": self._link(mail, {**query, "page": str(page - 1)}) if page > 1 else "",
            "next": self._link(mail, {**query, "page": str(page + 1)}) if page < last else "",
            "find": self._find(mail),
        }

    def _opened(self, mail: Mail, to: str) -> Story | None:
        """The recipient that is asked for, or the only one."""
        if len(mail.stories) == 1:
            return mail.stories[0]
        return recipient_named(mail, to, self.view.link_key) if to else None

    def _header(self, mail: Mail, values: Mapping[str, Any]) -> dict[str, Any]:
        header = escaped(values)
        sender = header["sender"]
        return {
            "header": {
                **header,
                "sender": sender or "",
                "sender_note": self._sender_note(sender),
                "received_at": self.view.time(mail.stories[0].received_at),
                "size": size(header["size"]) if header["size"] is not None else "",
            },
            "recipients": number(len(mail.stories) + mail.not_shown),
            "not_shown": number(mail.not_shown) if mail.not_shown else "",
            "has_table": len(mail.stories) > 1,
            "is_large": len(mail.stories) > MOST_RECIPIENTS,
        }

    def _sender_note(self, sender: str | None) -> str:
        if sender is None:
            return self.view.texts("sender_unknown")
        return "" if sender else self.view.texts("bounce_sender")

    def _open(self, story: Story, row: dict[str, Any], until: datetime | None) -> dict[str, Any]:
        for one in row["replies"]:
            for key in ("first_at", "last_at"):
                one[key] = self.view.time(datetime.fromisoformat(one[key]))
        return {
            **row,
            "explanation": self.explanations.of(row, self.view.texts.language),
            "timeline": self.view.timeline(story, until),
            "notification_link": self._notification_link(story),
        }

    def _notification_link(self, story: Story) -> str:
        """The search for a bounce message, which came after the mail: queue IDs are reused."""
        view, since = self.view, story.received_at
        typed = typed_time(since, view.zone, view.texts("date")) if since is not None else ""
        query = {"queue_id": story.notification or "", "since": typed}
        return self.view.links.to("./", query)

    def _chips(self, mail: Mail, query: Mapping[str, str], status: str) -> list[dict[str, Any]]:
        """The number of recipients with each verdict, which leads to these, or back to all."""
        return [
            {
                "verdict": verdict,
                "count": number(count),
                "title": self.view.texts(f"verdict_{verdict}"),
                "is_chosen": verdict == status,
                "link": self._link(mail, {**query, "status": "" if verdict == status else verdict}),
            }
            for verdict, count in mail.counts.items()
        ]

    def _link(self, mail: Mail, query: Mapping[str, str]) -> str:
        """The link to this mail with another part of its recipients."""
        return self.view.links.to_mail(permalink(mail.stories[0]), query, anchor="recipients")

    def _recipient_link(self, story: Story, place: Mapping[str, str]) -> str:
        """The link to a recipient of the table, which stays where it is."""
        return self.view.links.to_mail(self.view.permalink(story), place, anchor="top")

    def _find(self, mail: Mail) -> dict[str, str]:
        """The hidden fields of the form that asks for a recipient."""
        first = mail.stories[0].first
        if first is None:
            return {}
        permalink_query = {
            "host": first.key.host,
            "queue_id": first.key.queue_id,
            "at": iso(first.created_at) or "",
        }
        return self.view.links.of_mail(permalink_query)
