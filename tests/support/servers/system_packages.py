"""MariaDB from the packages of the system, where that is possible: as root on Debian and its like."""

import os
import shutil
import subprocess
from typing import Final

from infra.local.databases.missing import DatabaseMissing

# The server and what makes its data folder; the package `mariadb-server` would start a service beside them.
_PACKAGES: Final = ("mariadb-server-core", "mariadb-client-core")
_INSTALL_SECONDS: Final = 600


def install_mariadb() -> bool:
    """Install MariaDB's programs without a service, and tell whether this system is one where that is possible.

    Raises:
        DatabaseMissing: the installation failed.
    """
    apt_get = shutil.which("apt-get")
    if apt_get is None or os.geteuid() != 0:
        return False
    _run(apt_get, "update")
    _run(apt_get, "install", "-y", "--no-install-recommends", *_PACKAGES)
    return True


def _run(*command: str) -> None:
    done = subprocess.run(
        command,
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_INSTALL_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        last = "; ".join(done.stdout.strip().splitlines()[-5:])
        raise DatabaseMissing(f"`{' '.join(command)}` failed: {last}: install mariadb-server or set a URL by hand")
