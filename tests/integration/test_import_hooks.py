"""Import hooks that check types: they change what they load, and keep compiled caches of it."""

from __future__ import annotations

import os

import pytest
from conftest import Repository

SCRIPT = """\
{before}
import {package}{module}; from {package}{module} import {function}; {function}({arguments})
import lib.helper
from pyrepro import Artifact

@Artifact("outpath")
def save(outpath):
    with open(outpath, "w") as outf:
        outf.write(str(lib.helper.LR))
    return outpath

print(save("foo.txt"), open(save.tagged("foo.txt")).read())
"""
HELPER = """\
import dataclasses

LR: int = 1

@dataclasses.dataclass
class Layer:
    width: int

    def grown(self, by: int) -> int:
        width: int = self.width + by
        return width

Layer(1).grown(2)
"""
HOOKS = {
    "beartype": ("beartype", ".claw", "beartype_package", "'lib'"),
    "jaxtyping": ("jaxtyping", "", "install_import_hook", "'lib', 'beartype.beartype'"),
    "typeguard": ("typeguard", "", "install_import_hook", "'lib'"),
}


@pytest.fixture(params=HOOKS)
def script(request: pytest.FixtureRequest) -> str:
    package, module, function, arguments = HOOKS[request.param]
    pytest.importorskip(package)
    return SCRIPT.format(before="{before}", package=package, module=module, function=function, arguments=arguments)


@pytest.fixture
def project(repository: Repository) -> Repository:
    repository.write(".gitignore", "__pycache__/\n*.txt\n")
    repository.commit(lib__init="", lib__helper=HELPER)
    return repository


def edit_in_the_same_second(project: Repository) -> None:
    path = project.path / "lib/helper.py"
    before = path.stat()
    path.write_text(HELPER.replace("LR: int = 1", "LR: int = 2"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    project.commit()


@pytest.mark.usefixtures("caching")
def test_a_stale_cache_of_a_hook_is_not_taken(project: Repository, script: str) -> None:
    project.commit(main=script.format(before="import pyrepro"))
    assert project.run("main.py").stdout == f"foo-{project.head[:12]}-44136fa355b3.txt 1\n"
    edit_in_the_same_second(project)
    assert project.run("main.py").stdout == f"foo-{project.head[:12]}-44136fa355b3.txt 2\n"


@pytest.mark.usefixtures("caching")
def test_a_stale_cache_that_a_hook_took_before_pyrepro_is_an_error(project: Repository, script: str) -> None:
    project.commit(main=script.format(before=""))
    project.run("main.py")
    edit_in_the_same_second(project)
    assert "but it was compiled from another source" in project.run("main.py").stderr


@pytest.mark.usefixtures("caching")
def test_a_cache_of_a_hook_that_is_right_is_no_error(project: Repository, script: str) -> None:
    project.commit(main=script.format(before=""))
    expected = f"foo-{project.head[:12]}-44136fa355b3.txt 1\n"
    assert project.run("main.py").stdout == expected
    for cached in (project.path / "lib/__pycache__").iterdir():
        os.utime(cached, (1, 1))
    assert project.run("main.py").stdout == expected
