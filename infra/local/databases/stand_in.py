"""The MongoDB stand-in: mongo-java-server in memory, fetched by Maven and compiled once into a cache of the checkout.

``mongod`` comes as no package of the registries the project uses. The stand-in is for tests and for trying: what it
stored is gone when it ends. What it leaves out besides: sessions, transactions, change streams, pipeline updates and
the expiry of TTL indexes; it counts refused documents as inserted, and it sends a whole result in one message, however
large, unless the reader sets a batch size.
"""

import hashlib
import os
import shutil
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

from infra.local.databases.commands import CommandFailed, output_of
from infra.local.databases.missing import DatabaseMissing

_SOURCES: Final = Path(__file__).parent / "stand_in"
_CACHE: Final = Path(__file__).parents[3] / ".petrosa" / "cache"
_BUILD_SECONDS: Final = 300
# 400 000 candles of ten fields take 768 MB of heap; a server that runs out of it must end, not limp.
_JAVA_OPTIONS: Final = ("-Xmx1g", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-Xshare:auto")


def version() -> str:
    """Return the pinned version of mongo-java-server."""
    names = {"m": "http://maven.apache.org/POM/4.0.0"}
    pom = ET.parse(_SOURCES / "pom.xml")  # noqa: S314 - a file of this package
    return pom.findtext(".//m:dependency/m:version", "unknown", names)


def command(built: Path, port: int) -> tuple[str, ...]:
    """Return the command that serves on ``port``, ``built`` being what ``build`` returned."""
    return ("java", *_JAVA_OPTIONS, "-cp", f"{built / 'classes'}{os.pathsep}{built / 'jars'}/*", "StandIn", str(port))


def build(variable: str) -> Path:
    """Return the folder of the built stand-in (``jars``, ``classes``), building it on first use.

    Args:
        variable: the one that names a server to use instead, for the error text.

    Raises:
        DatabaseMissing: Java or Maven is missing, or the build failed.
    """
    built = _CACHE / f"mongodb-stand-in-{_digest()}"
    missing = [tool for tool in (("java",) if built.is_dir() else ("java", "javac", "mvn")) if not shutil.which(tool)]
    if missing:
        raise DatabaseMissing(
            f"mongod is not on PATH, and {', '.join(missing)} is missing for the stand-in: install mongod, or a JDK "
            f"(11 or newer) and maven, or give a running server with {variable}"
        )
    if not built.is_dir():
        try:
            _build(built)
        except CommandFailed as error:
            raise DatabaseMissing(
                f"mongod is not on PATH, and the stand-in could not be built: {error}: give Maven its repository, "
                f"or a running server with {variable}"
            ) from error
    return built


def _digest() -> str:
    """Return what changes when the pinned version or the starter class changes."""
    sources = sorted(_SOURCES.glob("*.*"))
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:12]


def _build(built: Path) -> None:
    """Build beside the final folder and rename, so that an interrupted build is never taken for a whole one."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as name:
        work = Path(name) / "stand-in"
        jars, classes = work / "jars", work / "classes"
        fetch = ("mvn", "-q", "-B", "-f", _SOURCES / "pom.xml", "dependency:copy-dependencies")
        output_of(*fetch, f"-DoutputDirectory={jars}", timeout_s=_BUILD_SECONDS)
        compilation = ("javac", "--release", "11", "-cp", f"{jars}/*", "-d", classes, _SOURCES / "StandIn.java")
        output_of(*compilation, timeout_s=_BUILD_SECONDS)
        try:
            work.rename(built)
        except OSError:
            if not built.is_dir():  # else another build was faster
                raise
