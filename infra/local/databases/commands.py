"""Commands that are run to their end while a server is got ready."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

VERSION_TIMEOUT_S: Final = 20


class CommandFailed(Exception):
    """A command failed; the text says which one, and what it said last."""


def output_of(*command: str | Path, timeout_s: float) -> str:
    """Run a command and return what it printed.

    Raises:
        CommandFailed: it ended with another status than 0, or not in time.
    """
    try:
        done = _run(command, timeout_s)
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"{command[0]} did not end within {timeout_s:.0f} s") from error
    if done.returncode != 0:
        raise CommandFailed(f"{command[0]} said: {'; '.join(done.stdout.strip().splitlines()[-15:])}")
    return done.stdout


def _run(command: Sequence[str | Path], timeout_s: float) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - the commands are written in the code, their paths found on this machine
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )
