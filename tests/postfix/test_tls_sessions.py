"""How a delivery's connection was encrypted is written into the delivery event."""

from collections.abc import Iterable

import orjson
import pytest

from mailingest.config import Settings
from mailingest.pipeline import Pipeline
from mailingest.postfix import tls_sessions
from mailingest.postfix.tls_sessions import TlsSessions
from mailingest.wiring import build_pipeline

STAMP = "Nov 24 15:41:{:02} mx1 postfix/{}[{}]: {}"
TLS = (
    "Untrusted TLS connection established to mx.example.net[192.0.2.9]:25: TLSv1.3 with cipher"
    " TLS_AES_256_GCM_SHA384 (256/256 bits)"
)
DELIVERY = (
    "652D1A4A862: to=<bob@example.net>, relay=mx.example.net[{}]:25, delay=1, delays=0/0/0/1,"
    " dsn=2.0.0, status=sent (250 Ok)"
)


@pytest.fixture
def pipeline() -> Pipeline:
    return build_pipeline(Settings(), live=False, wait=0.0)


def deliver(pipeline: Pipeline, lines: Iterable[str]) -> dict[str, object]:
    documents = [one for line in lines for one in pipeline.feed(line.encode(), 1_795_600_000.0)]
    event: dict[str, object] = orjson.loads(documents[-1].body)
    return event


@pytest.mark.parametrize(
    ("pid", "relay", "second", "known"),
    [
        pytest.param(7, "192.0.2.9", 20, True, id="the same process, the same relay"),
        pytest.param(8, "192.0.2.9", 20, False, id="another process"),
        pytest.param(7, "192.0.2.10", 20, False, id="another relay"),
    ],
)
def test_only_the_delivery_over_that_connection_tells(
    pipeline: Pipeline, pid: int, relay: str, second: int, known: bool
) -> None:
    event = deliver(
        pipeline,
        [
            STAMP.format(19, "smtp", 7, TLS),
            STAMP.format(second, "smtp", pid, DELIVERY.format(relay)),
        ],
    )
    assert (event.get("postfix_tls_version") == "TLSv1.3") is known
    assert (event.get("postfix_tls_trustlevel") == "Untrusted") is known
    assert (event.get("postfix_tls_cipher") == "TLS_AES_256_GCM_SHA384") is known


def test_it_survives_a_snapshot(pipeline: Pipeline) -> None:
    deliver(pipeline, [STAMP.format(19, "smtp", 7, TLS)])
    restored = build_pipeline(Settings(), live=False, wait=0.0)
    restored.restore(pipeline.snapshot())
    event = deliver(restored, [STAMP.format(20, "smtp", 7, DELIVERY.format("192.0.2.9"))])
    assert event["postfix_tls_version"] == "TLSv1.3"


def test_an_old_connection_is_not_taken_for_a_new_one(pipeline: Pipeline) -> None:
    late = STAMP.format(20, "smtp", 7, DELIVERY.format("192.0.2.9")).replace("15:41", "16:41")
    event = deliver(pipeline, [STAMP.format(19, "smtp", 7, TLS), late])
    assert "postfix_tls_version" not in event


def test_a_snapshot_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="another version"):
        TlsSessions().restore([b'["mx1 postfix/smtp 7",1,["192.0.2.9"],["Trusted"]]'])


def test_the_connections_of_the_oldest_processes_are_forgotten(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_sessions, "_CAPACITY", 2)
    deliver(pipeline, [STAMP.format(19, "smtp", pid, TLS) for pid in (7, 8, 9)])
    lines = [STAMP.format(20, "smtp", pid, DELIVERY.format("192.0.2.9")) for pid in (7, 9)]
    assert ["postfix_tls_version" in deliver(pipeline, [line]) for line in lines] == [False, True]
