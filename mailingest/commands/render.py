"""Stories -> text for people.

Log content is untrusted: control characters and bidirectional controls are shown as escapes.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, tzinfo
from typing import Any

from mailingest.commands.terminal import hanging
from mailingest.escaping import escape_terminal
from mailingest.trace.answer import line_of, story_to_json
from mailingest.trace.explanations import Explanation, Explanations, Language
from mailingest.trace.story import Story

TITLES = {
    "delivered": "DELIVERED",
    "handed_over": "HANDED OVER",
    "pending": "PENDING",
    "bounced": "BOUNCED",
    "expired": "EXPIRED",
    "rejected": "REJECTED",
    "discarded": "DISCARDED",
    "held": "HELD",
    "deleted": "DELETED",
    "not_accepted": "NOT ACCEPTED",
    "probe": "ADDRESS PROBE",
    "unknown": "UNKNOWN",
}
MEANINGS = {
    "delivered": "a mail store of this system took it",
    "handed_over": "the named server said yes to it; what it did then is not in these logs",
    "pending": "it is still in the queue and will be tried again",
    "bounced": "it cannot be delivered; the sender is notified",
    "expired": "it could not be delivered in time; the sender is notified",
    "rejected": "it was refused before this system took charge of it",
    "discarded": "it was thrown away or quarantined, and the sender is not notified",
    "held": "it was put on hold; no later line says that it was released or deleted",
    "deleted": "an operator deleted it",
    "not_accepted": "the session ended before this system took charge of it",
    "probe": "only the address was checked; there is no mail",
    "unknown": "the logs do not say",
}
_COLOURS = {
    "delivered": "32",
    "handed_over": "32",
    "pending": "33",
    "held": "33",
    "probe": "36",
    "unknown": "35",
}
_RED = "31"


def text_lines(
    story: Story,
    *,
    zone: tzinfo,
    colour: bool,
    explanations: Explanations | None = None,
    language: Language = "en",
    width: int | None = None,
    shows_types: bool = False,
    lines: Iterable[str] = (),
) -> Iterator[str]:
    """A story for people: the verdict, the mail, how it went, the line that proves it.

    ``explanations`` say what the last reply means, in words of the ``language``.  ``lines`` are
    shown below, such as all of the mail.  What is longer than ``width`` columns goes on in the next
    line; None is no limit.
    """
    paint = _painter(colour)
    title = _title(story)
    if story.verdict == "rejected" and story.temporary:
        title += " (for the time being)"
    recipient, when = _recipient(story), _local(story, zone)
    yield f"{paint(title, _colour(story))}  {paint(recipient, '1')}  {when}"
    row = story_to_json(story)
    explanation = explanations.of(row, language) if explanations is not None else None
    for line in _details(story, row, zone, explanation, shows_types=shows_types):
        yield from hanging(line, width)
    for number, line in enumerate(lines):
        if not number:
            yield "  lines"
        yield from hanging(f"    {escape_terminal(line)}", width)


def short_line(story: Story, *, zone: tzinfo, colour: bool) -> str:
    """A story in one line: time, verdict, recipient, sender, queue ID; what is not known is "-".

    Words of a verdict are joined, so that each column but the time is one word.
    """
    row = story_to_json(story)
    verdict = f"{_title(story).replace(' ', '_'):<13}"
    sender = _sender(row)
    return "  ".join(
        (
            _local(story, zone) or "-",
            _painter(colour)(verdict, _colour(story)),
            _recipient(story) if story.recipient else "-",
            "-" if sender is None else sender,
            row["queue_id"] or "-",
        )
    )


def _title(story: Story) -> str:
    return TITLES[story.verdict]


def _colour(story: Story) -> str:
    return _COLOURS.get(story.verdict, _RED)


def _recipient(story: Story) -> str:
    return escape_terminal(story.recipient) if story.recipient else "recipient not in the logs"


def _sender(row: dict[str, Any]) -> str | None:
    """The sender, "<>" for that of a bounce, None if it is not known."""
    sender = row["sender"]
    return None if sender is None else escape_terminal(sender) or "<>"


def _details(
    story: Story,
    row: dict[str, Any],
    zone: tzinfo,
    explanation: Explanation | None,
    *,
    shows_types: bool,
) -> Iterator[str]:
    if story.original_recipient:
        yield f"  for       {escape_terminal(story.original_recipient)}"
    details = [_sender(row) or "sender not known"]
    if row["size"] is not None:
        details.append(f"{row['size']:,} bytes")
    if row["client"]:
        details.append(f"by {escape_terminal(row['client'])}")
    yield f"  from      {', '.join(details)}"
    if row["sasl_username"] or row["sasl_sender"]:
        yield f"  login     {_login(row)}"
    if row["message_id"]:
        yield f"  mail      <{escape_terminal(row['message_id'])}>"
    yield from _how_it_went(story, row)
    if shows_types and row["types"]:
        yield f"  type      {escape_terminal(' > '.join(row['types']))}"
    note = story.note.in_words(lambda time: _time(time, zone)) if story.note is not None else ""
    yield f"  meaning   {escape_terminal(note) or MEANINGS[story.verdict]}"
    if explanation is not None:
        yield f"  reason    {escape_terminal(str(explanation))}"
    if story.evidence is not None:
        yield f"  proof     {escape_terminal(line_of(story.evidence))}"


def _login(row: dict[str, Any]) -> str:
    details = [escape_terminal(row["sasl_username"] or "name not in the logs")]
    if row["sasl_method"]:
        details.append(escape_terminal(row["sasl_method"]))
    if row["sasl_sender"]:
        details.append(f"for {escape_terminal(row['sasl_sender'])}")
    return ", ".join(details)


def _how_it_went(story: Story, row: dict[str, Any]) -> Iterator[str]:
    if row["relay"] and row["relay"] != "none":
        tls = f", {escape_terminal(row['tls'])}" if row["tls"] else ""
        yield f"  relay     {escape_terminal(row['relay'])}{tls}"
    if row["reply"]:
        yield f"  said      {escape_terminal(row['reply'])}"
    if row["remote_queue_id"] and story.verdict == "handed_over":
        yield f"  there     queue ID {escape_terminal(row['remote_queue_id'])}"
    if row["chain"]:
        steps = (f"{q['queue_id']} ({q['host']} {q['instance']})" for q in row["chain"])
        yield f"  queue ID  {escape_terminal(' > '.join(steps))}"
    if row["notification"]:
        yield f"  bounce    {escape_terminal(row['notification'])}"
    if story.attempts > 1:
        yield f"  attempts  {story.attempts}"
    if row["refused_before"]:
        count = len(row["refused_before"])
        times = "once" if count == 1 else f"{count} times"
        yield f"  before    refused for the time being {times}, and sent again by the client:"
        yield from (f"            {escape_terminal(line)}" for line in row["refused_before"])
    if row["delays"]:
        delays = row["delays"]
        yield (
            f"  delay     {delays['total']:g} s: {delays['before_qmgr'] or 0:g} before the queue, "
            f"{delays['in_qmgr'] or 0:g} in it, {delays['conn_setup'] or 0:g} connecting, "
            f"{delays['transmission'] or 0:g} sending"
        )


def _local(story: Story, zone: tzinfo) -> str:
    time = story.decided_at or story.received_at
    return _time(time, zone) if time is not None else ""


def _time(time: datetime, zone: tzinfo) -> str:
    return f"{time.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def _painter(colour: bool) -> Callable[[str, str], str]:
    if not colour:
        return lambda text, code: text
    return lambda text, code: f"\x1b[{code}m{text}\x1b[0m"
