"""A report -> a mail of text and HTML, for ``sendmail -t``; pure.

The HTML has no links, pictures or scripts, and its styles in the elements: so it looks alike in
all programs, and nothing is fetched.
"""

import re
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from typing import Final

from mailingest.errors import UsageError
from mailingest.escaping import escape_terminal
from mailingest.report.report import Report
from mailingest.report.tables import Table, tables, title, warnings
from mailingest.report.text import text

# A name on this machine, such as `postmaster`.
_LOCAL: Final = re.compile(r"[a-z0-9_][a-z0-9._-]*", re.IGNORECASE | re.ASCII)

_BODY: Final = "font:14px/1.4 sans-serif;color:#1f2328;background:#fff;margin:16px"
_TABLE: Final = "border-collapse:collapse;margin:0 0 8px;font-variant-numeric:tabular-nums"
_CELL: Final = "padding:2px 16px 2px 0;border-bottom:1px solid #d8dee4;vertical-align:top"
_NUMBER: Final = f"{_CELL};text-align:right;white-space:nowrap"
_HEAD: Final = ";color:#57606a;font-weight:normal"
_WARNING: Final = "background:#fff8c5;border:1px solid #d4a72c;padding:8px"


def mail(report: Report, recipients: str, sender: str | None = None) -> bytes:
    """The mail with its header; raises UsageError if an address cannot be one.

    Without ``sender``, sendmail(1) says who sends it.
    """
    message = EmailMessage(policy=SMTP.clone(linesep="\n", max_line_length=78))
    message["Subject"] = escape_terminal(title(report))
    if sender is not None:
        message["From"] = _address(sender)
    message["To"] = [_address(one) for one in recipients.split(",")]
    # RFC 3834: nobody's vacation program answers.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text(report), cte="quoted-printable")
    message.add_alternative(html(report), subtype="html", cte="quoted-printable")
    return message.as_bytes()


def html(report: Report) -> str:
    """The report as a page of its own."""
    parts = [f'<h1 style="font-size:18px">{_shown(title(report))}</h1>']
    parts += [f'<p style="{_WARNING}">{_shown(one)}</p>' for one in warnings(report)]
    if report.is_empty:
        parts.append("<p>Nothing was counted in this time.</p>")
    else:
        parts += map(_table, tables(report))
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{_shown(title(report))}</title>\n</head>\n"
        f'<body style="{_BODY}">\n{body}\n</body>\n</html>\n'
    )


def _table(table: Table) -> str:
    lines = [
        f'<h2 style="font-size:15px;margin:20px 0 4px">{_shown(table.title)}</h2>',
        f'<table style="{_TABLE}">',
    ]
    if any(table.heads):
        cells = [
            f'<th scope="col" style="{_style(table, place)}{_HEAD}">{_shown(head)}</th>'
            for place, head in enumerate(table.heads)
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    for row in table.rows:
        cells = [
            f'<td style="{_style(table, place)}">{_shown(cell)}</td>'
            for place, cell in enumerate(row)
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    lines.append("</table>")
    if table.note:
        lines.append(f'<p style="color:#57606a;margin:0">{_shown(table.note)}</p>')
    return "\n".join(lines)


def _style(table: Table, place: int) -> str:
    if table.is_named:
        is_number = 0 < place < (len(table.heads) if any(table.heads) else 2)
    else:
        is_number = place == 0
    return _NUMBER if is_number else f"{_CELL};word-break:break-word"


def _shown(text: str) -> str:
    return escape(escape_terminal(text))


def _address(text: str) -> Address:
    address = text.strip()
    try:
        if _LOCAL.fullmatch(address):
            return Address(username=address)
        return Address(addr_spec=address)
    except (ValueError, HeaderParseError, IndexError):
        raise UsageError(
            f"{escape_terminal(text)}: not an address: write it as name@example.org"
        ) from None
