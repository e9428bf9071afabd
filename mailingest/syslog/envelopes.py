"""What other systems put around or into a log line is taken off, layer by layer.

A container's log, a relay, the journal or a shipper put a header before the line, words between
its host and its tag, or the whole line into JSON.  `peel` looks for the innermost tag.  It is only
asked about lines whose usual header did not lead to a program, or led to one that may be a
wrapper's.

Nothing is searched for within a text: each layer has to begin where the one around it ends.  So
what a mail or a client has written into a log line is never taken for a header.
"""

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import orjson

from mailingest.syslog.apple_logs import read_apple_head
from mailingest.syslog.key_values import read_fluent_bit, read_pairs
from mailingest.syslog.levels import LEVEL, is_level_name, is_marked, pri_of
from mailingest.syslog.markers import is_mark
from mailingest.syslog.pasted import without_marks
from mailingest.syslog.stamps import Stamp, is_zone, read_stamp
from mailingest.syslog.structured_lines import StructuredLine, read_object, read_values

# A container's line that a relay wrapped, shipped as JSON by two others, has five.
_MOST_LAYERS: Final = 8
_MOST_WORDS: Final = 6
_MOST_FIELDS: Final = 32
_HIGHEST_PRI: Final = 191

# Colours of a terminal, as they are or as syslog daemons escape them.
_COLOURS = r"(?:(?:\x1b|#033|\\033|\\x1b|\^\[)\[[\d;]{0,16}m)*"
_LEADING = re.compile(
    r"(?:[\s\ufeff\u200b-\u200f\u2060]|(?:\x1b|#033|\\033|\\x1b|\^\[)\[[\d;]{0,16}m)+"
)
# Some count their messages.
_PRI = re.compile(r"<(\d{1,3})>(?:\d{1,10}: )?(?:(?=\S)| ?)", re.ASCII)
_COMPOSE = re.compile(rf"[\w][\w.@:/-]{{0,127}} *{_COLOURS}\|{_COLOURS} ?", re.ASCII)
# kubectl logs --prefix, stern and the like; services that put a stream's name before a line.
_POD = re.compile(
    r"\[(?:pod/)?[\w.-]{1,253}(?:/[\w.-]{1,253})*\] "
    r"|[\w.-]{1,253} [\w.-]{1,253} (?=\d{4}-\d\d-)|/[\w./-]{1,253} [\w./-]{1,253} (?=\w)"
)
# grep with the names of files, or the numbers of lines.
_FOUND_IN = re.compile(
    r"(?:(?:[A-Za-z]:)?[\w.@+~/\\-]{0,255}[./\\][\w.@+~/\\-]{0,255}[:-])?"
    r"(?:\d{1,9}[:-](?!\d\d[:-]))?",
    re.ASCII,
)
# What only stands before a whole line, beside what `pasted` knows: the number of its octets (RFC
# 6587), the host that a remote shell for many of them names.
_BEFORE_A_LINE = re.compile(r"\d{1,5} (?=<\d{1,3}>)|[\w.-]{1,253}: ", re.ASCII)
# The relays of AIX, Solaris and BSD: the host behind it is the origin.
_FORWARDED = re.compile(r"(?:Message )?[Ff]orwarded from ([^\s:\[\]<>]{1,255}): ?")
_STREAM = re.compile(r"std(?:out|err) [FP](?::\S{0,32})? ", re.ASCII)
_LABELS = re.compile(r"\{[\w.-]{1,128}=\"[^{}]{0,2048}\} ", re.ASCII)
_FLUENTD_TAG = re.compile(r"[^\s{]{1,255}(?=\t\{)")
_COOKIE = re.compile(r"@cee: ?(?=\{)|data: (?=\{)|\x1e(?=\{)")
_RFC5424 = re.compile(
    r"(?:<(\d{1,3})>)?1 (?:(?=\d{4}-\d\d-\d\dT)([^ ]{19,40})|-) (\S{1,255}) (\S{1,255})"
    r" (\S{1,128}) (\S{1,32}) "
    # Section 6.3, as in `header`.
    r'(-|(?>(?:\[(?>(?:[^\]"]++|"(?>(?:[^"\\]++|\\.)*)")*)\])+))(?: (.*))?',
    re.DOTALL | re.ASCII,
)
_NAME = r"[^\s:\[\]{}<>\"'=,;|()]{1,128}"
# With a colon; or with a process id, and then a level, as Apple's ASL has it, or no colon at all.
_TAG = re.compile(
    rf"({_NAME})(?:\[([^\]\s]{{0,32}})\]"
    r"(?: ?:| (?:\([^)\s]{1,64}\) )?<\w{1,16}>:|(?= ))|\((\d{1,10})\):|:(?!\S))"
)
# With the process id, as those write it into APP-NAME who know no better.
_WHOLE_TAG = re.compile(rf"({_NAME})(?:\[(\d{{0,10}})\]|\((\d{{1,10}})\))?:?", re.ASCII)
# What stands there if the tag is lost: a digit is what tells it from a name in capitals.
_QUEUE_ID = re.compile(
    r"(?=[A-F]{0,16}\d)[0-9A-F]{8,16}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10}z[\w]{1,20}", re.ASCII
)
_ODD_TAG = re.compile(rf".*\s.*|{_NAME}(?:\[\d{{0,10}}\]:?|\(\d{{1,10}}\):?|:)", re.ASCII)
# RFC 5424 without PRI and version, as the files of NetBSD's syslogd have it.
_REST_OF_RFC5424 = re.compile(rf"({_NAME}) (\d{{1,10}}|-) (?:-|[\w.]{{1,32}}) - ", re.ASCII)
# metalog's.
_TAG_IN_BRACKETS = re.compile(rf"\[({_NAME})(?:\[(\d{{0,32}})\])?\](?= )")
_BARE_TAG = re.compile(r"([\w.@+-]{1,64}(?:/[\w.@+-]{1,64}){0,4})\[(\d{1,10})\]: ?", re.ASCII)
_HOST = re.compile(
    r"(?:[^\s:\[\]<>(){}|\"'=,;]{1,255}"
    r"|\[?(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f:.]{0,45}(?:%[\w.-]{1,32})?\]?"
    r"|(?a:\d{1,3}(?:\.\d{1,3}){3}):\d{1,5})(?=[ \t])"
)
_HOST_NAME = re.compile(r"[A-Za-z][\w-]{0,62}(?:\.[\w-]{1,63}){0,8}", re.ASCII)
_HOST_IN_BRACKETS = re.compile(r"\[([A-Za-z][\w.-]{0,254})\] ", re.ASCII)
_ADDRESS_OR_DOMAIN = re.compile(r"(?=.*[A-Za-z:])[^\s]+[.:][^\s.:]+(?:[.:][^\s.:]+)*\Z|[\d.]+\Z")
# Solaris: the number of the message, then facility and level.
# Or structured data (RFC 5424 section 6.3) that a relay has put into a line of RFC 3164.
_MESSAGE_ID = re.compile(
    r"\[(?:ID \d{1,10} [a-z0-7]{1,16}\.[a-z]{1,16}"
    r"|[\w.@-]{1,32}(?: [\w.@-]{1,32}=\"(?>(?:[^\"\\]++|\\.)*)\")+)\] ?"
)
# systemd's units, where journalctl shows these instead of the tag.
_UNIT = re.compile(r"(postfix)(?:@([\w-]{1,128}))?\.service")
# What a line may begin with that stands behind a tag; one look has to be enough for other texts.
_BEGINNING = re.compile(
    r"(?=[^(])[\s\ufeff]{0,16}(?:"
    # A month, or a weekday and a month.
    r"[^\W\d_][^\s\d:\[\](){}|=]{1,24}+ (?:[^\W\d_][^\s\d:\[\](){}|=]{1,24}+ )? ?"
    r"\d{1,4}[ .,]"
    r"|\d(?:\d{3}[-/. ]|\d{9}|\d?[. -]| \d{4}-)|[{<\[\x1b\x1e]|@cee|@4|#033"
    # A container's name, the tag of a daemon, a level and a tag.
    r"|[\w.@:/+-]{1,128}+(?: *\||(?<=[\w./@+-])\[\d{1,10}\]:)"
    r"|(?:\w{1,8}[.:|])?(?i:emerg|alert|crit|err|warn|notice|info|debug)\S{0,8} +\S{1,128}\[\d)"
)


@dataclass(frozen=True, slots=True)
class Peeled:
    """What the layers of a line say, the innermost after the others; no program if it is a mark.

    ``hosts`` and ``stamps`` are those of all layers, in their order.  The rest is the innermost's;
    ``pri`` is None if only a wrapper says it.
    """

    program: str
    procid: str
    msg: str
    hosts: Sequence[str] = ()
    stamps: Sequence[Stamp] = ()
    pri: int | None = None
    msgid: str = ""
    structured_data: str = ""


@dataclass(slots=True)
class _Layer:
    """One layer so far."""

    hosts: list[str] = field(default_factory=list)
    stamps: list[Stamp] = field(default_factory=list)
    pri: int | None = None
    msgid: str = ""
    structured_data: str = ""


def peel(line: str) -> Peeled | None:
    """The innermost tag of a line, and what all layers say; None if they do not lead to a tag."""
    return _peel(line, 0)


def may_have_header(msg: str) -> bool:
    """Whether a look behind a tag is worth while; cheap, and true of some texts too many."""
    return _BEGINNING.match(msg) is not None


def is_own_tag(tag: str) -> bool:
    """Whether a tag is Postfix's, instance and daemon, and so never that of a wrapper."""
    return tag.startswith("postfix") and "/" in tag


def is_plain_tag(tag: str) -> bool:
    """Whether a tag is no more than that, and a wrapper's only if there is a header behind it.

    What begins a time stamp, an object or an address looks like one, and so does a zone.
    """
    if _ODD_TAG.fullmatch(tag) is not None:
        return False
    if is_queue_id(tag):
        return False
    is_name = tag[:1].isalpha() and not tag.endswith(".service") and not is_zone(tag)
    return is_own_tag(tag) or is_name


def is_queue_id(tag: str) -> bool:
    """Whether what stands in the place of a tag is a queue ID, so that there is none."""
    return _QUEUE_ID.fullmatch(tag) is not None


def without_message_id(msg: str) -> str:
    """The text without Solaris' number of the message, or structured data, before it."""
    found = _MESSAGE_ID.match(msg)
    return msg if found is None else msg[found.end() :]


def program_of_unit(tag: str) -> str:
    """The Postfix instance of a systemd unit (``postfix@-.service``), any other tag as it is."""
    unit = _UNIT.fullmatch(tag)
    if unit is None:
        return tag
    name, instance = unit.groups()
    return name if instance in (None, "-") else instance


def _peel(text: str, depth: int) -> Peeled | None:
    if depth >= _MOST_LAYERS:
        return None
    if (leading := _LEADING.match(text)) is not None:
        text = text[leading.end() :]
    for form in _FORMS:
        found = form(text, depth)
        if found is not None:
            return found
    return None


def _object(text: str, depth: int) -> Peeled | None:
    if cookie := _COOKIE.match(text):
        text = text[cookie.end() :]
    found = read_object(text) if text.startswith("{") else None
    return None if found is None else _structured(found, depth)


def _pairs(text: str, depth: int) -> Peeled | None:
    """logfmt or Fluent Bit's, which stand for themselves: in a text, they are anybody's."""
    if depth:
        return None
    values = read_fluent_bit(text) if text.startswith("[") else read_pairs(text)
    found = None if values is None else read_values(values)
    return None if found is None else _structured(found, depth)


def _structured(found: StructuredLine, depth: int) -> Peeled | None:
    layer = _Layer(
        [found.host] if found.host else [],
        [found.stamp] if found.stamp is not None else [],
        found.pri,
    )
    tag, procid = _split_tag(found.tag, found.procid)
    return _behind_tag(layer, tag, procid, found.text, depth)


def _split_tag(tag: str, procid: str) -> tuple[str, str]:
    """The name of a tag that may have the process id in it; "" if it is none."""
    whole = _WHOLE_TAG.fullmatch(tag)
    if whole is None:
        return "", procid
    # With a process id of its own, parentheses may be a part of the name.
    return (tag, procid) if whole[3] and procid else (whole[1], whole[2] or whole[3] or procid)


def _quoted(text: str, depth: int) -> Peeled | None:
    """A JSON string, or a row of a table: a field of it is a line, others may tell its time."""
    if depth:
        return None
    if "\t" in text and (found := _row(text.split("\t"), _Layer())) is not None:
        return found
    if not text.startswith('"'):
        return None
    try:
        string = orjson.loads(text.rstrip(", "))
    except ValueError:
        return _csv_row(text, _Layer())
    return _peel(string, depth + 1) if isinstance(string, str) else None


def _csv_row(text: str, layer: _Layer) -> Peeled | None:
    """A row of CSV, or the rest of one."""
    try:
        fields = next(csv.reader([text], strict=True))
    except csv.Error:
        return None
    return _row(fields, layer)


def _row(fields: Sequence[str], layer: _Layer) -> Peeled | None:
    layer.stamps += (stamp for each in fields if (stamp := _whole_stamp(each)) is not None)
    # What the others say may be anything, also what looks like a line.
    found = [inner for each in fields[:_MOST_FIELDS] if (inner := _peel(each, 1)) and inner.stamps]
    if not found and layer.stamps and (columns := _columns(fields[:_MOST_FIELDS], layer)):
        return columns
    if not found and layer.stamps:
        some = (_after_stamp(each, _Layer(), 1) for each in fields[:_MOST_FIELDS])
        found = [inner for inner in some if inner is not None]
    return _within(layer, found[0]) if len(found) == 1 else None


def _columns(fields: Sequence[str], layer: _Layer) -> Peeled | None:
    """A row that has Postfix's tag in a field of its own; the longest one behind it is the text."""
    for number, each in enumerate(fields):
        tag, procid = _split_tag(each, "")
        others = fields[number + 1 :] or fields[:number]
        others = [one for one in others if _whole_stamp(one) is None]
        if not is_own_tag(tag) or not others:
            continue
        text = max(others, key=len)
        if not procid and others[0].isdecimal() and others[0] != text:
            procid = others[0]
        host = next((one for one in fields[:number] if _is_host_name(one)), "")
        # The first time is when it was written, others are when it came.
        row = _Layer([host] if host else [], layer.stamps[:1])
        return _peeled(row, tag, procid, text)
    return None


def _whole_stamp(text: str) -> Stamp | None:
    """The time that a text is; None if it is something else, or more than that."""
    stamp = read_stamp(text)
    return stamp if stamp is not None and stamp.end == len(text) else None


def _is_host_name(word: str) -> bool:
    return _HOST_NAME.fullmatch(word) is not None and not is_level_name(word)


def _apple(text: str, depth: int) -> Peeled | None:
    """What macOS shows of its log."""
    head = read_apple_head(text) if not depth else None
    stamp = None if head is None else read_stamp(head.stamp)
    if head is None or stamp is None:
        return None
    return _peeled(_Layer([], [stamp]), head.tag, head.procid, text[head.end :])


def _prefixed(text: str, depth: int) -> Peeled | None:
    """What stands before the line, and is not syslog's."""
    prefixes = (_COMPOSE, _POD, _FOUND_IN, *([_BEFORE_A_LINE] if not depth else []))
    found = [match for prefix in prefixes if (match := prefix.match(text)) is not None]
    lines = [text[match.end() :] for match in found if match.end()]
    if not depth and (line := without_marks(text)) is not None:
        lines.append(line)
    for line in lines:
        inner = _peel(line, depth + 1)
        # Whatever stands there, only a whole header makes it a prefix.
        if inner is not None and inner.stamps:
            return inner
    return None


def _rfc5424(text: str, depth: int) -> Peeled | None:
    match = _RFC5424.fullmatch(text)
    if match is None:
        return None
    pri_text, date, host, tag, procid, msgid, structured_data, msg = match.groups()
    stamp = read_stamp(date) if date else None
    if stamp is None and pri_text is None:
        return None
    pri = int(pri_text) if pri_text and int(pri_text) <= _HIGHEST_PRI else None
    layer = _Layer(
        [] if host == "-" else [host],
        [stamp] if stamp else [],
        pri,
        "" if msgid == "-" else msgid,
        "" if structured_data == "-" else structured_data,
    )
    tag, procid = ("" if one == "-" else one for one in (tag, procid))
    name, procid = _split_tag(tag, procid)
    return _behind_tag(layer, name or tag, procid, msg or "", depth)


def _stamped(text: str, depth: int) -> Peeled | None:
    """A time, then hosts and other words up to a tag or another header."""
    pri, at = None, 0
    if (found := _PRI.match(text)) is not None and int(found[1]) <= _HIGHEST_PRI:
        pri, at = int(found[1]), found.end()
    stamp = read_stamp(text, at)
    if stamp is None:
        return None
    return _after_stamp(_with_blanks(text[stamp.end :]), _Layer([], [stamp], pri), depth)


def _with_blanks(text: str) -> str:
    """What follows a time, where a template has other separators than blanks."""
    separator = text[:1]
    if separator not in (",", ";") or text[1:2] == '"':
        return text
    head, colon, msg = text.partition(": ")
    return head.replace(separator, " ") + colon + msg


def _after_stamp(text: str, layer: _Layer, depth: int) -> Peeled | None:
    for _ in range(_MOST_WORDS):
        text = text.removeprefix(": ").removeprefix(" - ").lstrip(" \t,")
        if text.startswith('"') and not depth and not layer.hosts:
            return _csv_row(text, layer)
        if is_mark(text):
            return _peeled(layer, "", "", text)
        if (leading := _LEADING.match(text)) is not None:
            text = text[leading.end() :]
        if (match := _STREAM.match(text) or _COMPOSE.match(text)) is not None:
            # What a container writes may be anything.
            return _within(layer, _peel(text[match.end() :], depth + 1))
        if len(layer.hosts) < 2 and (match := _FORWARDED.match(text)) is not None:
            layer.hosts.append(match[1])
            text = text[match.end() :]
            continue
        if (match := _LABELS.match(text) or _FLUENTD_TAG.match(text)) is not None:
            text = text[match.end() :]
            continue
        if not layer.hosts and (match := _host_in_brackets(text)) is not None:
            layer.hosts.append(match[1])
            text = text[match.end() :]
            continue
        if (tag := _tag_of(text, layer)) is not None:
            return _behind_tag(layer, tag.name, tag.procid, text[tag.end :], depth)
        if _begins_header(text):
            return _within(layer, _peel(text, depth + 1))
        if (match := LEVEL.match(text)) is not None and _is_no_host(match, text, layer):
            layer.pri = pri_of(match, layer.pri)
            text = text[match.end() :]
            continue
        match = _HOST.match(text)
        if match is None or len(layer.hosts) == 2:
            return None
        # A number behind the host is PRI, or that of a message.
        if not layer.hosts or not match[0].isdecimal():
            layer.hosts.append(match[0])
        text = text[match.end() :]
    return None


def _host_in_brackets(text: str) -> re.Match[str] | None:
    match = _HOST_IN_BRACKETS.match(text)
    if match is None or LEVEL.match(text) is not None:
        return None
    return match if _TAG.match(text, match.end()) else None


class _Tag(NamedTuple):
    name: str
    procid: str
    end: int


