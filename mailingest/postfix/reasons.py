"""What a server or a daemon says -> the same without what differs from line to line.

So that lines that say the same can be counted together: addresses, hosts, queue IDs, numbers and
quoted words become `*`, and status codes (RFC 5321 4.2, RFC 3463) stay.  What stays stands in the
line word for word, so that a search finds it.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

REJECTS: Final = frozenset({"reject", "milter-reject"})
"""The values of `postfix_action` of smtpd, postscreen and cleanup that refuse."""

DEFERRING: Final = frozenset({"deferred", "SOFTBOUNCE"})
"""The values of `postfix_status` of a mail that stays in the queue; the second with soft_bounce."""

LONGEST_REASON: Final = 160
"""Characters; what comes later in a reply explains more than it tells apart."""
# What is looked at.  Most replies are shorter.
_LONGEST_TEXT: Final = 300
# Without the address, many replies are the same again and again; else their words are.
_REMEMBERED: Final = 4096

# smtp(8) says who said it, and in reply to what (smtp/smtp_trouble.c, smtp_chat.c).
_SPEAKER = re.compile(r"host \S{1,300}+ (?:said|refused to talk to me): ")
_IN_REPLY: Final = " (in reply to "
# The name of a DNS list is the reason itself.
_LISTED: Final = " blocked using "

_QUOTED = re.compile(r'<[^<>]*+>?|"[^"]*+"?')
_SEVERAL = re.compile(r"\*(?:[,;:.]?+ \*)+")
_CODE = re.compile(r"#?(?:[245]\d\d|(?:[245]\d\d-)?[245]\.\d{1,3}\.\d{1,3})", re.ASCII)
_NAMED = re.compile(r"[A-Za-z_-]{1,20}=")
# A digit, an address, a host, a path, something in brackets; a long queue ID without a digit.
_DIFFERS = re.compile(r"[\d@\[\\]|\.\w|^/.|^'|[B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{12}")
_AROUND: Final = "()[]{},;:.!?"
# Fewer letters would find everything.
_FEWEST_LETTERS: Final = 5


_REPLIES: Final = (
    "postfix_smtp_response",
    "postfix_local_response",
    "postfix_pipe_response",
    "postfix_error_response",
)

_ADDRESSES: Final = ("postfix_to", "postfix_orig_to", "postfix_from", "postfix_sasl_username")
_SHORTEST_NAME: Final = 3


def add_reason(fields: dict[str, Any]) -> None:
    """Write `postfix_reason` into an event that was deferred, bounced, expired or rejected."""
    if "postfix_status" in fields:
        status = fields["postfix_status"]
        if status == "sent":
            return
        if status in DEFERRING or status == "bounced":
            text = next((fields[name] for name in _REPLIES if name in fields), "")
        else:
            # Anything else is about an address that was only probed.
            text = status if status.endswith("expired") else ""
    elif "postfix_action" in fields:
        text = _refusal(fields) if fields["postfix_action"] in REJECTS else ""
    elif "postfix_milter_result" in fields:
        is_reject = fields["postfix_milter_result"].endswith("reject")
        text = _refusal(fields) if is_reject else ""
    elif "postfix_proxy_result" in fields:
        is_reject = fields["postfix_proxy_result"] == "reject"
        text = fields["postfix_proxy_message"] if is_reject else ""
    elif "postfix_refusal" in fields:
        text = fields["postfix_refusal"]
    else:
        return
    if found := reason(text):
        fields["postfix_reason"] = _without_names(found, fields)


def _without_names(found: str, fields: Mapping[str, Any]) -> str:
    """A reason without the names of those whom the line is about: they differ, and are personal."""
    folded = found.lower()
    for key in _ADDRESSES:
        address = fields.get(key)
        if address and address.partition("@")[0].partition("+")[0].strip('"').lower() in folded:
            found = _without_name(found, address)
    return found


def _without_name(found: str, address: str) -> str:
    local = (address.rpartition("@")[0] or address).strip('"')
    for name in (local, local.partition("+")[0]):
        # A shorter one is rather a word, and one without a letter a status code.
        if len(name) >= _SHORTEST_NAME and any(map(str.isalpha, name)):
            alone = rf"(?<![^\W_]){re.escape(name)}(?![^\W_])"
            found = re.sub(alone, "*", found, flags=re.IGNORECASE)
    return found


def _refusal(fields: Mapping[str, Any]) -> str:
    """The reply as it stands in the line, but for the address or name that it is about."""
    text = fields.get("postfix_status_message") or fields.get("postfix_postscreen_toobusy_data")
    if text is None:
        # What cleanup quotes, a header or a line of the mail, is nobody's reason.
        quoted = fields.get("postfix_message") or fields.get("postfix_milter_message", "")
        return str(quoted).partition(" ")[0]
    codes = [fields.get("postfix_status_code"), fields.get("postfix_status_code_enhanced")]
    start = "".join(f"{code} " for code in codes if code is not None)
    if "postfix_status_data" not in fields:
        return f"{start}{text}"
    about = "Service unavailable; client [*] " if text.startswith("blocked ") else "<>: "
    return f"{start}{about}{text}"


def reason(text: str) -> str:
    """The reason that a text gives; at most `LONGEST_REASON` characters."""
    text = text[:_LONGEST_TEXT]
    if text.startswith("host ") and (spoken := _SPEAKER.match(text)) is not None:
        text = text[spoken.end() :]
    text = text.partition(_IN_REPLY)[0]
    if "<" in text or '"' in text:
        text = _QUOTED.sub("*", text)
    return _reason(text)


def literal(reason: str) -> str:
    """The longest part of a reason that stands in the lines themselves; "" if it says little."""
    longest = max((part.strip(f" {_AROUND}<>=") for part in reason.split("*")), key=len)
    return longest if sum(map(str.isalpha, longest)) >= _FEWEST_LETTERS else ""


@lru_cache(maxsize=_REMEMBERED)
def _reason(text: str) -> str:
    head, listed, rest = text.partition(_LISTED)
    kept = _without(head)
    if listed:
        name, _, rest = rest.partition(" ")
        kept += f"{listed}{name} {_without(rest)}"
    return kept[:LONGEST_REASON].strip()


def _without(text: str) -> str:
    kept = " ".join(map(_word, text.split(" ")))
    return _SEVERAL.sub("*", kept) if " *" in kept else kept


@lru_cache(maxsize=_REMEMBERED)
def _word(word: str) -> str:
    """A word, or what stands for it; punctuation around it stays."""
    if word.isalpha():
        return word
    begin = len(word) - len(word.lstrip(_AROUND))
    core = word.strip(_AROUND)
    if not word.isprintable():
        return "*"
    if not _DIFFERS.search(core) or _CODE.fullmatch(core):
        return word
    end = word[begin + len(core) :]
    if end[:1] in (")", "]") and ("[" in core or "(" in core):
        end = end[1:]  # it closes what is gone
    named = _NAMED.match(core)
    return f"{word[:begin]}{named[0] if named else ''}*{end}"
