"""Which errors of the driver are the server's faults, and how the server is addressed."""

from dataclasses import replace
from typing import Any

import pytest
from pymongo import errors

from common.errors import ConfigurationError, StoreUnavailable
from common.storage.mongodb.connection import Connection, ConnectionOptions, duplicates, faults


def bulk(*codes: int, concern: bool = False) -> errors.BulkWriteError:
    """Return what the driver raises when documents are refused with these codes."""
    refused = [{"index": index, "code": code, "errmsg": "refused"} for index, code in enumerate(codes)]
    concerns = [{"code": 64, "errmsg": "waiting for replication timed out"}] if concern else []
    return errors.BulkWriteError({"writeErrors": refused, "writeConcernErrors": concerns, "nInserted": 0})


def options(url: str) -> ConnectionOptions:
    return ConnectionOptions(url, "data", timeout_ms=5000, min_pool_size=5, max_pool_size=15)


@pytest.mark.parametrize(
    "error",
    [
        errors.ServerSelectionTimeoutError("No servers found, Topology Description: secrets"),
        errors.AutoReconnect("connection closed"),
        errors.NetworkTimeout("timed out"),
        errors.NotPrimaryError("not primary"),
        errors.WaitQueueTimeoutError("no free connection"),
        errors.WTimeoutError("replication"),
        errors.OperationFailure("out of disk space", 14031),
        errors.OperationFailure("authentication failed", 18),
        errors.OperationFailure("operation exceeded time limit", 50),
        errors.OperationFailure("retry", 999, {"errorLabels": ["RetryableWriteError"]}),
        errors.ConfigurationError("the name service does not answer"),
        bulk(11000, 11600),
        bulk(11000, concern=True),
    ],
    ids=lambda error: type(error).__name__,
)
def test_faults_of_the_server_may_pass(error: errors.PyMongoError) -> None:
    with pytest.raises(StoreUnavailable, match="MongoDB was not available") as caught, faults():
        raise error
    assert "Topology" not in str(caught.value)


@pytest.mark.parametrize(
    "error", [errors.OperationFailure("unknown operator: $foo", 2), errors.InvalidOperation("bug"), bulk(11000, 121)]
)
def test_faults_of_this_program_stay_what_they_are(error: errors.PyMongoError) -> None:
    with pytest.raises(type(error)), faults():
        raise error


def test_refused_keys_are_told_by_position() -> None:
    assert duplicates(bulk(11000, 11000)) == [0, 1]
    for error in (bulk(11000, 121), bulk(11000, concern=True)):
        with pytest.raises(errors.BulkWriteError):
            duplicates(error)


def test_what_the_url_says_goes_before_the_defaults() -> None:
    given = options("mongodb://h1:1,h2:2/market?w=1&TIMEOUTMS=900&journal=false")
    assert given.database_name == "market"
    chosen = given.driver_options()
    assert "w" not in chosen
    assert "timeoutMS" not in chosen
    assert "journal" not in chosen
    assert (chosen["minPoolSize"], chosen["maxPoolSize"]) == (5, 15)
    plain = options("mongodb://user:p%40ss@host")
    assert plain.database_name == "data"
    assert plain.driver_options()["w"] == "majority"
    assert plain.driver_options()["journal"] is True


@pytest.mark.parametrize(
    "url", ["http://host", "mongodb://", "mongodb://host:99999", "mongodb://me:123456/secret@host", "mongodb://a:b@c@d"]
)
def test_an_unusable_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="MONGODB_URL was not usable") as caught:
        Connection(options(url))
    assert "123456" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("option", ["w=-5", "colour=red"])
def test_an_option_that_the_driver_would_ignore_is_refused(option: str) -> None:
    with pytest.raises(ConfigurationError, match="MONGODB_URL had an option"):
        Connection(options(f"mongodb://host/?{option}"))


def test_a_key_that_is_not_the_id_is_no_repetition() -> None:
    """A unique index of somebody else refuses rows that are not stored."""
    refused = {"index": 0, "code": 11000, "errmsg": "duplicate", "keyPattern": {"price": 1}}
    error = errors.BulkWriteError({"writeErrors": [refused], "writeConcernErrors": [], "nInserted": 0})
    with pytest.raises(errors.BulkWriteError):
        duplicates(error)
    known = errors.BulkWriteError({**error.details, "writeErrors": [{**refused, "keyPattern": {"_id": 1}}]})
    assert duplicates(known) == [0]


@pytest.mark.parametrize(
    ("url", "changes", "text"),
    [
        ("mongodb://host/?w=0", {}, "w=0"),
        ("mongodb://host/?w=0&journal=false", {}, "w=0"),
        ("mongodb://host/one.two", {}, "no name of a database"),
        ("mongodb://host/", {"min_pool_size": 16}, "MONGODB_MIN_POOL_SIZE"),
    ],
)
def test_settings_that_cannot_work_are_named(url: str, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        Connection(replace(options(url), **changes))
