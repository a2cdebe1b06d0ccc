"""Make the database servers of the tests ready before the tests: ``python -m tests.support.servers.prepare``.

Says for each what the tests will use or what is missing. Exit status 1 when one is missing and
``PETROSA_TEST_SERVERS=required``; else 0, and the tests that need it are skipped.
"""

import sys

from infra.local.databases.missing import DatabaseMissing
from tests.support.servers.missing import servers_required
from tests.support.servers.mongodb import prepare_mongodb
from tests.support.servers.mysql import prepare_mysql


def main() -> int:
    """Prepare all servers and return the exit status."""
    missing = 0
    for kind, prepare in (("MongoDB", prepare_mongodb), ("MySQL", prepare_mysql)):
        try:
            print(f"{kind} for the tests: {prepare()}")
        except DatabaseMissing as reason:
            missing += 1
            print(f"{kind} for the tests: none: {reason}", file=sys.stderr)
    return 1 if missing and servers_required() else 0


if __name__ == "__main__":
    sys.exit(main())
