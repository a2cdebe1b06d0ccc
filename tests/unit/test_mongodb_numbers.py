"""Decimal texts as Decimal128: the driver's own conversion is the judge."""

import struct
from fractions import Fraction

import bson
import pytest
from bson.decimal128 import Decimal128
from hypothesis import given
from hypothesis import strategies as st

from common.storage.mongodb.bodies import body_of, stored_body
from common.storage.mongodb.numbers import bid, number_text, product, stored_number

digits = st.text("0123456789", min_size=1, max_size=40)
plain = st.builds(
    lambda sign, whole, fraction: f"{sign}{whole}{'.' if fraction else ''}{fraction}",
    st.sampled_from(["", "-"]),
    digits,
    st.text("0123456789", max_size=20),
)
positive = st.from_regex(r"(0|[1-9][0-9]{0,12})(\.[0-9]{1,10})?", fullmatch=True)


@given(plain)
def test_every_decimal_text_comes_back_digit_for_digit(text: str) -> None:
    stored = bson.decode(bson.encode({"value": stored_number(text)}))["value"]
    assert number_text(stored) == text


@given(plain)
def test_the_bytes_are_those_of_the_driver(text: str) -> None:
    octets = bid(text)
    if octets is None:
        head, _, _ = text.removeprefix("-").partition(".")
        coefficient = text.removeprefix("-").replace(".", "").lstrip("0")
        assert len(coefficient) > 34 or (len(head) > 1 and head[0] == "0")
    else:
        assert octets == Decimal128(text).bid


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-0",
        "0.00000000",
        "-0.00010000",
        "64302.10",
        "0.00000001",
        "9" * 34,
        f"0.{'0' * 17}1",
        "12345678901234567890.12345678901234",
    ],
)
def test_numbers_of_the_exchange_become_decimals(text: str) -> None:
    assert stored_number(text) == Decimal128(text)
    assert number_text(Decimal128(text)) == text


@pytest.mark.parametrize("text", ["9" * 35, "007.10", "1E+3", "", "-", ".5", "5.", "NaN", "1,5", "１"])
def test_what_a_decimal_would_not_give_back_stays_text(text: str) -> None:
    assert stored_number(text) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (64302.1, "64302.1"),
        (64302.0, "64302"),
        (1e-8, "0.00000001"),
        (1.5e22, "15000000000000000000000"),
        (7, "7"),
        (bson.Int64(2**53 + 1), "9007199254740993"),
        ("0.10", "0.10"),
        ("1E-7", "0.0000001"),
        (Decimal128("1E+3"), "1000"),
        (Decimal128("1.50E+1"), "15.0"),
        (Decimal128("NaN"), "NaN"),
    ],
)
def test_numbers_of_other_writers_are_read(value: object, text: str) -> None:
    assert number_text(value) == text


@pytest.mark.parametrize("value", [True, None, [], {}])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="expected a number"):
        number_text(value)


@given(positive, positive)
def test_products_are_exact(one: str, other: str) -> None:
    result = product(one, other)
    text = result if isinstance(result, str) else number_text(Decimal128.from_bid(result))
    assert Fraction(text) == Fraction(one) * Fraction(other)
    assert "E" not in text


def test_a_product_of_too_many_digits_is_a_text() -> None:
    one, other = "12345678901234567890.123456789012345678", "98765432109876543210.123456789012345678"
    a, b = int(one.replace(".", "")), int(other.replace(".", ""))
    whole = str(a * b)
    assert product(one, other) == f"{whole[:-36]}.{whole[-36:]}"


def test_a_coefficient_of_two_words_is_read() -> None:
    low, high = struct.unpack("<QQ", Decimal128("18446744073709551616.5").bid)
    assert high & ((1 << 49) - 1) > 0
    assert number_text(Decimal128((high, low))) == "18446744073709551616.5"  # type: ignore[arg-type]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | plain
    | st.text(max_size=10)
    | st.datetimes().map(lambda moment: f"{moment.isoformat()[:19]}.123Z"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc$.1", max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_bodies_come_back_as_they_were(value: object) -> None:
    codecs: bson.CodecOptions[dict[str, object]] = bson.CodecOptions(
        datetime_conversion=bson.codec_options.DatetimeConversion.DATETIME_MS
    )
    stored = bson.decode(bson.encode({"value": stored_body(value)}), codecs)["value"]
    assert body_of(stored) == value


def test_bodies_are_stored_in_the_types_of_the_database() -> None:
    texts = {"score": "0.50", "at": "2025-10-20T12:00:00.000Z", "name": "1h", "day": "2025-02-30T00:00:00.000Z"}
    stored = stored_body(texts)
    assert stored["score"] == Decimal128("0.50")
    assert isinstance(stored["at"], bson.datetime_ms.DatetimeMS)
    assert (stored["name"], stored["day"]) == ("1h", texts["day"])
