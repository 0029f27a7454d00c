"""A proxy on the loopback, which stands before a server of a store."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

BEFORE = ("500", "reset", "silent")
"""Failures of requests that the server never gets: an answer of another, the connection reset, no answer."""

AFTER = ("lost", "late", "cut")
"""Failures after the server has got the request: the connection reset, no answer, half of it and then a reset."""

SLOW = "slow"
"""No failure: the answer comes in small pieces."""

_PIECE = 64  # bytes


class Proxy:
    """Stands before a server, counts the requests, and fails those that a test wants to fail.

    Args:
        server: the URL of the server.
    """

    def __init__(self, server: str) -> None:
        self.requests: list[str] = []
        """The method and the path of each request, those that failed included."""
        self.failure: Callable[[int], str | None] = lambda number: None
        """What happens to a request, by its number."""
        self.server = server.removeprefix("http://")
        self._under_way = 0
        self._ended = threading.Condition()
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("", (_Handler,), {"proxy": self}))
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """What ``settle`` waits for."""
        with self._ended:
            self._under_way += 1
        try:
            yield
        finally:
            with self._ended:
                self._under_way -= 1
                self._ended.notify_all()

    def settle(self) -> None:
        """Wait until the server has answered every request, also of who is gone."""
        with self._ended:
            self._ended.wait_for(lambda: not self._under_way)

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    """One connection to a proxy."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits for 40 ms between its head and its body
    proxy: Proxy

    def handle_any(self) -> None:
        with self.proxy.under_way():
            self.proxy.requests.append(f"{self.command} {self.path}")
            failure = self.proxy.failure(len(self.proxy.requests) - 1)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = (500, [], b"") if failure in BEFORE else self._asked(body)
        # Some ask twice, and go when they have the first answer; a process that was killed is gone.
        with contextlib.suppress(ConnectionError):
            if failure in ("silent", "late"):
                self.rfile.read(1)  # until the client has had enough
                self.close_connection = True
            elif failure in ("reset", "lost"):
                self._reset()
            else:
                self._answer(*answer, failure)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = handle_any  # noqa: N815 - http.server's names

    def _asked(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """What the server answers."""
        with contextlib.closing(http.client.HTTPConnection(self.proxy.server, timeout=60)) as connection:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() != "transfer-encoding":
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, failure: str | None) -> None:
        self.send_response_only(status)
        length = {name.lower(): value for name, value in headers}.get("content-length")
        for name, value in headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        is_head = self.command == "HEAD"
        self.send_header("Content-Length", length if is_head and length else str(len(content)))
        self.end_headers()
        if failure == "cut":
            self.wfile.write(content[: len(content) // 2])
            self._reset()
        elif failure == SLOW:
            for start in range(0, len(content), _PIECE):
                self.wfile.write(content[start : start + _PIECE])
                time.sleep(0.001)
        elif not is_head:
            self.wfile.write(content)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, *args: object) -> None:
        """Nothing: the tests read the requests."""
