"""The mails of a permalink for scripts: each once, with a part of its recipients; pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mailingest.trace.exporting import EXPLANATION
from mailingest.trace.mails import Mail, mails_of
from mailingest.trace.story import Story
from mailingest.web.mail_view import MOST_RECIPIENTS, MailToJson, Selection, recipient_named

Explain = Callable[[dict[str, Any]], dict[str, str] | None]
"""What the reply of a recipient means."""


@dataclass(frozen=True, slots=True)
class Part:
    """Recipients of a mail: that of the address ``to``, or those with the verdict ``status``.

    "" is all of them.  The ``start`` first ones are left out, and there are ``limit`` at most.
    """

    to: str = ""
    status: str = ""
    start: int = 0
    limit: int = MOST_RECIPIENTS

    @classmethod
    def shown(cls, selection: Selection) -> "Part":
        """The recipients that a page shows."""
        start = MOST_RECIPIENTS * max(0, selection.page - 1)
        return cls(selection.to, selection.status, start)

    def of(self, mail: Mail, key: bytes) -> tuple[Sequence[Story], bool]:
        """These recipients of a mail, and whether there are more; ``key`` is that of links."""
        if self.to:
            named = recipient_named(mail, self.to, key)
            return ([named] if named is not None else []), False
        chosen = [one for one in mail.stories if self.status in ("", one.verdict)]
        end = self.start + self.limit
        return chosen[self.start : end], end < len(chosen)


def mails_to_json(
    stories: Sequence[Story], part: Part, key: bytes, to_json: MailToJson, explain: Explain
) -> dict[str, Any]:
    """The keys ``mails``, and ``next``: how many recipients come before those that are left out."""
    mails = mails_of(stories)
    parts = [part.of(mail, key) for mail in mails]
    told = [to_json(mail, shown) for mail, (shown, _) in zip(mails, parts, strict=True)]
    for values in told:
        for recipient in values["recipients"]:
            recipient[EXPLANATION] = explain(recipient)
    is_cut = any(is_more for _, is_more in parts)
    return {"mails": told, "next": str(part.start + part.limit) if is_cut else None}
