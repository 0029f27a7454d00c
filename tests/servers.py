"""Real servers on the loopback, started by the tests and ended by them."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import shutil
import socket
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from conftest import wait_until

WEED = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
"""The server of SeaweedFS, which speaks the protocol of S3."""

S3_KEY, S3_SECRET = "a-test-key", "a-test-secret"


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens to, below those that the system gives away by itself."""
    found: list[int] = []
    for port in range(20000 + 97 * (hash(Path.cwd()) % 100), 32000):
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == number:
            return found
    raise AssertionError("no port is free")


@contextlib.contextmanager
def s3_server(directory: Path) -> Iterator[str]:
    """A server of S3; its URL."""
    assert WEED is not None
    names = ["master.port", "volume.port", "filer.port", "s3.port"]
    ports = free_ports(2 * len(names))
    config = directory / "s3.json"
    credentials = [{"accessKey": S3_KEY, "secretKey": S3_SECRET}]
    config.write_text(json.dumps({"identities": [{"name": "t", "credentials": credentials, "actions": ["Admin"]}]}))
    flags = [f"-{name}={port}" for name, port in zip(names, ports, strict=False)]
    flags += [f"-{name}.grpc={port}" for name, port in zip(names, ports[len(names) :], strict=True)]
    command = [WEED, "server", f"-dir={directory}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", *flags]
    command += [f"-s3.config={config}", "-master.telemetry=false", "-volume.max=50", "-master.volumeSizeLimitMB=200"]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{ports[3]}"
    try:
        wait_until(lambda: _answers(url), process)
        yield url
    finally:
        # Nothing of it is kept, and it takes half a minute to end by itself.
        process.kill()
        process.wait()


SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin") or shutil.which("sshd")
"""OpenSSH's server."""


@contextlib.contextmanager
def sftp_server(directory: Path, home: Path) -> Iterator[str]:
    """A server of SFTP for this user, who has a key in a home directory; the URL of its root."""
    assert SSHD is not None
    (home / ".ssh").mkdir(exist_ok=True)
    key, host_key, [port] = home / ".ssh" / "id_ed25519", directory / "host_key", free_ports(1)
    for path in (key, host_key):
        path.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    options = {
        "ListenAddress": "127.0.0.1",
        "AuthorizedKeysFile": f"{key}.pub",
        "StrictModes": "no",
        "PermitRootLogin": "yes",
        "UsePAM": "no",
        "PidFile": "none",
        "Subsystem": "sftp internal-sftp",
        "MaxStartups": "100",
    }
    command = [SSHD, "-D", "-e", "-f", "/dev/null", "-p", str(port), "-h", str(host_key)]
    command += [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(lambda: _listens(port), process)
        yield f"sftp://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False
    return True


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

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 - http.server's names

            def _body(self) -> bytes:
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))

            def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
                self.send_response_only(status)
                length = {name.lower(): value for name, value in headers}.get("content-length")
                for name, value in headers:
                    if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                        self.send_header(name, value)
                self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(content)))
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
