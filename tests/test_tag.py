"""A tag is put into a path before its suffix, and read back from a name."""

from __future__ import annotations

import os
import pathlib
import pickle
from typing import Any, NamedTuple

import pytest
from conftest import posix_only

from pyrepro import NotTaggedError, Tag

CLEAN = Tag("0123456789ab", None, "44136fa355b3")
DIRTY = Tag("0123456789ab", "ba9876543210", "44136fa355b3")
TEXT = "0123456789ab-44136fa355b3"


def test_the_text_of_a_clean_tag_is_commit_and_config() -> None:
    assert str(CLEAN) == "0123456789ab-44136fa355b3"


def test_the_text_of_a_dirty_tag_names_the_changes_between_them() -> None:
    assert str(DIRTY) == "0123456789ab-dirty-ba9876543210-44136fa355b3"


def test_a_tag_is_a_frozen_value_that_pickles() -> None:
    assert pickle.loads(pickle.dumps(DIRTY)) == DIRTY
    assert {CLEAN: 1}[Tag("0123456789ab", None, "44136fa355b3")] == 1
    with pytest.raises(AttributeError, match="cannot assign to field 'commit'"):
        CLEAN.commit = "0" * 12
    with pytest.raises(AttributeError, match="cannot delete field 'commit'"):
        del CLEAN.commit
    assert repr(CLEAN) == "Tag(commit='0123456789ab', changes=None, config='44136fa355b3')"
    assert CLEAN != "0123456789ab-44136fa355b3"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (("0123", None, "44136fa355b3"), "Tag commit='0123' is not 12 lower-case hex digits; pass commit[:12]"),
        (
            ("0" * 12, "F" * 12, "0" * 12),
            f"Tag changes='{'F' * 12}' is not 12 lower-case hex digits; pass changes[:12]",
        ),
        (("0" * 12, None, None), "Tag config=None is not 12 lower-case hex digits; pass config[:12]"),
    ],
)
def test_a_field_that_is_not_12_hex_digits_is_a_value_error(fields: Any, message: str) -> None:
    with pytest.raises(ValueError) as error:
        Tag(*fields)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("plain", "tagged"),
    [
        ("foo.txt", f"foo-{TEXT}.txt"),
        ("out/foo.txt", f"out/foo-{TEXT}.txt"),
        ("/abs/foo.txt", f"/abs/foo-{TEXT}.txt"),
        ("./foo.txt", f"./foo-{TEXT}.txt"),
        ("a//b///foo.txt", f"a//b///foo-{TEXT}.txt"),
        ("archive.7z", f"archive-{TEXT}.7z"),
        ("song.mp3", f"song-{TEXT}.mp3"),
        ("lr0.01", f"lr0.01-{TEXT}"),
        ("lr0.01.pkl", f"lr0.01-{TEXT}.pkl"),
        ("model.tar.gz", f"model-{TEXT}.tar.gz"),
        ("run.v1.2.csv.gz", f"run.v1.2-{TEXT}.csv.gz"),
        ("data.csv.bz2", f"data-{TEXT}.csv.bz2"),
        ("data.csv.xz", f"data-{TEXT}.csv.xz"),
        ("data.csv.zst", f"data-{TEXT}.csv.zst"),
        ("data.csv.lz4", f"data-{TEXT}.csv.lz4"),
        ("data.csv.br", f"data-{TEXT}.csv.br"),
        ("data.csv.Z", f"data-{TEXT}.csv.Z"),
        ("data.gz", f"data-{TEXT}.gz"),
        ("data.01.gz", f"data.01-{TEXT}.gz"),
        ("data.csv.zip", f"data.csv-{TEXT}.zip"),
        ("Makefile", f"Makefile-{TEXT}"),
        (".bashrc", f".bashrc-{TEXT}"),
        ("..rc", f"..rc-{TEXT}"),
        (".config.json", f".config-{TEXT}.json"),
        (".tar.gz", f".tar-{TEXT}.gz"),
        ("foo.", f"foo.-{TEXT}"),
        ("foo.c++", f"foo.c++-{TEXT}"),
        ("plot.données", f"plot.données-{TEXT}"),
        ("été.png", f"été-{TEXT}.png"),
        ("a b.png", f"a b-{TEXT}.png"),
        ("a\nb.png", f"a\nb-{TEXT}.png"),
        ("dir/", f"dir-{TEXT}/"),
        ("out.zarr/", f"out-{TEXT}.zarr/"),
        ("dir//", f"dir-{TEXT}//"),
        ("s3://bucket/a//b.csv", f"s3://bucket/a//b-{TEXT}.csv"),
        ("memory://b.csv", f"memory://b-{TEXT}.csv"),
        ("file:///b.csv", f"file:///b-{TEXT}.csv"),
        ("simplecache::s3://bucket/b.csv", f"simplecache::s3://bucket/b-{TEXT}.csv"),
    ],
)
def test_the_tag_goes_before_the_suffix_of_the_last_component(plain: str, tagged: str) -> None:
    assert CLEAN.put(plain) == tagged
    assert CLEAN.put(plain.encode()) == tagged.encode()
    assert Tag.from_path(tagged) == CLEAN


