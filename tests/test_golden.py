"""What names hold is pinned: these literals may never change, since names outlive versions of this library."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jcs
import pytest
from conftest import Repository
from golden import CONFIGS

from pyrepro import Tag, canonical_json, code_state, config_hash

# These may never change.
HASHES = {
    "empty": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    "null": "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b",
    "true": "b5bea41b6c623f7c09f1bf24dcae58ebab3c0cdd90ad966bc43a45b44867e12b",
    "text": "218e3bd837fc455e7c1339273f01615c9d630775f9155fe2acb4dbf021237040",
    "unicode": "a3c3638052a3a4a599c6ae9ba93fcca3100b82f65bf0117065de28358d764683",
    "integer": "4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce",
    "negative": "a770d3270c9dcdedf12ed9fd70444f7c8a95c26cae3cae9bd867499090a2f14b",
    "float": "14be4b45f18e0d8c67b4f719b5144eee88497e413709d11d85b096d8e2346310",
    "whole float": "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
    "minus zero": "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9",
    "tiny": "c46e7ca1be4c8734f373a56530787288fa2058d73d07855e9247e949f811a42a",
    "small": "5b33e02f2c5103a05d32f6ba9cb058294452bfbf393967f68bb30c1bdcbbab22",
    "large": "f203367d2e94dc5fb52c7345d4fa7109f4ff1a2092486bdeaea5405b054b08df",
    "safe": "f40b423c2dd95ff2b2f027e22208f438cf7242862e5e746860e697308c9add26",
    "beyond": "4ba9bf7656a3745afaa785a0e3d04a848eb4c4f79afec4f27ed4d8c57d804115",
    "seed of 64 bits": "a225c7d25b96a9e259add02e192895f03cbbfafbf27b3a95ea2f0624912acecd",
    "seed of 128 bits": "a777fd04ec5f86985e997661aca41fd531f940abc16e72d1e985d0e7c28babe2",
    "not finite": "c0423d1ee669aa4345cb487f824a124ecd2dddf3b65aa92bf545948516008606",
    "optimizer": "bb129b48365e09d5473309a87ce55942ace4903f7527b551b7e0f4426b5a91ed",
    "nested": "471841e089aa3c41c10b28351d35beea4d0e1fbd68c7ea6fd6c2f7f4ec1b6676",
    "keys": "8ee60df4aa9b68224d5a65521b16b4186fa4fe7a310770f0f9fc1a071df695dd",
    "range": "61b76dbbd7e3c4fda84d5ae9696f5b04d95129ce0e4848b9079f0f3732b5da62",
    "set": "f8807a84cc3653a34ed067b69e3420d5dd9ed1b09dae679dad7b1ac650a3dc9a",
    "sets in a set": "f277251c6cc7e3f23a5399af9ca2582a32c882c86c59cad9325c3b35bf849b7a",
    "bytes": "9860b48b36bb0746a95c7ab30f50a0f4e56690b4daaeadc94971ccdcc31d35a4",
    "path": "b9dcd668e20c328be1704c29ea99dc26e89dc056ef26cc4a55870a4caf41741f",
    "date": "5dfe28dc540201810deee4b2457f71fcdc1c15dc9c9b5542824f16c675e203ba",
    "time": "927855533d32fd2c8e46f377d7cc685d1c829387c6919e675fd844c308208adb",
    "datetime": "634c11f59666a0866836a74e6ebecd8a398208464af5b8d98c2830e5c23817e2",
    "timedelta": "6983162b812bdf287bf3bce5e03e00f335e3502cd3e56af27994afb4ebd9b75f",
    "longest timedelta": "da72fffb432e60d6b9b3a5d8e38baf13b42358d3b4172d7cf96e9c7f0449859f",
    "decimal": "2bba8bd227c5f31309369957d115a72950933ae5bc468ba714b2d807fcfd26fc",
    "fraction": "8ed6e01b9c600bf627bba4ae01f5e5bc9fa3c2107bc07d048a9725322e0b194f",
    "uuid": "6a857b3e08dd659e1371ca8afdb599881ca99b0952b1db16a93e22779da9caf5",
    "namespace": "2a8f6c0f26fbad10e65dea8e9b2931319e9cc9270ea04141196297ffe7171001",
    "function": "382156ffb35856105cf7e228bd8aef3bbdd7946906d10b6636cfed31c7ed2910",
    "class": "df47e6c8bb5a56670a095b14937d3da313dbeb47b099b3e98d1f943be9b802aa",
    "partial": "cc8a357138ee721c5bce36ab4d604bf307330f16100d4c19d68ca64a7e71b4cd",
    "code state": "8a1b77c649404e7eaa8a54da07524afecfe3ae2bb611180863dfa7ef3d5afb98",
    "tag": "a18887ef6c8b52fd6e88968c87c8f274efcbd456d403e566bef9f67f940082a1",
    "dataclass": "e8a2b29438bfce12f962e2b95d3242c54cb54f5e7e7c542c2f6811c7c92b041f",
    "attributes beyond the fields": "7f0870fcf231b9fc9d7a0ce91361b98df432c7416c8e361085e0fb18d5e28b95",
    "model": "598e8f1b49601ea663d27a616e7b86d26e6a359a8c2707f4cea4751df9418f76",
    "struct": "61a9e41f34ba78a9af8697e7d68b9605896a06c64d676b6368e70ad9ed034dec",
    "named tuple": "5189f004299a95d8ad706960bd5d42e079cfd882552eac769c194636f2492e36",
    "estimator": "7e9d241f7f8ef8016ed6303febda9a504c3e3e0e9712c81afd9c673ae579da3d",
    "slice": "a8e06a28a08a8d7cdeab5213528adb10fd918cf5e43adbd4860c74bbd0777cef",
    "pattern": "8553317d42b4d375cd5fc94d2c3524c453a15b8ff900dbf64d5104230d4665f7",
    "array": "03a4cc702aa6e4f169ff34dd055714141eae3d2d7c50f6f053150cc72ef12638",
    "large array": "3cbd05ab87ff44a1b218139957677003558327dafa2d5348038198413cac814a",
    "large table": "92bf1a5093656028dde497ecabcc255639ed11808b9665120c4a264a21e79a8e",
    "element type": "a9d706227706efbc4d5f023e7b5aa9e8f73a8ea5be363a6abdc7f526f01636e1",
    "zone": "8d23c1c74fe773f6292f253f8655a47bb4be91ef5b8ea9c57d515e893061744d",
    "addresses": "7874e9545a4e76dcebb44d2710eeab07f95f857e0ffb02ae938940310e214bfa",
    "public names": "6dd942460c818cedc6c1a0c8e96474592994c656c551deb4d5b7446bffc28346",
}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_hash_of_a_configuration_never_changes(name: str) -> None:
    assert config_hash(CONFIGS[name]) == HASHES[name]


@pytest.mark.parametrize("name", CONFIGS)
def test_an_independent_implementation_writes_the_same_bytes(name: str) -> None:
    text = canonical_json(CONFIGS[name])
    assert jcs.canonicalize(json.loads(text)) == text


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_the_hashes_do_not_depend_on_the_hash_seed_of_the_process(seed: str) -> None:
    code = (
        "from golden import CONFIGS; import pyrepro; print([pyrepro.config_hash(value) for value in CONFIGS.values()])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        env={"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{list(HASHES.values())}\n"


def edit(repository: Repository) -> None:
    repository.write("train.py", "edited\n")


def delete(repository: Repository) -> None:
    (repository.path / "train.py").unlink()


def make_executable(repository: Repository) -> None:
    (repository.path / "train.py").chmod(0o755)


def add(repository: Repository) -> None:
    repository.write("dir/new \u00e9.py", "new\n")
    repository.git("add", "-A")


def lead_elsewhere(repository: Repository) -> None:
    (repository.path / "link.py").unlink()
    (repository.path / "link.py").symlink_to("lib/model.py")


def rename(repository: Repository) -> None:
    repository.git("mv", "lib/model.py", "lib/net.py")


def nest(repository: Repository) -> None:
    nested = Repository(repository.path / "nested")
    nested.path.mkdir()
    nested.git("init", "-q", "-b", "main")
    nested.commit(code="1\n")
    repository.git("-c", "advice.addEmbeddedRepo=false", "add", "nested")
    nested.write("code.py", "2\n")


def everything(repository: Repository) -> None:
    for change in (edit, add, lead_elsewhere, rename):
        change(repository)


# These may never change.
CHANGES: list[tuple[Callable[[Repository], None], str]] = [
    (edit, "442a399eabc6c0cdf1e83b87bf7ea7a9deef8c567b75cf4928f849da67043e0a"),
    (delete, "c132168b7dbbc7f96b1f03aeafd1d3959a7d1e0f64e2a270f9af91423cf23d92"),
    (make_executable, "64e8a4d6344513d542790a41dd4ed35f626ab709e0a56e8b1feade795e31a6a2"),
    (add, "efe06eabcc96ba46bdf684bdd5f4369a3f6ed5acb95af939b0e84268956f2ec2"),
    (lead_elsewhere, "000d27c38d707b5904c6e9602b0656850e42064a0bb6d3369bf07612f13ba0cf"),
    (rename, "3f9246a0520bcf6eea8121d9aebb4a9659885018d48461fe8e471195172cce4d"),
    (nest, "45249758ec1d92bf054b94d69e6345f553032710d5444ee5f718615b61864ad6"),
    (everything, "c7c28c586d39420dfbe6b4396ca255931543c5aaf504fd2dffad7ecae0184d86"),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES)
def test_the_changes_digest_of_a_dirty_tree_never_changes(
    repository: Repository, change: Callable[[Repository], None], expected: str
) -> None:
    change(repository)
    assert code_state(repository.path).changes == expected


CLEAN, DIRTY = Tag("0" * 12, None, "1" * 12), Tag("0" * 12, "2" * 12, "1" * 12)

# These may never change.
TAGGED = {
    "table.csv": "table-000000000000-111111111111.csv",
    # Compression suffixes take the suffix before them along,
    "model.tar.gz": "model-000000000000-111111111111.tar.gz",
    "table.csv.gz": "table-000000000000-111111111111.csv.gz",
    "table.csv.bz2": "table-000000000000-111111111111.csv.bz2",
    "table.csv.xz": "table-000000000000-111111111111.csv.xz",
    "table.csv.zst": "table-000000000000-111111111111.csv.zst",
    "table.csv.lz4": "table-000000000000-111111111111.csv.lz4",
    "table.csv.br": "table-000000000000-111111111111.csv.br",
    "table.csv.Z": "table-000000000000-111111111111.csv.Z",
    # one of them, where there is one,
    "table.gz": "table-000000000000-111111111111.gz",
    "table.01.gz": "table.01-000000000000-111111111111.gz",
    "table.csv.gz.xz": "table.csv-000000000000-111111111111.gz.xz",
    "a.b.csv.gz": "a.b-000000000000-111111111111.csv.gz",
    # and other suffixes do not: these are near misses.
    "table.csv.GZ": "table.csv-000000000000-111111111111.GZ",
    "table.csv.gzip": "table.csv-000000000000-111111111111.gzip",
    "table.csv.tgz": "table.csv-000000000000-111111111111.tgz",
    "table.csv.bz": "table.csv-000000000000-111111111111.bz",
    "table.csv.XZ": "table.csv-000000000000-111111111111.XZ",
    "table.csv.lzma": "table.csv-000000000000-111111111111.lzma",
    "table.csv.lz": "table.csv-000000000000-111111111111.lz",
    "table.csv.lzo": "table.csv-000000000000-111111111111.lzo",
    "table.csv.zstd": "table.csv-000000000000-111111111111.zstd",
    "table.csv.sz": "table.csv-000000000000-111111111111.sz",
    "table.csv.z": "table.csv-000000000000-111111111111.z",
    "table.csv.zip": "table.csv-000000000000-111111111111.zip",
    "table.csv.7z": "table.csv-000000000000-111111111111.7z",
    "table.csv.rar": "table.csv-000000000000-111111111111.rar",
    "model.tar.tar": "model.tar-000000000000-111111111111.tar",
    # A suffix is letters and digits, of which one is a letter.
    "archive.7z": "archive-000000000000-111111111111.7z",
    "song.mp3": "song-000000000000-111111111111.mp3",
    "lr0.01": "lr0.01-000000000000-111111111111",
    "lr0.01.csv": "lr0.01-000000000000-111111111111.csv",
    "lr1.5e3": "lr1-000000000000-111111111111.5e3",
    "code.c++": "code.c++-000000000000-111111111111",
    "plot.a_b": "plot.a_b-000000000000-111111111111",
    "plot.png~": "plot.png~-000000000000-111111111111",
    "plot.é": "plot.é-000000000000-111111111111",
    "plot.": "plot.-000000000000-111111111111",
    "plot": "plot-000000000000-111111111111",
    "table.csv.": "table.csv.-000000000000-111111111111",
    # A dot file has none by its first dot.
    ".bashrc": ".bashrc-000000000000-111111111111",
    ".gz": ".gz-000000000000-111111111111",
    ".csv.gz": ".csv-000000000000-111111111111.gz",
    ".config.json": ".config-000000000000-111111111111.json",
    "..csv": "..csv-000000000000-111111111111",
    # The last component counts, and separators behind it stay.
    "out.d/plot": "out.d/plot-000000000000-111111111111",
    "out/.hidden": "out/.hidden-000000000000-111111111111",
    "out.zarr/": "out-000000000000-111111111111.zarr/",
    "out.csv.gz//": "out-000000000000-111111111111.csv.gz//",
    "s3://bucket/a//table.csv.gz": "s3://bucket/a//table-000000000000-111111111111.csv.gz",
}


@pytest.mark.parametrize("plain", TAGGED)
def test_where_the_tag_stands_in_a_name_never_changes(plain: str) -> None:
    assert CLEAN.put(plain) == TAGGED[plain]


def test_the_grammar_of_a_name_never_changes() -> None:
    names: list[Any] = [tag.put("run.v1.2.csv.gz") for tag in (CLEAN, DIRTY)]
    assert names == [
        "run.v1.2-000000000000-111111111111.csv.gz",
        "run.v1.2-000000000000-dirty-222222222222-111111111111.csv.gz",
    ]
