"""A proxy on the loopback, which stands before a server of a store."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import socket
import struct
import threading
from collections.abc import Callable


class Proxy:
    """Stands before a server, counts the requests, and fails those that a test wants to fail.

    Args:
        server: the URL of the server.
    """

    def __init__(self, server: str) -> None:
        self.requests: list[str] = []
        """The method and the path of each request, those that failed included."""
        self.failure: Callable[[int], str | None] = lambda number: None
        """What happens to a request, by its number: "500", "reset" before or "lost" after the server has got it."""
        self._server = server.removeprefix("http://")
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                proxy.requests.append(f"{self.command} {self.path}")
                failure = proxy.failure(len(proxy.requests) - 1)
                body = self._body()
                if failure == "reset":
                    self._reset()
                elif failure == "500":
                    self._answer(500, [], b"")
                else:
                    with contextlib.closing(http.client.HTTPConnection(proxy._server, timeout=60)) as connection:
                        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                        for name, value in self.headers.items():
                            if name.lower() != "transfer-encoding":
                                connection.putheader(name, value)
                        connection.endheaders(body)
                        answer = connection.getresponse()
                        content = answer.read()
                    if failure == "lost":
                        self._reset()
                    else:
                        self._answer(answer.status, answer.getheaders(), content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = handle_any  # noqa: N815 - http.server's names

            def _body(self) -> bytes:
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))

            def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
                self.send_response_only(status)
                length = {name.lower(): value for name, value in headers}.get("content-length")
                for name, value in headers:
                    if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                        self.send_header(name, value)
                self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(content)))
                # Some ask twice, and go when they have the first answer.
                with contextlib.suppress(ConnectionError):
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(content)

            def _reset(self) -> None:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()

            def log_message(self, *args: object) -> None:
                """Nothing: the tests read the requests."""

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
