"""What a wheel holds, and that the packages can be installed from it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("cli", "corpus", "dedup", "filters", "model")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel built from a copy of the sources, without the network."""
    copy = tmp_path_factory.mktemp("sources")
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, copy)
    for name in (*PACKAGES, "src"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignored)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(copy / "dist"), str(copy)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = (copy / "dist").glob("*.whl")
    return zipfile.ZipFile(path)


def test_every_module_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    sources = {
        f"datassay/{path.relative_to(ROOT)}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "__pycache__" not in path.parts
    }
    assert len(sources) > 80
    assert sources <= set(wheel.namelist())


def test_every_data_file_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    """All files beside the modules: models, tables, merges, scripts, templates."""
    data = {
        f"datassay/{path.relative_to(ROOT)}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    must_be_there = ("lid.176.ftz", "unicode-14.npz", "gpt2-merges.txt.gz", "vega.min.js", "page.html")
    assert all(any(name.endswith(f"/{needed}") for name in data) for needed in must_be_there)
    assert data <= set(wheel.namelist())
    assert "datassay/py.typed" in wheel.namelist()


def test_nothing_else_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    """No tests, examples, benchmarks, and no package at the top that would shadow somebody's `model`."""
    tops = {name.split("/")[0].split("-")[0] for name in wheel.namelist()}
    assert tops == {"datassay"}
    assert {name.split("/")[1] for name in wheel.namelist() if name.startswith("datassay/")} == {
        *PACKAGES,
        "__init__.py",
        "__main__.py",
        "py.typed",
    }


def test_licences_come_along(wheel: zipfile.ZipFile) -> None:
    names = [name.rsplit("/", 1)[1] for name in wheel.namelist() if ".dist-info/" in name]
    assert {"LICENSE", "NOTICE", "METADATA", "entry_points.txt"} <= set(names)


def test_the_wheel_works_unpacked(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """Out of the reach of the checkout, from the wheel's files alone."""
    wheel.extractall(tmp_path)
    code = (
        "import sys; sys.path = [sys.argv.pop()] + [p for p in sys.path if 'datassay' not in p]\n"
        "import datassay.corpus.language as language, datassay.corpus.unicode, datassay.corpus.tokenizer as tokenizer\n"
        "print(language.identify(['The cat sat on the mat and looked at the dog.'])[0][0][0])\n"
        "print(tokenizer.load_tokenizer('gpt2').vocab_size)\n"
        "print(language.__file__)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    language, vocab_size, file = ended.stdout.splitlines()
    assert (language, vocab_size) == ("en", "50257")
    assert Path(file).is_relative_to(tmp_path)


def test_the_links_to_the_packages_are_relative() -> None:
    for name in PACKAGES:
        link = ROOT / "src" / "datassay" / name
        assert link.is_symlink()
        assert link.readlink() == Path("..", "..", name)
