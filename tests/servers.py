"""Real servers on the loopback, started by the tests and ended by them."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
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


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False
    return True
