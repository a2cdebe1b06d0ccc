"""Error numbers of MySQL and MariaDB: which are the server's trouble, undo a transaction, or need the operator.

The numbers are those of the servers' error reference (ER_…) and of the client library (CR_…).
"""

from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError

UNKNOWN_DATABASE: Final = 1049
UNKNOWN_TABLE: Final = 1146

# The account may not do what is needed; before the first use that is a matter of settings.
REFUSED: Final = frozenset(
    {
        1044,  # access to the database denied, which is also the answer when it does not exist
        1045,  # wrong user or password
        UNKNOWN_DATABASE,
        1142,  # statement denied on the table
        1227,  # privilege needed
        1698,  # the account signs in another way
        3118,  # account locked
    }
)

# The server gave way to another transaction and undid this one as a whole.
_UNDONE: Final = frozenset(
    {
        1020,  # record changed since it was read
        1213,  # deadlock
    }
)

_FAULTS: Final = (
    REFUSED
    | _UNDONE
    | {
        3,  # error writing a file
        28,  # no space left
        1021,  # disk full
        1026,  # error writing a file
        1030,  # error of the storage engine
        1037,  # out of memory
        1040,  # too many connections
        1041,  # out of resources
        1042,  # host not resolved
        1047,  # the cluster node is not ready
        1053,  # shutdown in progress
        1114,  # table full
        1129,  # host blocked after errors
        1130,  # host not allowed
        1135,  # no new thread
        1152,  # connection aborted
        1158,  # communication errors
        1159,
        1160,
        1161,
        1180,  # error during commit
        1184,  # connection aborted
        1189,  # network error of replication
        1203,  # too many connections of the account
        1205,  # lock wait timeout
        1206,  # lock table full
        1226,  # resources of the account used up
        1290,  # read-only server
        1317,  # statement interrupted
        1412,  # table definition changed meanwhile
        1792,  # read-only transaction
        1836,  # read-only mode
        1927,  # connection killed
        1969,  # statement took too long (MariaDB)
        2002,  # no connection
        2003,
        2005,  # unknown host
        2006,  # server gone
        2012,  # error in the handshake
        2013,  # connection lost, or no answer in time
        2014,  # answers out of order
        2026,  # TLS error
        2055,
        3024,  # statement took too long (MySQL)
        3572,  # lock not to be had at once
        4031,  # disconnected for inactivity
        UNKNOWN_TABLE,  # the tables were there: the database was replaced
    }
)


def number(error: DBAPIError) -> int:
    """Return the error's number, 0 when it carries none."""
    arguments = error.orig.args if error.orig is not None else ()
    return arguments[0] if arguments and isinstance(arguments[0], int) else 0


def is_fault(error: DBAPIError) -> bool:
    """Tell whether the server or the way to it was at fault, and not the statement."""
    return error.connection_invalidated or number(error) in _FAULTS or _is_broken_talk(error)


def _is_broken_talk(error: DBAPIError) -> bool:
    """Tell an error of the driver's own about what came over the connection, which has no number."""
    return isinstance(error, (InternalError, InterfaceError)) and number(error) == 0


def was_undone(error: DBAPIError) -> bool:
    """Tell whether the server undid the whole transaction, so that running it again is safe."""
    return number(error) in _UNDONE
