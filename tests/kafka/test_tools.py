"""What the broker needs is found, or fetched once, or named."""

import os
import subprocess
import sys
from pathlib import Path

from tests.kafka.jars import kafka_jars

ROOT = Path(__file__).parent.parent.parent
FETCH = "from tests.kafka.jars import kafka_jars; print(kafka_jars())"
FIND = "from tests.kafka.java import java; java()"


def program(code: str, *options: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *options, "-c", code],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_runs_at_once_fetch_the_jars_once(tmp_path: Path) -> None:
    runs = [program(FETCH, XDG_CACHE_HOME=str(tmp_path)) for _ in range(2)]
    outcomes = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outcomes
    (folder,) = {Path(out.strip()) for out, _ in outcomes}
    assert {jar.name for jar in folder.iterdir()} == {jar.name for jar in kafka_jars().iterdir()}
    assert [kept.name for kept in (tmp_path / "muniment").iterdir() if kept.is_dir()] == [folder.name]


def test_without_maven_it_says_what_to_install(tmp_path: Path) -> None:
    run = program(FETCH, XDG_CACHE_HOME=str(tmp_path), PATH=str(tmp_path))
    _, errors = run.communicate()
    assert run.returncode
    assert "apt-get install maven default-jre-headless" in errors
    assert "docker compose up kafka" in errors


def test_without_java_it_says_what_to_install(tmp_path: Path) -> None:
    # -S: an environment that has neither the wheel nor the pip to install it with
    run = program(FIND, "-S", XDG_CACHE_HOME=str(tmp_path), PATH=str(tmp_path), JAVA_HOME=str(tmp_path))
    _, errors = run.communicate()
    assert run.returncode
    assert "Java 17 or newer" in errors
    assert "apt-get install maven default-jre-headless" in errors
    assert "docker compose up kafka" in errors
