"""CESQL: values, errors and precedence as the platform's evaluator has them; SQLite judges patterns and arithmetic."""

import re
import sqlite3
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.broker.cesql import parse
from infra.local.broker.cesql_values import EvaluationError, Value

EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/market",
    "type": "io.petrosa.market.trade.v1",
    "subject": "BTCUSDT",
    "count": "12",
    "live": "TRUE",
}


def value(text: str, event: Mapping[str, str] = EVENT) -> Value:
    return parse(text).evaluate(event)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("FaLsE", False),
        ("42", 42),
        ("-42", -42),
        ("+7", 7),
        ("'it\\'s'", "it's"),
        ('"a \\"b\\""', 'a "b"'),
        ("'Ab'", "Ab"),
        ("subject", "BTCUSDT"),
        ("SUBJECT", "BTCUSDT"),
        ("(subject)", "BTCUSDT"),
        ("--10", 10),
        ("-'10'", -10),
        ("-true", -1),
        ("count + 1", 13),
        ("count -1", 11),
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("10 - 4 - 3", 3),
        ("-7 / 2", -3),
        ("-7 % 3", -1),
        ("7 % -3", 1),
        ("2147483647 + 1", -2147483648),
        ("subject = 'BTCUSDT'", True),
        ("subject <> 'BTCUSDT'", False),
        ("subject != 'ETHUSDT'", True),
        ("count = 12", True),
        ("live = true", True),
        ("count>=13", False),
        ("2 <> 2", False),
        ("12 = '12'", True),
        ("true = 'TRUE'", False),
        ("count >= 12", True),
        ("count < 12", False),
        ("1 < 2 = true", True),
        ("true AND NOT false", True),
        ("false or true", True),
        ("true XOR true", False),
        ("NOT 12", False),
        ("subject LIKE 'BTC%'", True),
        ("subject NOT LIKE 'BTC____'", False),
        ("count LIKE '1_'", True),
        ("'50%' LIKE '50\\%'", True),
        ("'505' LIKE '50\\%'", False),
        ("subject IN ('ETHUSDT', 'BTCUSDT')", True),
        ("subject NOT IN ('ETHUSDT')", True),
        ("count IN (1, 12)", True),
        ("1 IN ('2', '1')", True),
        ("EXISTS subject", True),
        ("exists nothing", False),
        ("EXISTS id", True),
        ("NOT EXISTS nothing", True),
        ("android", "robot"),
        ("LENGTH('Zürich')", 6),
        ("CONCAT()", ""),
        ("CONCAT(subject, 1, true)", "BTCUSDT1true"),
        ("CONCAT_WS('-')", ""),
        ("CONCAT_WS('-', 'a', 2, 'c')", "a-2-c"),
        ("lower(subject)", "btcusdt"),
        ("UPPER('ü')", "Ü"),
        ("TRIM('  a b\t')", "a b"),
        ("LEFT(subject, 3)", "BTC"),
        ("LEFT('ab', 9)", "ab"),
        ("RIGHT(subject, 4)", "USDT"),
        ("RIGHT('ab', 0)", ""),
        ("SUBSTRING(subject, 4)", "USDT"),
        ("SUBSTRING(subject, -4, 2)", "US"),
        ("SUBSTRING('abc', 0)", ""),
        ("SUBSTRING('abc', 2, 9)", "bc"),
        ("ABS(-5)", 5),
        ("INT('-3')", -3),
        ("INT(true)", 1),
        ("BOOL('TRUE')", True),
        ("BOOL(0)", False),
        ("STRING(12)", "12"),
        ("STRING(true)", "true"),
        ("IS_INT('1x')", False),
        ("IS_INT(count)", True),
        ("IS_BOOL(live)", True),
        ("IS_BOOL('yes')", False),
    ],
)
def test_expressions_have_their_values(text: str, expected: Value) -> None:
    found = value(text, {**EVENT, "android": "robot"})
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "nothing = ''",
        "NOT nothing",
        "true AND nothing",
        "1 / 0",
        "1 % 0",
        "subject > 1",
        "NOT subject",
        "NOT count",
        "nothing != 2",
        "NOT (nothing = 2)",
        "nothing LIKE '%'",
        "nothing IN ('a')",
        "nothing <= 2 OR true",
        "5 / (count - 12)",
        "'text' AND true",
        "INT('99999999999')",
        "INT('')",
        "BOOL('yes')",
        "ABS(-2147483648)",
        "LEFT('ab', -1)",
        "SUBSTRING('abc', 4)",
        "SUBSTRING('abc', 1, -1)",
        "subject = 1",
    ],
)
def test_what_has_no_value_does_not_pass(text: str) -> None:
    with pytest.raises(EvaluationError):
        value(text)
    assert not parse(text).is_true(EVENT)


@given(st.text(st.characters(codec="utf-8", exclude_characters="'\\"), max_size=30))
def test_any_text_is_the_same_as_a_literal_and_as_an_attribute(text: str) -> None:
    assert value(f"'{text}'") == text
    assert parse(f"label = '{text}'").is_true({"label": text})


def test_logic_stops_where_the_outcome_is_known() -> None:
    assert value("false AND nothing") is False
    assert value("true OR nothing") is True


def test_logical_operators_share_one_precedence_and_group_from_the_right() -> None:
    assert value("false AND false OR true") is False
    assert value("(false AND false) OR true") is True


def test_not_binds_tighter_than_a_comparison() -> None:
    assert value("NOT true = false") is True
    assert value("NOT 'false' LIKE 'tr%'") is True


def test_only_the_boolean_true_passes() -> None:
    assert not parse("'true'").is_true(EVENT)
    assert not parse("1").is_true(EVENT)
    assert parse("BOOL('true')").is_true(EVENT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ABC(",
        "1 +",
        "x LIKE 123",
        "x IN ()",
        "a = = b",
        "2147483648",
        "'open",
        "UNKNOWN(1)",
        "LENGTH()",
        "a b",
        "#",
        "   ",
        "= 'a'",
        "(true",
        "true)",
        "x LIKE other",
        "x IN 'a'",
        "EXISTS",
        "EXISTS 'subject'",
        "LENGTH('a', 'b')",
        "CONCAT_WS()",
    ],
)
def test_what_is_no_expression_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse(text)


@pytest.fixture(scope="module")
def sqlite() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA case_sensitive_like = ON")
    yield connection
    connection.close()


_pieces = st.lists(st.sampled_from(["a", "b", "ü", ".", "*", "%", "_", "\\%", "\\_", "%%"]), max_size=6).map("".join)


@given(text=st.text("abü.*%_", max_size=8), pattern=_pieces)
def test_patterns_match_as_in_sqlite(sqlite: sqlite3.Connection, text: str, pattern: str) -> None:
    (expected,) = sqlite.execute("SELECT ? LIKE ? ESCAPE '\\'", (text, pattern)).fetchone()
    assert value(f"x LIKE '{pattern}'", {"x": text}) is bool(expected)


@given(
    left=st.integers(-40_000, 40_000),
    right=st.integers(-40_000, 40_000).filter(bool),
    sign=st.sampled_from("+-*/%"),
)
def test_arithmetic_is_that_of_sqlite(sqlite: sqlite3.Connection, left: int, right: int, sign: str) -> None:
    (expected,) = sqlite.execute(f"SELECT {left} {sign} ({right})").fetchone()
    found = value(f"a {sign} b", {"a": str(left), "b": str(right)})
    assert isinstance(found, int)
    assert -(2**31) <= found < 2**31
    assert (found - expected) % 2**32 == 0, "beyond 32 bits it wraps"