def _tag_of(text: str, layer: _Layer) -> _Tag | None:
    """The tag at the beginning of a text, if it can be one behind these hosts."""
    level = LEVEL.match(text)
    if level is not None and (level["open"] or level["facility"]):
        return None
    if (match := _TAG_IN_BRACKETS.match(text)) is not None and not match[1].isdecimal():
        return _Tag(match[1], match[2] or "", match.end())
    if len(layer.hosts) == 1 and (match := _REST_OF_RFC5424.match(text)) is not None:
        return _Tag(match[1], match[2].removeprefix("-"), match.end())
    match = _TAG.match(text)
    if match is None or not any(map(str.isalpha, match[1])):
        return None
    name, procid, number = match.groups()
    tag = _Tag(name, procid or number or "", match.end())
    if procid is not None or number is not None:
        return tag if tag.procid.isdecimal() or text[match.end() - 1] == ":" else None
    if is_queue_id(name):
        return None
    # `INFO:` before a tag.
    if is_level_name(name) and (level or _BARE_TAG.match(text, match.end() + 1)):
        return None
    if len(layer.hosts) < 2 or "/" in name:
        return tag
    # Two words and a colon may be any text: `kernel panic: …`.
    first, second = layer.hosts
    is_host = first.partition(".")[0] == second.partition(".")[0]
    return tag if is_host or _ADDRESS_OR_DOMAIN.match(second) else None


def _is_no_host(level: re.Match[str], text: str, layer: _Layer) -> bool:
    """Whether a level is one: a host may have the name `info`."""
    if is_marked(level) or level[0].isupper() or layer.hosts:
        return True
    return _TAG.match(text[level.end() :].lstrip(" \t")) is None


def _leveled(text: str, depth: int) -> Peeled | None:
    """socklog's: facility and level, then a line without PRI."""
    match = LEVEL.match(text)
    if match is None or not (match["facility"] or match["open"] or match["colon"]):
        return None
    inner = _peel(text[match.end() :], depth + 1)
    if inner is None:
        return None
    return replace(inner, pri=pri_of(match, None)) if inner.pri is None else inner


def _bare(text: str, depth: int) -> Peeled | None:
    """A tag with a process id, and no header at all; within another header only a daemon's."""
    at, pri = 0, None
    if (found := _PRI.match(text)) is not None and int(found[1]) <= _HIGHEST_PRI:
        pri, at = int(found[1]), found.end()
    hosts: list[str] = []
    if pri is not None and (host := _HOST.match(text, at)) is not None:
        # Some senders leave the time out.
        hosts, at = [host[0]], host.end() + 1
    match = _BARE_TAG.match(text, at)
    if match is None or (depth and "/" not in match[1]):
        return None
    return _behind_tag(_Layer(hosts, [], pri), match[1], match[2], text[match.end() :], depth)


def _behind_tag(layer: _Layer, tag: str, procid: str, msg: str, depth: int) -> Peeled | None:
    """The line is at its end, unless its text is a line again."""
    if not is_own_tag(tag) and (not tag or may_have_header(msg)):
        inner = _peel(msg, depth + 1)
        if inner is not None:
            # What the container's daemon says of facility and level is not the line's.
            return _within(replace(layer, pri=None) if tag else layer, inner)
    msg = without_message_id(msg.lstrip(" \ufeff"))
    return _peeled(layer, tag, procid, msg) if tag or is_mark(msg) else None


def _peeled(layer: _Layer, tag: str, procid: str, msg: str) -> Peeled:
    return Peeled(
        program_of_unit(tag),
        procid,
        msg,
        layer.hosts,
        layer.stamps,
        layer.pri,
        layer.msgid,
        layer.structured_data,
    )


def _within(layer: _Layer, inner: Peeled | None) -> Peeled | None:
    if inner is None:
        return None
    return replace(
        inner,
        hosts=[*layer.hosts, *inner.hosts],
        stamps=[*layer.stamps, *inner.stamps],
        pri=layer.pri if inner.pri is None else inner.pri,
    )


def _begins_header(text: str) -> bool:
    """Whether another header begins in the middle of one."""
    at = found.end() if (found := _PRI.match(text)) is not None else 0
    if text.startswith(("{", "@cee"), at) or read_stamp(text, at) is not None:
        return True
    return _RFC5424.fullmatch(text) is not None


_Form = Callable[[str, int], Peeled | None]
_FORMS: Final[Sequence[_Form]] = (
    _object,
    _rfc5424,
    _apple,
    _stamped,
    _leveled,
    _bare,
    _quoted,
    _pairs,
    _prefixed,
)
