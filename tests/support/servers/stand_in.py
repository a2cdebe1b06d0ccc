"""The MongoDB stand-in: mongo-java-server in memory, fetched by Maven and compiled once into the tests' cache.

``mongod`` comes as no package of the registries the project uses. What the stand-in leaves out: sessions, transactions,
change streams, pipeline updates and the expiry of TTL indexes; it counts refused documents as inserted, and it sends a
whole result in one message, however large, unless the reader sets a batch size.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

from tests.support.servers.missing import ServerMissing

READY: Final = "Waiting for connections"

_SOURCES: Final = Path(__file__).parent / "stand_in"
_CACHE: Final = Path(__file__).parents[3] / ".petrosa-test"
_BUILD_SECONDS: Final = 300
# 400 000 candles of ten fields take 768 MB of heap; a server that runs out of it must end, not limp.
_JAVA_OPTIONS: Final = ("-Xmx1g", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-Xshare:auto")


def stand_in_version() -> str:
    """Return the pinned version of mongo-java-server."""
    names = {"m": "http://maven.apache.org/POM/4.0.0"}
    version = ET.parse(_SOURCES / "pom.xml").findtext(".//m:dependency/m:version", None, names)
    assert version is not None, "pom.xml names no version"
    return version


def stand_in_command(port: int) -> list[str | Path]:
    """Return the command that serves on ``port``, building the stand-in when it is not in the cache yet.

    Raises:
        ServerMissing: Java or Maven is missing, or the build failed.
    """
    built = build_stand_in()
    return ["java", *_JAVA_OPTIONS, "-cp", f"{built / 'classes'}{os.pathsep}{built / 'jars'}/*", "StandIn", str(port)]


def build_stand_in() -> Path:
    """Return the folder of the built stand-in (``jars``, ``classes``), building it on first use.

    Raises:
        ServerMissing: Java or Maven is missing, or the build failed.
    """
    built = _CACHE / f"mongodb-stand-in-{_digest()}"
    missing = [tool for tool in (("java",) if built.is_dir() else ("java", "javac", "mvn")) if not shutil.which(tool)]
    if missing:
        raise ServerMissing(
            f"mongod is not on PATH, and {', '.join(missing)} is missing for the stand-in: "
            "install a JDK (11 or newer) and maven, or set PETROSA_TEST_MONGODB_URL"
        )
    if not built.is_dir():
        _build(built)
    return built


def _digest() -> str:
    """Return what changes when the pinned version or the starter class changes."""
    sources = sorted(_SOURCES.glob("*.*"))
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:12]


def _build(built: Path) -> None:
    """Build beside the final folder and rename, so that an interrupted build is never taken for a whole one."""
    _CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as name:
        work = Path(name) / "stand-in"
        jars, classes = work / "jars", work / "classes"
        _run("mvn", "-q", "-B", "-f", _SOURCES / "pom.xml", "dependency:copy-dependencies", f"-DoutputDirectory={jars}")
        _run("javac", "--release", "11", "-cp", f"{jars}/*", "-d", classes, _SOURCES / "StandIn.java")
        try:
            work.rename(built)
        except OSError:
            if not built.is_dir():  # else another session was faster
                raise


def _run(*command: str | Path) -> None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ServerMissing(f"the MongoDB stand-in could not be built: {command[0]} took too long") from error
    if done.returncode != 0:
        last = (done.stdout + done.stderr).strip().splitlines()[-15:]
        raise ServerMissing(
            f"the MongoDB stand-in could not be built, {command[0]} said: {'; '.join(last)}: "
            "give Maven its repository, or set PETROSA_TEST_MONGODB_URL"
        )
