"""An HTTP proxy before a server that fails on demand, as servers and networks do."""

import http.client
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any, Final

_BUSY: Final = {"type": "es_rejected_execution_exception", "reason": "injected"}
_TIMEOUT_SECONDS: Final = 120.0

_STORMS: Final = ("401 storm", "429 storm", "503 storm")
WHOLE_MODES: Final = (*_STORMS, "lost answers")
"""Those that are about requests as a whole."""
MODES: Final = (*WHOLE_MODES, "half-failed bulks")
_WRITES: Final = ("/_bulk", "/insert/jsonline")


class Proxy:
    """Listens on a port of 127.0.0.1 and passes everything on to ``server_port``.

    ``mode`` is "" or one of MODES, which are about requests that write: they are refused whole; or
    every other document, picked at random, is refused and the rest passed on; or all are passed on
    and the connection is cut instead of an answer.  ``failures`` counts the requests that met one.
    """

    def __init__(self, server_port: int, seed: int) -> None:
        self.mode = ""
        self.failures = 0
        self._random = Random(seed)
        self._server_port = server_port
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                proxy.serve(self)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve

            def log_message(self, format: str, *args: Any) -> None:
                del format, args

        self._listener = _Listener(("127.0.0.1", 0), Handler)
        self._listener.daemon_threads = True
        self.port: int = self._listener.server_address[1]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve until the block ends."""
        thread = threading.Thread(target=self._listener.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._listener.shutdown()
            self._listener.server_close()
            thread.join()

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        body = request.rfile.read(int(request.headers.get("content-length") or 0))
        mode = self.mode if request.path.partition("?")[0].endswith(_WRITES) else ""
        self.failures += bool(mode)
        if mode in _STORMS:
            status = int(mode[:3])
            _answer(request, status, json.dumps({"error": _BUSY, "status": status}).encode())
            return
        pairs = [b"\n".join(pair) for pair in _pairs(body)] if mode == "half-failed bulks" else []
        passed = [self._random.random() < 0.5 for _ in pairs]
        if pairs:
            body = b"".join(
                [pair + b"\n" for pair, is_on in zip(pairs, passed, strict=True) if is_on]
            )
        if pairs and not body:
            _answer(request, 429, json.dumps({"error": _BUSY, "status": 429}).encode())
            return
        try:
            status, answer = self._pass_on(request, body)
        except (OSError, http.client.HTTPException):
            request.close_connection = True
            return
        if mode == "lost answers":
            request.close_connection = True
            return
        if pairs and status == 200:
            answer = _with_refusals(answer, passed)
        _answer(request, status, answer)

    def _pass_on(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes]:
        server = http.client.HTTPConnection(
            "127.0.0.1", self._server_port, timeout=_TIMEOUT_SECONDS
        )
        try:
            kept = ("accept", "content-type", "content-encoding")
            headers = {
                name: value for name, value in request.headers.items() if name.lower() in kept
            }
            server.request(request.command, request.path, body or None, headers)
            answer = server.getresponse()
            return answer.status, answer.read()
        finally:
            server.close()


class _Listener(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A daemon that was killed resets its connections; anything else is told."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _pairs(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    lines = iter(body.rstrip(b"\n").split(b"\n"))
    return zip(lines, lines, strict=True)


def _with_refusals(answer: bytes, passed: list[bool]) -> bytes:
    items = iter(json.loads(answer)["items"])
    refusal = {"create": {"status": 429, "error": _BUSY}}
    return json.dumps(
        {"errors": True, "items": [next(items) if is_on else refusal for is_on in passed]}
    ).encode()


def _answer(request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    try:
        request.send_response(status)
        request.send_header("content-type", "application/json")
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)
    except OSError:
        request.close_connection = True  # the daemon was killed while it waited
