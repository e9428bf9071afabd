"""What a server refuses a document for: whose fault that is, and what an operator does about it.

The texts are those of Elasticsearch 7.10 to 9 and of OpenSearch 1 to 3.  A rule looks at the type
of an error and at the beginning of its reason, which the server words: further on may stand what
somebody has sent.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from mailingest.documents import Document
from mailingest.errors import MailingestError, StoreUnavailable, UsageError

PRIVILEGES: Final = (
    "monitor and manage_index_templates on the cluster, create_doc and create_index on the indices "
    "(OpenSearch: cluster_monitor, cluster_manage_index_templates and indices:data/write/bulk, "
    "write and create_index)"
)
"""What writing takes; tests log in with no more than that."""

REASON_LENGTH: Final = 500
"""Characters; some servers repeat the whole of a long value that they refuse."""

Fault = Literal["document", "index", "cluster", "passing"]
"""Whose fault a refusal is.

``index``: no document of that index is taken until an operator has set it right.  ``cluster``: the
same of many indices.  ``passing``: time mends it.
"""


@dataclass(frozen=True, slots=True)
class _Cause:
    fault: Fault
    sign: re.Pattern[str]
    """Matches the beginning of "TYPE: REASON"."""
    hint: str
    """What is wrong and what to do; ``{index}`` stands for the name of the index."""


def _cause(fault: Fault, sign: str, hint: str) -> _Cause:
    return _Cause(fault, re.compile(sign), hint)


_REMADE: Final = (
    "move its documents elsewhere (POST _reindex), delete it, and mailingest makes it anew by its "
    "template; or set another index.prefix or type"
)
# While a server starts, it is SERVICE_UNAVAILABLE, and that passes.
_BLOCKED: Final = (
    r"\w+_block_exception: (index \[[^]]*\] )?blocked by: \[(FORBIDDEN|TOO_MANY_REQUESTS)/"
)

CLUSTER_BLOCKS: Final = {
    "read_only": (
        "the whole cluster is read-only: set cluster.blocks.read_only to null (PUT "
        "_cluster/settings)"
    ),
    "read_only_allow_delete": (
        "the whole cluster takes only deletions: free disk space, then set "
        "cluster.blocks.read_only_allow_delete to null (PUT _cluster/settings)"
    ),
}
"""Settings below `cluster.blocks` that let nobody write, and what to do about each."""

_BLOCKS: Final = (
    _cause(
        "cluster",
        f"{_BLOCKED}12/",
        "a disk of the cluster is over its flood stage "
        "(cluster.routing.allocation.disk.watermark.flood_stage), so that {index} takes only "
        "deletions: free disk space, with `mailingest retention` for one; then the server lifts "
        "index.blocks.read_only_allow_delete by itself",
    ),
    _cause(
        "cluster",
        f"{_BLOCKED}6/",
        CLUSTER_BLOCKS["read_only"],
    ),
    _cause(
        "cluster",
        f"{_BLOCKED}13/",
        CLUSTER_BLOCKS["read_only_allow_delete"],
    ),
    _cause(
        "cluster",
        f"{_BLOCKED}10/",
        "the cluster makes no new index, since the disks of all nodes are over the high watermark "
        "or cluster.blocks.create_index is set: free disk space, or set it to null (PUT "
        "_cluster/settings)",
    ),
    _cause(
        "index",
        f"{_BLOCKED}8/",
        "{index} has a write block: set index.blocks.write to null (PUT {index}/_settings)",
    ),
    _cause(
        "index",
        f"{_BLOCKED}5/",
        "{index} is read-only: set index.blocks.read_only to null (PUT {index}/_settings)",
    ),
    _cause(
        "index",
        f"{_BLOCKED}9/",
        "{index} has a metadata block: set index.blocks.metadata to null (PUT {index}/_settings)",
    ),
    _cause(
        "index",
        f"index_closed_exception: |{_BLOCKED}4/",
        "{index} is closed: open it (POST {index}/_open)",
    ),
    _cause(
        "index",
        _BLOCKED,
        "{index} is blocked: look at its settings and at those of the cluster below blocks",
    ),
)
_CAUSES: Final = (
    *_BLOCKS,
    _cause(
        "index",
        r"\w+: Validation Failed: 1: this action would add \[\d+\] (total )?(\[?\w+\]? )?shards",
        "the cluster may have no more shards, so that {index} cannot be made: delete old indices, "
        "with `mailingest retention` for one, or raise cluster.max_shards_per_node (PUT "
        "_cluster/settings)",
    ),
    _cause(
        "index",
        r"validation_exception: ",
        "{index} cannot be made, for the reason in parentheses: change that on the server",
    ),
    _cause(
        "index",
        r"index_not_found_exception: no such index \[[^]]*\] and \[require_alias\]",
        "{index} has to be an alias and is none: create it with a write index (POST _aliases)",
    ),
    _cause(
        "index",
        r"index_not_found_exception: ",
        "{index} is missing and the server may not make it: allow it in action.auto_create_index "
        "(PUT _cluster/settings), or create the index or alias",
    ),
    _cause(
        "index",
        r"illegal_argument_exception: no write index is defined for alias ",
        "{index} is an alias without a write index: set is_write_index for one of its indices "
        "(POST _aliases)",
    ),
    _cause(
        "index",
        r"illegal_argument_exception: pipeline with id \[[^]]*\] does not exist",
        "{index} names an ingest pipeline that the server does not have: create it, or set "
        "index.default_pipeline and index.final_pipeline to _none (PUT {index}/_settings)",
    ),
    _cause(
        "cluster",
        r"security_exception: ",
        f"the user may not write to {{index}}: give its role {PRIVILEGES}",
    ),
    _cause(
        "document",
        r"strict_dynamic_mapping_exception: ",
        f"the mapping of {{index}} is strict and lacks fields of mailingest's template: {_REMADE}",
    ),
    _cause(
        "document",
        r"illegal_argument_exception: Limit of total fields ",
        "{index} has too many fields to take more: raise index.mapping.total_fields.limit (PUT "
        "{index}/_settings)",
    ),
    # What a processor of the site's own pipeline says of a document, with whatever status.
    _cause(
        "document",
        r"(fail|ingest)_processor_exception: ",
        "a processor of an ingest pipeline of {index} fails: set it right, or set "
        "index.default_pipeline and index.final_pipeline to _none (PUT {index}/_settings)",
    ),
)

_FIELD: Final = re.compile(
    r"(?:\[\d+:\d+\] )?"
    r"(?:failed to parse field \[(?P<field>[^]]{1,200})\] of type \[(?P<type>\w+)\]"
    r"|object mapping for \[(?P<object>[^]]{1,200})\])"
)

FEW: Final = 10
"""So many documents may be refused in a row before it is held for the fault of their index."""

_MOST_CAUSES: Final = 1000


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an error of the API says; ``said`` is the server's word for it, ``hint`` ours.

    ``kind`` is the same for documents that are refused for the same reason: the type of the error,
    and the field.
    """

    fault: Fault
    said: str
    hint: str = ""
    kind: str = ""

    @property
    def line(self) -> str:
        """One line for an operator: what is wrong, what to do, and what the server said."""
        return f"{self.hint} ({self.said})" if self.hint else self.said

    def error(self) -> MailingestError:
        """The error to raise where nothing is stored for it."""
        if self.fault == "passing":
            return StoreUnavailable(f"the store takes no document: {self.said}")
        return UsageError(self.line)


def judge(status: int, error: object, index: str) -> Refusal:
    """What a status and an error object say of a document for an index.

    What is not known is the fault of the document if the status is 400 or 413, and passes if it is
    429 or 500 and more.  Any other status says nothing of the document.
    """
    said = reason(status, error)
    kind = error_type(error)
    if (cause := _find(_CAUSES, error)) is not None:
        return Refusal(cause.fault, said, cause.hint.format(index=index), kind)
    if status == 429 or status >= 500:
        return Refusal("passing", said, kind=kind)
    if status in (400, 413):
        found = _FIELD.match(_said(error))
        field = (found["field"] or found["object"]) if found else ""
        return Refusal("document", said, kind=f"{status} {kind} {field}".rstrip())
    return Refusal("index", said, f"{index} takes no document", kind)


def block_hint(error: object) -> str:
    """What is blocked and what to do, if an error of the API says so of a request; else ""."""
    cause = _find(_BLOCKS, error)
    return cause.hint.format(index="an index") if cause else ""


def _find(causes: Sequence[_Cause], error: object) -> _Cause | None:
    text = f"{error_type(error)}: {_said(error)}"
    return next((cause for cause in causes if cause.sign.match(text)), None)


def _said(error: object) -> str:
    return str(error.get("reason", "") if isinstance(error, Mapping) else error)


