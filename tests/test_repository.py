"""The repository itself: it names no machine and no registry, and its lock covers all that it needs."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()
LOCKED = re.compile(r"^([a-z0-9-]+)==\S+(?: ; .+)? \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", re.MULTILINE)

# Written so that this file doesn't match its own patterns.
REGISTRY_HOST = re.compile(r"pypi[.]org|pythonhosted[.]org|npmjs[.](?:org|com)|maven[.]org|(?:index|extra-index)-url")
MACHINE_PATH = re.compile(r"(?<![\w.$~{}*-])/(?:home|root|work|mnt|Volumes)/\w")


def files() -> list[Path]:
    """Every file that is tracked, or would be if it were added now."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def files_with(pattern: re.Pattern[str]) -> list[str]:
    found = ((file, pattern.search(file.read_text(errors="replace"))) for file in files())
    return [f"{file.relative_to(ROOT)}: {match[0]}" for file, match in found if match]


def plain_name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match
    return re.sub(r"[._-]+", "-", match[0]).lower()


def test_no_file_names_a_registry() -> None:
    assert ROOT / "requirements.lock" in files()
    assert files_with(REGISTRY_HOST) == []


def test_no_file_names_a_folder_of_one_machine() -> None:
    assert files_with(MACHINE_PATH) == []


@pytest.mark.parametrize("line", ["cd /home/" + "ada", "path='/root/" + "muniment'"])
def test_a_folder_of_one_machine_is_noticed(line: str) -> None:
    assert MACHINE_PATH.search(line)


def test_the_lock_is_nothing_but_versions_with_hashes() -> None:
    assert LOCKED.sub("", LOCK) == ""


def test_the_lock_covers_every_dependency_extra_and_the_build() -> None:
    project = PROJECT["project"]
    extras = [requirement for extra in project["optional-dependencies"].values() for requirement in extra]
    wanted = {plain_name(item) for item in project["dependencies"] + extras + PROJECT["build-system"]["requires"]}
    assert wanted - {match[1] for match in LOCKED.finditer(LOCK)} == set()


def test_the_installed_version_is_the_one_the_project_declares() -> None:
    assert version("muniment") == PROJECT["project"]["version"]


def test_a_skipped_test_fails_the_run(tmp_path: Path) -> None:
    ways = {
        "by_mark": "import pytest\n@pytest.mark.skip\ndef test_it(): pass\n",
        "by_call": "import pytest\ndef test_it(): pytest.skip('not here')\n",
        "by_unittest": "import unittest\nclass T(unittest.TestCase):\n @unittest.skip('')\n def test_it(self): pass\n",
        "by_missing_module": "import pytest\npytest.importorskip('a_module_that_is_not_here')\n",
    }
    for way, source in ways.items():
        (tmp_path / f"test_{way}.py").write_text(source)
    options = ["-p", "tests.conftest", "--continue-on-collection-errors", "--rootdir", str(tmp_path), str(tmp_path)]
    command = [sys.executable, "-m", "pytest", *options]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 1, run.stdout
    assert "2 failed, 2 errors" in run.stdout