@posix_only  # on Windows a backslash is a separator
def test_a_backslash_is_part_of_a_name_on_posix() -> None:
    assert CLEAN.put("a\\b.txt") == f"a\\b-{TEXT}.txt"


@posix_only  # on Windows file names are text
def test_a_name_that_is_not_utf_8_keeps_its_bytes() -> None:
    assert CLEAN.put(b"out/\xff.txt") == b"out/\xff-" + TEXT.encode() + b".txt"


class AStr(str):
    pass


class WithFspath:
    def __init__(self, path: str | bytes) -> None:
        self.path = path

    def __fspath__(self) -> str | bytes:
        return self.path


class WithName:
    """As of universal_pathlib: no os.PathLike, but with a name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def with_name(self, name: str) -> WithName:
        return type(self)(name)


class Pair(NamedTuple):
    left: str
    right: str


@pytest.mark.parametrize("kind", [pathlib.Path, pathlib.PurePosixPath, pathlib.PureWindowsPath])
def test_a_pathlib_path_keeps_its_class(kind: type[pathlib.PurePath]) -> None:
    tagged = CLEAN.put(kind("out/lr0.01.tar.gz"))
    assert tagged == kind(f"out/lr0.01-{TEXT}.tar.gz")
    assert type(tagged) is type(kind("out"))


def test_what_has_with_name_keeps_its_class() -> None:
    tagged = CLEAN.put(WithName("foo.txt"))
    assert (type(tagged), tagged.name) == (WithName, f"foo-{TEXT}.txt")


@pytest.mark.parametrize("path", [WithFspath("out/foo.txt"), WithFspath(b"out/foo.txt")])
def test_another_path_like_becomes_a_str(path: Any) -> None:
    assert CLEAN.put(path) == f"out/foo-{TEXT}.txt"
    assert CLEAN.put(WithFspath(f"foo-{TEXT}.txt")) == f"foo-{TEXT}.txt"


def test_a_subclass_of_str_becomes_a_str() -> None:
    assert type(CLEAN.put(AStr("foo.txt"))) is str


def test_none_passes_through() -> None:
    assert CLEAN.put(None) is None


@pytest.mark.parametrize(
    ("paths", "tagged"),
    [
        (["a.txt", None], [f"a-{TEXT}.txt", None]),
        (("a.txt", pathlib.Path("b")), (f"a-{TEXT}.txt", pathlib.Path(f"b-{TEXT}"))),
        (Pair("a", "b"), Pair(f"a-{TEXT}", f"b-{TEXT}")),
        ([], []),
    ],
)
def test_a_list_or_tuple_is_tagged_element_by_element(paths: Any, tagged: Any) -> None:
    assert CLEAN.put(paths) == tagged
    assert type(CLEAN.put(paths)) is type(tagged)


@pytest.mark.parametrize(
    "path",
    [f"foo-{TEXT}.txt", f"foo-{TEXT}.tar.gz", pathlib.Path(f"foo-{TEXT}"), f"dir-{TEXT}/", f"foo-{TEXT}".encode()],
)
def test_a_path_that_ends_in_this_very_tag_is_left_as_it_is(path: Any) -> None:
    assert CLEAN.put(path) == path


def test_another_tag_is_put_behind_the_one_that_is_there() -> None:
    assert DIRTY.put(f"foo-{TEXT}.txt") == f"foo-{TEXT}-{DIRTY}.txt"
    assert CLEAN.put(f"foo-{DIRTY}.txt") == f"foo-{DIRTY}-{TEXT}.txt"


def test_a_dirty_tag_that_ends_like_a_clean_one_is_not_that_one() -> None:
    ends_alike = Tag("ba9876543210", None, "44136fa355b3")
    assert ends_alike.put(f"foo-{DIRTY}.txt") == f"foo-{DIRTY}-{ends_alike}.txt"


def test_a_stem_that_would_make_the_name_read_as_another_tag_is_a_value_error() -> None:
    with pytest.raises(ValueError) as error:
        CLEAN.put("x-ffffffffffff-dirty.txt")
    assert str(error.value) == (
        f"'x-ffffffffffff-dirty.txt' with the tag {TEXT} would read as the tag "
        "ffffffffffff-dirty-0123456789ab-44136fa355b3; use another stem than 'x-ffffffffffff-dirty'"
    )
    assert DIRTY.put("x-ffffffffffff-dirty.txt") == f"x-ffffffffffff-dirty-{DIRTY}.txt"


@pytest.mark.parametrize(
    "path",
    ["", b"", ".", "..", "a/.", "a/..", "/", "//", "s3://", "s3://bucket", "s3://bucket/", "memory://", "file:///"]
    + [pathlib.Path(), pathlib.Path(".."), pathlib.Path("/"), WithName("")],
)
def test_a_path_without_a_name_is_a_value_error(path: Any) -> None:
    with pytest.raises(ValueError) as error:
        CLEAN.put(path)
    assert str(error.value) == (
        f"{path!r} has no file name to put a tag into; pass a path that ends in one, like 'out/foo.txt'"
    )


@pytest.mark.parametrize("value", [3, 1.5, object(), {"a.txt"}, {"a": "b"}, str])
def test_what_is_no_path_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError) as error:
        CLEAN.put(value)
    assert str(error.value) == (
        "an artifact path is a str, bytes, a path object, None, or a list or tuple of these, "
        f"not {value!r} of type {type(value).__name__}; pass the path as it stands on disk"
    )


def test_an_open_file_is_a_type_error(tmp_path: pathlib.Path) -> None:
    with (tmp_path / "foo.txt").open("w") as file, pytest.raises(TypeError) as error:
        CLEAN.put(file)
    assert str(error.value) == (
        "an artifact path is a str, bytes, a path object, None, or a list or tuple of these, "
        f"not the open file {file!r}; pass the path as it stands on disk"
    )


def test_a_list_in_a_list_is_a_type_error() -> None:
    with pytest.raises(TypeError) as error:
        CLEAN.put(["a.txt", ["b.txt"]])
    assert str(error.value) == "a list of paths holds ['b.txt']; pass one flat list or tuple of paths"


@pytest.mark.parametrize(
    "name",
    [
        "foo-{}.txt",
        "out/foo-{} (1).png",
        "foo-{}-final.png",
        "foo-{}.png.jpg",
        "foo-{}_v2",
        "foo-{} - Copy.png",
        "foo-{}(2)",
        "x-aaaaaaaaaaaa-bbbbbbbbbbbb-{}.png",
        "x-aaaaaaaaaaaa-{}.png",
        "-{}",
        "dir-{}/",
        "s3://bucket/foo-{}.csv",
    ],
)
@pytest.mark.parametrize("tag", [CLEAN, DIRTY])
def test_the_last_tag_in_a_name_is_read_whatever_follows_it_and_whatever_its_case(name: str, tag: Tag) -> None:
    tagged = name.format(tag)
    assert Tag.from_path(tagged) == tag
    assert Tag.from_path(tagged.encode()) == tag
    assert Tag.from_path(pathlib.PurePosixPath(tagged)) == tag
    assert Tag.from_path(tagged.upper()) == tag


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("foo.txt", "foo.txt"),
        (f"out-{TEXT}/foo.txt", "foo.txt"),
        ("foo-0123456789ab.txt", "foo-0123456789ab.txt"),
        (f"foo-{TEXT}0.txt", f"foo-{TEXT}0.txt"),
        (f"foo{TEXT}.txt", f"foo{TEXT}.txt"),
        ("", ""),
        ("/", ""),
    ],
)
def test_a_name_without_a_tag_is_a_not_tagged_error(name: str, shown: str) -> None:
    with pytest.raises(NotTaggedError) as error:
        Tag.from_path(name)
    assert str(error.value) == (
        f"{name!r} carries no tag; looked in its last component {shown!r} for -<commit>-<config> "
        "or -<commit>-dirty-<changes>-<config>, of 12 hex digits each"
    )
    assert error.value.name == shown


@pytest.mark.parametrize("value", [None, 3, ["foo"]])
def test_reading_a_tag_from_what_is_no_path_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError) as error:
        Tag.from_path(value)
    assert str(error.value) == (
        f"an artifact path is a str, bytes or a path object, not {value!r} of type {type(value).__name__}; "
        "pass the path as it stands on disk"
    )


STREAMS = [
    "-",
    b"-",
    pathlib.Path("-"),
    "/dev/stdout",
    "/dev/stderr",
    "/dev/null",
    b"/dev/null",
    pathlib.Path("/dev/null"),
    "//dev//stdout",
    "/dev/../dev/tty",
    "/dev/fd/63",
    "/dev/pts/0",
    "/proc/self/fd/1",
    "/proc/1/task/1/fd/2",
    os.devnull,
]


@posix_only
@pytest.mark.parametrize("path", STREAMS, ids=str)
def test_a_stream_or_a_device_has_no_name_to_put_a_tag_into(path: Any) -> None:
    with pytest.raises(ValueError) as error:
        CLEAN.put(path)
    assert str(error.value) == (
        f"{path!r} is a stream or a device, which has no name that could carry a tag; pass the path of a file, or None "
        f"for no output"
    )


@pytest.mark.parametrize(
    "path", ["./-", "out/-", "--", "-.txt", "/dev/shm/foo", "dev/stdout", "/out/dev/null", "/proc/fd", "s3://dev/null"]
)
def test_what_only_looks_like_a_device_is_a_file(path: str) -> None:
    assert Tag.from_path(CLEAN.put(path)) == CLEAN
