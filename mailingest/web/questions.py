"""What was typed into the pages -> what is asked; pure."""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Final, get_args

from mailingest.errors import UsageError
from mailingest.stores.criteria import Criteria
from mailingest.trace.questions import Question, read_criteria
from mailingest.trace.stories import Verdict
from mailingest.trace.times import FORMS, read_time
from mailingest.web.texts import Texts

# Longest line of RFC 5321, which an address or a reply cannot exceed.
LONGEST_VALUE: Final = 1000


class WrongQuestion(UsageError):
    """A question that makes no sense: tell the reader, who can ask another one."""

    def __init__(self, key: str, **values: object) -> None:
        """The key and values are those of `Texts`; the message is in English."""
        super().__init__(Texts("en")(key, **values))
        self._key = key
        self._values = values

    def told(self, texts: Texts) -> str:
        """The message in the language of a reader."""
        return texts(self._key, **self._values)


def read_moment(text: str, *, now: datetime, zone: tzinfo) -> datetime:
    """A point in time; raises WrongQuestion."""
    try:
        return read_time(text, now=now, zone=zone)
    except UsageError:
        raise WrongQuestion("wrong_time", text=text, forms=FORMS) from None


def read_question(asked: Mapping[str, str], *, now: datetime, zone: tzinfo) -> Criteria:
    """The criteria of a search form, whose empty fields ask for nothing; raises WrongQuestion."""
    if any(len(value) > LONGEST_VALUE for value in asked.values()):
        raise WrongQuestion("too_long", most=LONGEST_VALUE)
    if asked["status"] and asked["status"] not in get_args(Verdict):
        raise WrongQuestion("wrong_verdict", text=asked["status"])
    moments = [
        read_moment(asked[name], now=now, zone=zone) for name in ("since", "until") if asked[name]
    ]
    if len(moments) == 2 and moments[1] <= moments[0]:
        raise WrongQuestion("wrong_order")
    question = Question(
        sender=asked["from"] or None,
        recipient=asked["to"] or None,
        queue_id=asked["queue_id"] or None,
        message_id=asked["message_id"] or None,
        client=asked["client"] or None,
        relay=asked["relay"] or None,
        text=asked["text"] or None,
        since=asked["since"] or None,
        until=asked["until"] or None,
        status=[asked["status"]] if asked["status"] else [],
    )
    return read_criteria(question, now=now, zone=zone)