def held_line(index: str, refusal: Refusal, types: Mapping[str, str]) -> str:
    """The line for an operator if an index takes none of the documents that it should.

    ``types`` are those of the fields in mailingest's template.
    """
    if refusal.hint:
        return refusal.line
    what = f"{index} takes no document"
    if found := _FIELD.match(refusal.said.partition(": ")[2]):
        field, type_ = found["field"] or found["object"], found["type"] or "object"
        what = f"{index} maps {field} as {type_}"
        if (wanted := types.get(field, type_)) != type_:
            what += f", and mailingest as {wanted}"
    return f"{what}: {_REMADE} ({refusal.said})"


class Sent(NamedTuple):
    """What was known when a request was sent: its answer says nothing of what was there before.

    ``held`` are the indices of which documents are held as mapped otherwise, and ``take_others``
    those of them that have stored documents since.
    """

    held: frozenset[str]
    take_others: frozenset[str]


class Refused:
    """Tells an index that takes no documents from documents that an index does not take.

    A refusal that seems to be a document's fault is the index's if `FEW` documents of that index
    were refused for it and none was stored between them: an index that is mapped otherwise refuses
    each one, and among bad documents there are good ones.  So it does not matter how many documents
    a batch has.  A document that was held so is at fault all the same if it is refused once more
    when the index has taken others.
    """

    def __init__(self) -> None:
        self._in_a_row: dict[str, Counter[str]] = {}
        self._held: dict[str, set[str]] = {}  # ids, by index
        self._take_others: set[str] = set()

    def sending(self) -> Sent:
        """To be asked when a request is sent, and handed in with its answer."""
        return Sent(frozenset(self._held), frozenset(self._take_others))

    def are_stored(self, documents: Sequence[Document], sent: Sent) -> None:
        """Documents were stored, or are there."""
        for document in documents if self._held else ():
            self._let_go(document)
        for index in {document.index for document in documents}:
            self._in_a_row.pop(index, None)
            if index in self._held and index in sent.held:
                self._take_others.add(index)

    def add(self, document: Document, refusal: Refusal) -> None:
        """A document was refused, as if by its own fault."""
        if sum(map(len, self._in_a_row.values())) >= _MOST_CAUSES:
            self._in_a_row.clear()  # of days that somebody makes up
        self._in_a_row.setdefault(document.index, Counter())[refusal.kind] += 1

    def is_held(self, document: Document, refusal: Refusal, sent: Sent) -> bool:
        """Whether it is held for the fault of its index."""
        index = document.index
        held = self._held.get(index, set())
        if document.id in held and index in sent.take_others & self._take_others:
            self._let_go(document)
            return False
        if self._in_a_row.get(index, Counter())[refusal.kind] < FEW:
            self._let_go(document)
            return False
        if document.id not in held:
            self._take_others.discard(index)  # it does not any more
        self._held.setdefault(index, held).add(document.id)
        return True

    def _let_go(self, document: Document) -> None:
        held = self._held.get(document.index, set())
        held.discard(document.id)
        if not held:
            self._held.pop(document.index, None)
            self._take_others.discard(document.index)


def error_type(error: object) -> str:
    """The name of an error object of the API, or "" if it has none."""
    return str(error.get("type", "")) if isinstance(error, Mapping) else ""


def reason(status: int, error: object) -> str:
    """One line for people: the status, the error and the causes that it gives.

    >>> reason(400, {"type": "mapper_parsing_exception", "reason": "failed to parse",
    ...              "caused_by": {"type": "number_format_exception", "reason": "no number"}})
    '400 mapper_parsing_exception: failed to parse; number_format_exception: no number'
    """
    return " ".join(f"{status} {causes_of(error)}".split())[:REASON_LENGTH]


def causes_of(error: object) -> str:
    """The error and the causes that it gives, without bounds on its length and lines."""
    causes: list[str] = []
    while isinstance(error, Mapping):
        # Where JSON cannot be parsed, Elasticsearch 7 repeats the request, with its headers
        # and so with the password, after "at [Source".
        said = str(error.get("reason", "")).partition("at [Source")[0]
        causes.append(f"{error_type(error)}: {said}".removesuffix(": "))
        error = error.get("caused_by")
    if isinstance(error, str):
        causes.append(error)
    return "; ".join(causes)
