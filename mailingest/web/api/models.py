"""What the API is asked and answers, as models: they read queries, and are the OpenAPI document."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mailingest.postfix.outcome import Outcome
from mailingest.stores.breakdown import Dimension
from mailingest.stores.gaps import GapCode
from mailingest.trace.explanations import Language
from mailingest.trace.story import Verdict
from mailingest.web.questions import LONGEST_VALUE

MOST_MAILS = 500

Text = Annotated[str, Field(max_length=LONGEST_VALUE)]
# How many recipients come before; of more, no mail has any.
Cursor = Annotated[str, Field(pattern=r"^[0-9]{0,7}$")]
Lang = Annotated[Language, Field(description="language of explanations")]
Time = Annotated[str, Field(description="ISO 8601, in UTC", examples=["2026-11-24T15:41:20.000Z"])]


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SearchQuery(_Query):
    """Which mails are looked for; all of what is given has to hold, case makes no difference."""

    recipient: Text = Field(
        "", alias="to", description="recipient: an address, `@domain`, `name@`, or a part"
    )
    sender: Text = Field("", alias="from", description="envelope sender, as `to`; `<>` is none")
    since: Text = Field("", description="from this time on: ISO 8601, or such as `7d`, `2h`")
    until: Text = Field("", description="before this time")
    queue_id: Text = Field("", description="queue ID, here or at the next hop")
    message_id: Text = Field("", description="Message-ID, with or without brackets")
    client: Text = Field("", description="a part of the client's name or address")
    sasl_user: Text = Field("", description="login, as `to`")
    relay: Text = Field("", description="a part of the relay's name")
    text: Text = Field("", description="a part of a log line")
    host: Text = Field("", description="a part of the name of the host that logged it")
    status: Text = Field("", description="verdicts, separated by commas")
    type: Text = Field("", description="type of events; not given: all")
    limit: int = Field(50, ge=1, le=MOST_MAILS, description="mails at most, one per recipient")
    cursor: str = Field("", max_length=4000, description="`next` or `previous` of an answer")
    lang: Lang = "en"


class MailQuery(_Query):
    """One mail: by host, queue ID and the time it came in, or by a line that refused it."""

    at: Text = Field(description="when it came in, `received_at`")
    host: Text | None = Field(None, description="the host of the queue ID")
    queue_id: Text | None = Field(None, description="the queue ID that it came in under")
    line: Text | None = Field(None, description="the id of a line, in place of host and queue_id")
    recipient: Text = Field("", alias="to", description="only the recipient of this address")
    status: Verdict | None = Field(None, description="only recipients with this verdict")
    limit: int = Field(50, ge=1, le=MOST_MAILS, description="recipients at most")
    cursor: Cursor = Field("", description="`next` of an answer")
    lang: Lang = "en"


class PeriodQuery(_Query):
    """A time: since and until, or a span before now."""

    span: Literal["", "24h", "7d", "30d"] = Field("", description="not given: 24h")
    since: Text = Field("", description="from this time on: ISO 8601, or such as `7d`")
    until: Text = Field("", description="before this time")
    type: Text = Field("", description="type of events; not given: all")


class Queue(BaseModel):
    """A queue ID, which is unique on a host and instance, at a time."""

    model_config = ConfigDict(extra="forbid")

    host: str
    instance: str
    queue_id: str


class Explanation(BaseModel):
    """What a reply means, and what to do about it."""

    model_config = ConfigDict(extra="forbid")

    means: str
    advice: str


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sender: str | None = Field(description='"" is that of a notification')
    message_id: str | None
    host: str | None
    instance: str | None
    queue_id: str | None = Field(description="where the mail came in")
    client: str | None
    sasl_username: str | None
    sasl_method: str | None
    sasl_sender: str | None
    received_at: Time | None
    size: int | None = Field(description="bytes")
    types: list[str]
    not_shown: int = Field(description="more recipients of the mail that may not be seen")


class _Delivery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    verdict: Verdict
    temporary: bool | None = Field(description="of a refusal: whether it was for the time being")
    recipient: str | None
    original_recipient: str | None
    chain: list[Queue] = Field(description="all queue IDs in their order")
    decided_at: Time | None
    relay: str | None
    relay_ip: str | None
    relay_port: int | None
    tls: str | None
    remote_queue_id: str | None
    dsn: str | None
    reply: str | None = Field(description="what the last server said, word for word")
    explanation: Explanation | None = Field(description="what that means; null: nobody knows")
    attempts: int
    refused_before: list[str]
    delays: dict[str, float | None] | None = Field(description="seconds")
    notification: str | None = Field(description="queue ID of the bounce")
    note: str | None
    evidence: str | None = Field(description="the line that proves the verdict")


class Story(_Header, _Delivery):
    """What became of one mail for one recipient: the keys of `mailingest trace --json`."""

    proof: list[str]


class Replies(BaseModel):
    """Tries that ended alike; what is told of them is that of the last one."""

    model_config = ConfigDict(extra="forbid")

    count: int
    status: str
    dsn: str | None
    reply: str
    relay: str | None
    first_at: Time
    last_at: Time


class Recipient(_Delivery):
    """What became of the mail for one recipient."""

    replies: list[Replies] = Field(description="all tries, by what was said")
    lines: list[str] = Field(description="the lines of this recipient alone")


class Mail(_Header):
    """A mail: what its recipients have in common once, and a part of them."""

    queues: list[Queue] = Field(description="queue IDs that recipients have in common")
    counts: dict[Verdict, int] = Field(description="how many of all recipients have each verdict")
    lines: list[str] = Field(description="the lines about all recipients")
    recipients: list[Recipient] = Field(description="what went wrong comes first")


class Gap(BaseModel):
    """Why an answer is not whole."""

    model_config = ConfigDict(extra="forbid")

    code: GapCode
    text: str


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    whole: bool = Field(description="whether all that could hold the answer was read, and is told")
    why: list[Gap] = Field(description="why it is not whole")
    logs_first: str | None = Field(description="when the first line was written that there is")
    logs_last: str | None = Field(description="when the last line was written")


class MailAnswer(_Answer):
    """A mail with a part of its recipients; where queue IDs were used twice, there may be two."""

    types: list[str]
    mails: list[Mail]
    next: Cursor | None = Field(description="the cursor of more recipients; null: none")


class SearchAnswer(_Answer):
    """Mails, one for each recipient; the newest page comes first, in it the oldest mail."""

    types: list[str]
    mails: list[Story]
    next: str | None = Field(description="the cursor of the page of older mails; null: none")
    previous: str | None = Field(description="the cursor of the page of newer mails; null: none")
    total: int | None = Field(description="how many there are, if that is known")


class Reason(BaseModel):
    """A reason, with what differs from line to line as `*`."""

    model_config = ConfigDict(extra="forbid")

    reason: str
    count: int


class Name(BaseModel):
    """Figures of a sender, recipient, domain, client, relay or host."""

    model_config = ConfigDict(extra="allow")

    name: str
    bytes: int
    delays: dict[str, float | None] | None = Field(
        None, description="percentiles in seconds, p50, p90 and p95"
    )


class OverviewAnswer(_Answer):
    """Lines of each outcome, in buckets of `step_seconds` from `since` on."""

    types: list[str]
    since: Time
    until: Time
    step_seconds: int
    counts: dict[Outcome, list[int]]
    sent_bytes: int
    reasons: dict[Outcome, list[Reason]]
    names: dict[Dimension, list[Name]]


class Tls(BaseModel):
    """Deliveries with a version of TLS; null is none."""

    model_config = ConfigDict(extra="forbid")

    protocol: str | None
    delivered: int


class Warned(BaseModel):
    """A warning of Postfix; null is all that are not told apart."""

    model_config = ConfigDict(extra="forbid")

    warning: str | None
    count: int


class ReportAnswer(BaseModel):
    """The object of `mailingest report --json`."""

    model_config = ConfigDict(extra="forbid")

    since: Time
    until: Time
    totals: dict[str, int | None]
    step_seconds: int
    counts: dict[Outcome, list[int]]
    names: dict[Dimension, list[Name]]
    short_by: dict[Dimension, int]
    tls: list[Tls]
    reasons: dict[Outcome, list[Reason]]
    warnings: list[Warned]
    whole: bool
    why: list[Gap]


class Problem(BaseModel):
    """What is wrong (RFC 9457)."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str
    whole: bool | None = None
    why: list[Gap] | None = None


Values = dict[str, Any]
