"""Errors of the client -> what they mean for the caller, in one line that says what to do."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from elastic_transport import ConnectionTimeout, SerializationError
from elasticsearch import ApiError, TransportError

from mailingest.errors import MailingestError, StoreUnavailable, UsageError
from mailingest.stores.elastic.refusals import (
    CLUSTER_BLOCKS,
    REASON_LENGTH,
    Refusal,
    block_hint,
    judge,
    reason,
)
from mailingest.stores.elastic.tls import tls_hint

# What a server says of a request, and what an operator does about it: for causes that the status
# does not tell.  Blocks are among the refusals of documents.
_FIXES: Final = (
    (
        "license is non-compliant",
        "the server's license does not cover it or has expired: renew it, or switch that feature "
        "off there",
    ),
    (
        "that have the same priority",
        "another index template has the same priority: give it another one",
    ),
    (
        "after composition with component templates",
        "the component template PREFIX@custom does not go together with mailingest's mappings and "
        "settings: change it",
    ),
    (
        "results in invalid composable template",
        "settings do not go together with those of the component template PREFIX@custom: change it",
    ),
)


@contextmanager
def explained(needed: str) -> Iterator[None]:
    """Raise an error of the client as `explain` has it; ``needed`` are privileges."""
    try:
        yield
    except (ApiError, TransportError) as error:
        raise explain(error, needed) from error


def explain(error: ApiError | TransportError, needed: str) -> MailingestError:
    """The error to raise for one of the client's.

    UsageError where only the operator can fix it, StoreUnavailable where time may.  ``needed``
    are the privileges for what was tried.
    """
    if isinstance(error, ApiError):
        return _explain_answer(error, needed)
    detail = " ".join(str(error.message).split())[:REASON_LENGTH]
    if isinstance(error, ConnectionTimeout):
        return StoreUnavailable(f"the server did not answer in time: {detail}")
    if isinstance(error, SerializationError):
        return StoreUnavailable(f"the answer is not JSON: check for a proxy in between ({detail})")
    if (hint := tls_hint(detail)) is not None:
        return UsageError(f"{hint} ({detail})")
    return StoreUnavailable(
        f"the server cannot be reached: check that it runs, and address and scheme in hosts "
        f"({detail})"
    )


def _explain_answer(error: ApiError, needed: str) -> MailingestError:
    status = error.status_code
    node = error.meta.node
    where = f"{node.scheme}://{node.host}:{node.port}"
    if status == 401:
        return UsageError(
            f"{where} refuses the login: check username and password_file, api_key_file or "
            "bearer_token_file, and that the server knows them"
        )
    said = refusal_reason(error)
    fix = block_hint(error_object(error)) or (fix_of(said) if status < 500 else None)
    if fix is not None:
        return UsageError(f"{where} refuses the request: {fix} ({said})")
    if status == 403:
        return UsageError(f"{where} denies access: give the user's role {needed} ({said})")
    if status == 429 or status >= 500:
        return StoreUnavailable(f"{where} is not ready: {said}")
    hint = "" if error_object(error) else "; check hosts"
    return UsageError(f"{where} refuses the request: {said}{hint}")


def fix_of(said: str) -> str | None:
    """What is wrong and what to do, for what a server says of a request; None if unknown.

    >>> fix_of("400 illegal_argument_exception: ... that have the same priority [205] ...")
    'another index template has the same priority: give it another one'
    >>> fix_of("403 security_exception: action [indices:admin/...] is unauthorized")
    """
    return next((fix for cause, fix in _FIXES if cause in said), None)


def refusal_of(error: ApiError, index: str) -> Refusal:
    """What it says of the one document of a request, which is for that index."""
    if error.status_code == 413:
        limit = "raise http.max_content_length of the server, or the limit of the proxy before it"
        return Refusal("document", refusal_reason(error), limit, kind="413")
    return judge(error.status_code, error_object(error) or error.message, index)


def refusal_reason(error: ApiError) -> str:
    """What the server, or a proxy before it, says of a request that it refuses."""
    if error.status_code == 413:
        return "413 larger than the server takes (http.max_content_length, or a proxy's limit)"
    return reason(error.status_code, error_object(error) or error.message)


def error_object(error: ApiError) -> object:
    """The error object of the server, or None if something else answered in its place."""
    return error.body.get("error") if isinstance(error.body, Mapping) else None


def block_of(settings: Mapping[str, Any]) -> str | None:
    """What is wrong and what to do, if the settings of a cluster let nobody write there.

    ``settings`` are the answer to ``GET _cluster/settings``; what is transient goes first.

    >>> block_of({"persistent": {"cluster": {"blocks": {"read_only": "true"}}}})
    'the whole cluster is read-only: set cluster.blocks.read_only to null (PUT _cluster/settings)'
    >>> block_of({"persistent": {}, "transient": {"cluster": {"blocks": {"read_only": "false"}}}})
    """
    blocks: dict[str, Any] = {}
    for level in ("persistent", "transient"):
        blocks |= settings.get(level, {}).get("cluster", {}).get("blocks", {})
    return next((fix for name, fix in CLUSTER_BLOCKS.items() if blocks.get(name) == "true"), None)
