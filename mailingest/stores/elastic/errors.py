"""Errors of the client -> what they mean for the caller, in one line that says what to do."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from elastic_transport import ConnectionTimeout, SerializationError
from elasticsearch import ApiError, TransportError

from mailingest.errors import MailingestError, StoreUnavailable, UsageError
from mailingest.stores.elastic.bulk import REASON_LENGTH, reason
from mailingest.stores.elastic.tls import tls_hint

# Settings of a cluster below `cluster.blocks`.
_BLOCKS: Final = {
    "read_only": (
        "the cluster is read-only: set cluster.blocks.read_only to null (PUT _cluster/settings)"
    ),
    "read_only_allow_delete": (
        "the cluster is read-only, mostly since its disks are full: make room, then set "
        "cluster.blocks.read_only_allow_delete to null (PUT _cluster/settings)"
    ),
}
# What a server says, and what an operator does about it: for causes that the status does not tell.
_FIXES: Final = (
    # The numbers of these blocks.
    ("[FORBIDDEN/6/", _BLOCKS["read_only"]),
    ("[FORBIDDEN/13/", _BLOCKS["read_only_allow_delete"]),
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
    if status < 500 and (fix := fix_of(said)) is not None:
        return UsageError(f"{where} refuses the request: {fix} ({said})")
    if status == 403:
        return UsageError(f"{where} denies access: give the user's role {needed} ({said})")
    if status == 429 or status >= 500:
        return StoreUnavailable(f"{where} is not ready: {said}")
    hint = "" if error_object(error) else "; check hosts"
    return UsageError(f"{where} refuses the request: {said}{hint}")


def fix_of(said: str) -> str | None:
    """What is wrong and what to do, for what a server says of a request; None if unknown.

    >>> fix_of("403 cluster_block_exception: blocked by: [FORBIDDEN/6/cluster read-only (api)];")
    'the cluster is read-only: set cluster.blocks.read_only to null (PUT _cluster/settings)'
    >>> fix_of("403 security_exception: action [indices:admin/...] is unauthorized")
    """
    return next((fix for cause, fix in _FIXES if cause in said), None)


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
    'the cluster is read-only: set cluster.blocks.read_only to null (PUT _cluster/settings)'
    >>> block_of({"persistent": {}, "transient": {"cluster": {"blocks": {"read_only": "false"}}}})
    """
    blocks: dict[str, Any] = {}
    for level in ("persistent", "transient"):
        blocks |= settings.get(level, {}).get("cluster", {}).get("blocks", {})
    return next((fix for name, fix in _BLOCKS.items() if blocks.get(name) == "true"), None)
