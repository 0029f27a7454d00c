"""No secret enters what is written beside an artifact, and what is none does."""

from __future__ import annotations

import argparse
import base64
import dataclasses
import json
import logging
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Repository

from pyrepro import Artifact, ReproduceError, config_hash, read_record, reproduce

SECRET = "s3cr/e+t@42=x"
"""Holds what separates elsewhere."""

FORMS = (
    SECRET,
    SECRET.encode().hex(),
    *(base64.b64encode(b"x" * n + SECRET.encode())[4:-4].decode() for n in (1, 2, 3)),
)
"""In the forms that bytes have in JSON."""


def written(directory: pathlib.Path) -> str:
    """Every file below a directory, with its name."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert files
    return "\n".join(f"{path.name}\n{path.read_bytes().decode(errors='replace')}" for path in files)


def record_of(path: str) -> Any:
    return json.loads(pathlib.Path(f"{path}.pyrepro.json").read_text(encoding="utf-8"))


@pytest.fixture
def save(repository: Repository, out: pathlib.Path) -> Callable[..., Any]:
    """Makes an artifact of a value, which is its configuration, and gives its record."""

    def call(value: Any, **options: Any) -> Any:
        @Artifact("outpath", config=dict, repo=repository.path, record=True, cache=True, **options)
        def made(outpath: str, value: Any) -> None:
            pathlib.Path(outpath).write_text("good job")

        return record_of(made("foo.txt", value))

    return call


# Names

CALLED_LIKE_A_SECRET = [
    *("password", "db_password", "PGPASSWORD", "passwd", "passphrase", "secret", "clientSecret", "secrets", "hf_token"),
    *("HFToken", "token2", "api_key", "api-key", "apiKey", "X-API-Key", "api_keys", "credential", "aws_credentials"),
    *("private_key", "aws_secret_access_key", "SECRET_KEY", "auth", "oauth", "Authorization", "bot_token", "apitoken"),
    *("MYSQL_PWD", "dbPwd", "front-end-token", "admin_token"),
]
INNOCENT_NAMES = [
    *("monkey", "key", "sort_key", "keyboard", "author", "authors", "authority", "tokenizer", "tokens", "max_tokens"),
    *("token_ids", "secretary", "password_file", "compass", "bypass", "accession", "keyword", "n_tokens", "passenger"),
    *("pad_token", "tokenizer.eos_token", "mask_token", "auth_type", "secret_sharing", "tokenized", "keypath"),
    *("pad-token", "stop_token", "end-token", "max_token", "n_token", "token_dim", "token_type", "authenticated"),
    *("pwd", "OLDPWD", "low_pass"),
]


@pytest.mark.parametrize("name", CALLED_LIKE_A_SECRET)
def test_a_value_that_is_called_like_a_secret_is_left_out_and_listed(
    name: str, save: Callable[..., Any], out: pathlib.Path
) -> None:
    found = save({name: SECRET, "lr": 0.1})
    assert found["withheld"] == [f"value.{name}"]
    assert found["config"] == {"value": {"lr": 0.1}}
    assert found["call"]["arguments"] == {"value": {"lr": 0.1}}
    assert SECRET not in written(out)


@pytest.mark.parametrize("name", INNOCENT_NAMES)
def test_a_value_that_is_called_otherwise_is_recorded(name: str, save: Callable[..., Any]) -> None:
    found = save({name: "x" * 20})
    assert found["withheld"] == []
    assert found["call"]["arguments"] == {"value": {name: "x" * 20}}
    assert found["call"]["unrecorded"] == {}


def test_that_there_is_no_secret_or_that_one_is_used_is_none(save: Callable[..., Any]) -> None:
    value = {"token": None, "use_auth": True}
    assert save(value)["call"]["arguments"] == {"value": value}


@dataclasses.dataclass
class Login:
    user: str
    password: str


@dataclasses.dataclass
class Service:
    name: str
    login: Login


@pytest.mark.parametrize(
    "value",
    [
        Login("me", SECRET),
        argparse.Namespace(user="me", password=SECRET),
        {"logins": [Login("me", SECRET)]},
        Service("db", Login("me", SECRET)),
        {1: {"password": SECRET}},
        {"password": SECRET.encode()},
        f"postgres://me:{SECRET}@db/x".encode(),
        [1.5, (f"postgres://me:{SECRET}@db/x".encode(), None)],
        ({"password": SECRET},),
        {"password": [SECRET, {"old": SECRET}, None, True]},
        {"password": SECRET, "note": f"it is {SECRET}."},
        {SECRET: 1, "password": SECRET},
        ["psql", "--password", SECRET, "--host", "db"],
        {"command": ("run", "--secrets", SECRET, "x", "-h")},
    ],
    ids=str,
)
def test_a_secret_within_an_argument_of_any_type_is_left_out(
    value: Any, save: Callable[..., Any], out: pathlib.Path
) -> None:
    found = save(value)
    assert found["withheld"]
    assert list(found["call"]["unrecorded"]) == ["value"]
    assert found["call"]["typed"] == {}
    assert not [one for one in FORMS if one in written(out)]


# Texts

KEY = "abcdefghijklmnopqrstuvwxyzABCDEF"

WITH_SECRETS = [
    f"https://user:{SECRET}@example.org/x",
    f"https://{SECRET}@github.com/lab/a.git",
    f"git+https://{SECRET}@github.com/lab/a.git@main",
    f"postgresql+psycopg2://me:{SECRET}@db:5432/x",
    f"redis://:{SECRET}@localhost:6379/0",
    f"mongodb://me:{SECRET}@a:1,b:2/db?authSource=admin",
    f"s3://AKIA:{SECRET}@bucket/x.csv",
    f"abfss://me:{SECRET}@account.example.org/x",
    f"see https://user:{SECRET}@example.org/x for more",
    f"https://example.org/a,https://user:{SECRET}@example.org",
    f"https://example.org/?next=https://user:{SECRET}@example.org",
    "https://example.org/?next=https%3A%2F%2Fuser%3A" + "s3cr%2Fe%2Bt%4042%3Dx" + "%40example.org",
    f"https://user:a b {SECRET}@example.org",
    f"https://example.org/x?a=1&token={SECRET}",
    f"https://example.org/x?X-Amz-Signature={SECRET}&a=1",
    f"https://example.org/x?sig={SECRET}",
    f"https://example.org/x#access_token={SECRET}",
    f"jdbc:postgresql://db/x?user=me&password={SECRET}",
    f"jdbc:sqlserver://db:1433;user=me;password={SECRET};a=1",
    f"jdbc:mysql://me:{SECRET}@db/x",
    "mssql+pyodbc:///?odbc_connect=Server%3Ddb%3BPwd%3D" + "s3cr%2Fe%2Bt%4042%3Dx",
    f"me:{SECRET}@example.org:lab/a.git",
    f"me:{SECRET}@tcp(127.0.0.1:3306)/db",
    f"me:{SECRET}@db.example.org",
    f"//me:{SECRET}@example.org/x",
    f"host=db user=me password={SECRET} dbname=x",
    f"Server=db;Password={SECRET};a=1",
    f"password = '{SECRET}'",
    f'{{"api_key": "{SECRET}"}}',
    f"{{'password': '{SECRET}'}}",
    f"db: {{password: {SECRET}}}",
    f"user: me\npassword: {SECRET}",
    f"Authorization: Bearer {SECRET}",
    "Bearer abcdefghijklmnopqrstuvwxyz",
    f"run --password {SECRET}",
    f"export HF_TOKEN={SECRET}",
    f"headers[Authorization]={SECRET}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}",
    f"https://example.org/x?user=me&pwd={SECRET}",
    f"example.org/x?a=1&sig={SECRET}",
    f"/x?signature={SECRET}",
    f"Server=db;Uid=me;Pwd={SECRET};a=1",
    f"AccountName=me;AccountKey={SECRET};a=1",
    "Basic dXNlcjpwYXNz",
    "curl -H 'x: bearer abc123def' example.org",
    "AKIAIOSFODNN7EXAMPLE",
    "aws configure set aws_access_key_id AKIAIOSFODNN7EXAMPLE",
    f"ghp_{KEY} is mine",
    f"hf_{KEY}",
    f"sk-proj-A1-{KEY}",
    f"see glpat-{KEY}",
    f"eyJ{KEY}.eyJ{KEY}.{KEY}",
]
PARTS = (KEY, "AKIA", "dXNl", "abc123", SECRET, "s3cr", "t@42", "42=x", "s3cr%2F", "abcdefghijklmnopqrstuvwxyz")
INNOCENT_TEXTS = [
    *("https://example.org/x?q=token&author=me", "https://unpkg.com/@angular/core@12", "https://localhost:8888/@x/y"),
    *("https://[::1]:80/@x", "https://example.org/?email=me@example.org", "hf://datasets/lab/x@main/a.csv"),
    *("https://gitlab/@scope/x", "https://gitlab/x/a@b", "ftp://localhost/a@example.org"),
    *("s3://bucket/data@2024/x.csv", "abfs://container@account.dfs.example.org/x", "sqlite:////tmp/a@b.db"),
    *(
        "file:///tmp/a@b:c",
        "ssh://git@example.org/a.git",
        "git@example.org:lab/a.git",
        "git+ssh://git@example.org/a@v1",
    ),
    *("docker://ubuntu@sha256:0123", "ubuntu:22.04@sha256:0123456789abcdef", "npm:react@17.0.2", "C:/a@example.org/x"),
    *(
        "me@example.org",
        "mailto:me@example.org",
        "recall@10",
        "the secret: a story",
        "token == 'the'",
        "a token = b"[:7],
    ),
    *(
        "basic statistics",
        "Basic level 2",
        "sk-learn-compatible-estimators",
        "hf_datasets_cache_directory_of_the_tests",
    ),
    *("mu=1;sig=0.5", "a;pass=2", "PWD=/x", "ASIA", "task-0123456789-ABCDEFGHIJKLM", "github_pat", "eyJ.x", "a.py?raw"),
    *("max_tokens=512", "author=me", "monkey: x", "--tokenizer x", "x --auth", "10:30", "Bearer of news", "a-a-a", ""),
]


@pytest.mark.parametrize("text", WITH_SECRETS)
def test_a_secret_in_a_text_is_cut_out_of_it(text: str, save: Callable[..., Any], out: pathlib.Path) -> None:
    found = save(text)
    assert found["withheld"] == ["value"]
    assert found["call"]["unrecorded"] == {"value": "builtins.str"}
    assert not [part for part in PARTS if part in written(out)]


@pytest.mark.parametrize("text", INNOCENT_TEXTS)
def test_a_text_without_secrets_is_recorded_as_it_is(text: str, save: Callable[..., Any]) -> None:
    found = save(text)
    assert (found["call"]["arguments"], found["withheld"]) == ({"value": text}, [])


def test_what_is_kept_of_a_url_says_what_it_leads_to(save: Callable[..., Any]) -> None:
    found = save(
        {"database": "mysql://me:pw@db:3306/x", "cut": "https://a:p@s/s@h/x", "query": "https://h/?token=x&b=1"}
    )
    assert found["config"]["value"] == {
        "database": "mysql://db:3306/x",
        "cut": "https://<withheld>",
        "query": "https://h/?token=<withheld>&b=1",
    }
    assert found["withheld"] == ["value.cut", "value.database", "value.query"]


# The command line


@pytest.mark.parametrize(
    ("argv", "recorded", "withheld"),
    [
        (["--password", SECRET, "x"], ["--password", "<withheld>", "x"], ["--password"]),
        (["--db-password", "-x" + SECRET], ["--db-password", "<withheld>"], ["--db-password"]),
        ([f"--api-key={SECRET}", "x"], ["--api-key=<withheld>", "x"], ["--api-key"]),
        (["-token", SECRET], ["-token", "<withheld>"], ["-token"]),
        (["--pass", SECRET], ["--pass", "<withheld>"], ["--pass"]),
        ([f"--passw={SECRET}"], ["--passw=<withheld>"], ["--passw"]),
        (
            ["--secrets", SECRET, SECRET, "--lr", "1"],
            ["--secrets", "<withheld>", "<withheld>", "--lr", "1"],
            ["--secrets"],
        ),
        ([f"HF_TOKEN={SECRET}"], ["HF_TOKEN=<withheld>"], ["HF_TOKEN"]),
        ([f"+db.password={SECRET}"], ["+db.password=<withheld>"], ["db.password"]),
        ([f"-Dproxy.password={SECRET}"], ["-Dproxy.password=<withheld>"], ["-Dproxy.password"]),
        (["-e", f"TOKEN={SECRET}"], ["-e", "TOKEN=<withheld>"], ["TOKEN"]),
        (["-H", f"Authorization: {SECRET}"], ["-H", "Authorization: <withheld>"], ["argv[2]"]),
        ([f"postgresql://me:{SECRET}@db/x"], ["postgresql://db/x"], ["argv[1]"]),
        ([f"--db=postgresql://me:{SECRET}@db/x"], ["--db=postgresql://db/x"], ["argv[1]"]),
        (
            [SECRET, "AKIAIOSFODNN7EXAMPLE", "--password", SECRET],
            ["<withheld>"] * 2 + ["--password", "<withheld>"],
            ["--password", "argv[1]", "argv[2]"],
        ),
        (
            ["FOO_TOKEN=" + SECRET, "--x", "Bearer a1b2c3d4e5"],
            ["FOO_TOKEN=<withheld>", "--x", "Bearer <withheld>"],
            ["FOO_TOKEN", "argv[3]"],
        ),
        (["--token", SECRET, SECRET], ["--token", "<withheld>", "<withheld>"], ["--token", "argv[3]"]),
        (["--auth", "--lr", "1"], ["--auth", "--lr", "1"], []),
        (["--author", "me", "max_tokens=3", "--token"], ["--author", "me", "max_tokens=3", "--token"], []),
    ],
)
def test_the_secrets_of_a_command_line_are_left_out_and_listed(
    argv: list[str],
    recorded: list[str],
    withheld: list[str],
    save: Callable[..., Any],
    out: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", *argv])
    found = save(1)
    assert (found["call"]["argv"], found["withheld"]) == (["train.py", *recorded], withheld)
    assert SECRET not in written(out)


def test_the_home_directory_is_a_tilde_wherever_it_stands(
    save: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = os.path.expanduser("~")
    argv = [f"--home={home}", f"-I{home}/include", f"/mnt{home}", f"{home}2", f"{home}/x:{home}"]
    monkeypatch.setattr(sys, "argv", ["train.py", *argv])
    found = save({"cache": f"{home}/cache"})
    assert found["call"]["argv"] == ["train.py", "--home=~", "-I~/include", f"/mnt{home}", f"{home}2", "~/x:~"]
    assert found["call"]["arguments"] == {"value": {"cache": "~/cache"}}
    assert (found["withheld"], found["call"]["unrecorded"]) == ([], {})
    found = save({f"{home}/a": {f"{home}/b": 1}})
    assert found["config"] == {"value": {"~/a": {"~/b": 1}}} == found["call"]["arguments"]
    # Within a text nobody could find it again.
    assert save(f"--cache={home}/cache")["call"]["unrecorded"] == {"value": "builtins.str"}


# Remotes


@pytest.mark.parametrize(
    ("url", "recorded"),
    [
        (f"u:{SECRET}@h:x", "h:x"),
        ("u:PASS@h:x", "h:x"),
        ("u:PASS@h/x", "h/x"),
        ("https://u:pa/ss@h/x", "https://h/x"),
        ("https://u:12/34@h/x", "https://h/x"),
        (f"https://u:{SECRET}@h/x", "https://h/x"),
        (f"https://{SECRET}@example.org/x", "https://example.org/x"),
        ("https://u:p@s/s@h/x", "https://<withheld>"),
        (f"https://h/x.git?private_token={SECRET}", "https://h/x.git"),
        ("ssh://git:pw@h/x", "ssh://h/x"),
        ("git@h:x", "git@h:x"),
        ("me@h:a@b:c", "h:a@b:c"),
        ("h:lab/a@b.git", "h:lab/a@b.git"),
        ("../a@b:c", "../a@b:c"),
        ("/srv/a@b:c.git", "/srv/a@b:c.git"),
    ],
)
def test_a_remote_of_any_form_is_recorded_without_credentials(
    url: str, recorded: str, save: Callable[..., Any], repository: Repository, out: pathlib.Path
) -> None:
    repository.git("remote", "add", "origin", url)
    assert save(1)["code"]["remote"] == recorded
    assert SECRET not in written(out)


# What the decorator is told


def test_other_secrets_are_named(save: Callable[..., Any], out: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "--pin", SECRET])
    found = save({"user": "me", "pin": SECRET, "deep": {"code": SECRET}}, secret=("pin", "value.deep.code"))
    assert found["withheld"] == ["--pin", "value.deep.code", "value.pin"]
    assert found["config"] == {"value": {"user": "me", "deep": {}}}
    assert SECRET not in written(out)


def test_a_whole_argument_is_left_out_and_what_it_holds_is_found_in_the_configuration(
    repository: Repository, out: pathlib.Path
) -> None:
    config: Any = lambda call: call["login"]  # noqa: E731

    @Artifact("outpath", config=config, repo=repository.path, record=True, secret="login")
    def made(outpath: str, login: Any) -> str:
        pathlib.Path(outpath).write_text("good job")
        return outpath

    found = record_of(made("foo.txt", {"code": SECRET}))
    assert found["call"]["arguments"] == {}
    assert found["config"] == {"code": "<withheld>"}
    assert found["withheld"] == ["code", "login"]


@pytest.mark.parametrize("secret", [3, ["a", "a"], [3]])
def test_what_is_no_list_of_names_is_a_type_error(secret: Any) -> None:
    with pytest.raises(TypeError, match="^Artifact secret="):
        Artifact("outpath", secret=secret)


def test_a_withheld_value_is_in_the_hash_and_one_warning_says_so(
    repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", config=dict, repo=repository.path, record=True)
    def hashed(outpath: str, api_key: str) -> str:
        pathlib.Path(outpath).write_text("good job")
        return outpath

    found = record_of(hashed("foo.txt", SECRET))
    record_of(hashed("bar.txt", SECRET))
    assert (found["config"], found["config_hash"]) == ({}, config_hash({"api_key": SECRET}))
    assert caplog.messages == [
        f"the records of {__name__}:{hashed.__qualname__} leave out api_key, whose values are part of the configuration "
        f"hash; where they do not change the artifact, pass ignore=['api_key']"
    ]


def test_an_ignored_secret_is_in_neither(
    repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", config=dict, ignore="api_key", repo=repository.path, record=True)
    def save(outpath: str, api_key: str) -> str:
        pathlib.Path(outpath).write_text("good job")
        return outpath

    found = record_of(save("foo.txt", SECRET))
    assert (found["config_hash"], found["withheld"], caplog.messages) == (config_hash({}), ["api_key"], [])
    assert SECRET not in written(out)


def test_a_name_that_nothing_has_is_warned_of(
    repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    @Artifact("outpath", config={"a": 1}, repo=repository.path, record=True, secret=["pni", "a"], ignore=[])
    def misspelt(outpath: str, pin: str) -> str:
        pathlib.Path(outpath).write_text("good job")
        return outpath

    misspelt("foo.txt", "1")
    assert (
        f"secret names 'pni', which is neither a parameter of {__name__}:{misspelt.__qualname__} nor a key of its "
        f"configuration; correct the name" in caplog.messages
    )


def test_a_secret_of_a_configuration_does_not_touch_an_argument_of_another_name(
    repository: Repository, out: pathlib.Path
) -> None:
    @Artifact("outpath", config={"db": {"password": SECRET}}, repo=repository.path, record=True)
    def save(outpath: str, db: str) -> str:
        pathlib.Path(outpath).write_text("good job")
        return outpath

    found = record_of(save("foo.txt", "main"))
    assert (found["call"]["arguments"], found["call"]["unrecorded"]) == ({"db": "main"}, {})
    assert found["withheld"] == ["db.password"]


# Patches


def test_one_line_says_that_a_patch_was_written_since_it_holds_every_edit(
    repository: Repository, out: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    repository.write("lib/model.py", f"TOKEN = {SECRET!r}\n")

    @Artifact("outpath", repo=repository.path, record=True, allow_dirty=True)
    def save(outpath: str) -> str:
        pathlib.Path(outpath).write_text("good job")
        return outpath

    with caplog.at_level(logging.INFO):
        patch = record_of(save("foo.txt"))["code"]["patch"]
        save("bar.txt")
    assert [message for message in caplog.messages if ".patch" in message] == [
        f"{patch} was put beside the record of what {save.__qualname__} made: it holds every local edit of the code, with "
        f"any password or token in it; read it before you hand it on"
    ]
    assert SECRET in (out / patch).read_text()


# The way back


PROGRAM = """\
import sys
from pyrepro import Artifact

@Artifact("outpath", config=dict, ignore=["api_key", "cache"], record=True)
def save(outpath, api_key, cache):
    open(outpath, "w").write("good job " + cache)
    return outpath

if __name__ == "__main__":
    print(save(sys.argv[1], sys.argv[3], sys.argv[4]))
"""


def test_what_is_withheld_is_asked_for_and_the_home_directory_is_that_of_today(
    repository: Repository, out: pathlib.Path
) -> None:
    repository.commit(step=PROGRAM)
    home = os.path.expanduser("~")
    done = repository.run("step.py", out / "foo.txt", "--api-key", SECRET, f"{home}/cache")
    assert done.stderr == ""
    path = done.stdout.strip()
    assert SECRET not in written(out)
    assert home not in written(out).replace(str(out), "").replace(f"good job {home}", "")
    assert read_record(path).withheld == ["--api-key", "api_key"]
    with pytest.raises(ReproduceError) as error:
        reproduce(path, repository.path)
    assert str(error.value) == (
        f"{pathlib.Path(path).name} cannot be made again: the arguments api_key (a builtins.str) were not recorded; pass "
        f"them as arguments=\nits command line held a secret, which is not recorded"
    )
    assert reproduce(path, repository.path, arguments={"api_key": "another"}).same
