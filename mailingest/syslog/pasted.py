"""What a mail, a forum or a web page puts around a log line that somebody pasted into it.  Pure.

Quotations, lists, code, markup and numbers of lines stand before whole lines, and some of them are
closed at their end.  The source of a web page has `<` and `>` as entities.
"""

import html
import re
from typing import Final

_MARKS = re.compile(
    r"(?:[>*+•·–—→`'|│┃\t -]|&gt;|\.{3}|…"
    # The number of a line, or of a list's item.
    r"|\d{1,9}[.):;]?(?=[\t │|])"
    r"|<(?:code|pre|p|li|td|tr|div|span|font|samp|br)(?: [^<>]{0,200})?/?>"
    r"|\[(?:code|quote|pre)(?:=[^\[\]]{0,100})?\]|\{(?:noformat|code|quote)(?::[^{}]{0,50})?\}"
    r"|\[(?=')){1,40}"
    # The last line of rsyslog's RSYSLOG_DebugFormat.
    r"|inputname: \S{1,64} rawmsg: '"
)
_CLOSED_BY: Final = (
    ("`", re.compile(r"`{1,3}\Z")),
    ("*", re.compile(r"\*{1,3}\Z")),
    ("'", re.compile(r"'[,\]]{0,2}\Z")),
    ("<", re.compile(r"(?:</[a-z]{1,8}>|<br ?/?>){1,8}\Z")),
    ("[", re.compile(r"\[/(?:code|quote|pre)\]\Z")),
    ("{", re.compile(r"\{(?:noformat|code|quote)\}\Z")),
)
# An address or Message-ID that is in brackets in each line of a log, so that there are none left.
_ESCAPED = re.compile(r"(?:from|to|message-id|helo|ctladdr)=&lt;", re.ASCII)
_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|apos|nbsp|#\d{2,4}|#x[0-9A-Fa-f]{2,4});", re.ASCII)


def without_marks(text: str) -> str | None:
    """What is within marks; None if there are none.

    >>> without_marks("> `postfix/qmgr[318]: 4F2A11E0ABC: removed`")
    'postfix/qmgr[318]: 4F2A11E0ABC: removed'
    """
    match = _MARKS.match(text)
    if match is None:
        return None
    line = text[match.end() :]
    for mark, end in _CLOSED_BY:
        if mark in match[0]:
            line = end.sub("", line)
    return line


def without_entities(text: str) -> str:
    """The text of a line that was copied from the source of a web page, any other as it is.

    >>> without_entities("4F2A11E0ABC: from=&lt;ann@example.org&gt;, size=460, nrcpt=1")
    '4F2A11E0ABC: from=<ann@example.org>, size=460, nrcpt=1'
    >>> without_entities("from=<ann@example.org> to=<bob@example.net> helo=&lt;")
    'from=<ann@example.org> to=<bob@example.net> helo=&lt;'
    """
    if "<" in text or _ESCAPED.search(text) is None:
        return text
    return _ENTITY.sub(lambda one: html.unescape(one[0]), text)
