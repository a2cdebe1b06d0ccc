"""CloudEvents SQL: an expression on the attributes of an event, as the ``cesql`` filter dialect of Triggers uses it.

The specification is CloudEvents SQL Expression Language 1.0 (github.com/cloudevents/spec, cesql/spec.md). Where it
leaves a choice, the one of the Go SDK holds, because Knative evaluates with that: evaluation stops at the first
error; ``AND``, ``OR`` and ``XOR`` have one precedence and group from the right; integers wrap at 32 bits.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import LarkError, VisitError

from infra.local.broker.cesql_functions import function_of, pattern_of
from infra.local.broker.cesql_values import (
    EvaluationError,
    Value,
    divided,
    remainder,
    to_bool,
    to_int,
    to_string,
    to_type_of,
    wrapped,
)

Attributes = Mapping[str, str]
Evaluation = Callable[[Attributes], Value]

# Keywords in any case; a terminal with a higher number wins over the names. A sign belongs to an integer only where
# an operand may begin, so that `hop -1` subtracts.
_GRAMMAR: Final = r"""
?start: logic
?logic: comparison
    | comparison AND logic                      -> conjunction
    | comparison OR logic                       -> disjunction
    | comparison XOR logic                      -> exclusive
?comparison: sum
    | comparison (EQUAL | UNEQUAL) sum          -> equality
    | comparison ORDER sum                      -> order
?sum: product
    | sum ADDITIVE product                      -> arithmetic
?product: predicate
    | product MULTIPLICATIVE predicate          -> arithmetic
?predicate: operand
    | predicate LIKE STRING                     -> like
    | predicate NOT LIKE STRING                 -> not_like
    | predicate IN "(" logic ("," logic)* ")"   -> among
    | predicate NOT IN "(" logic ("," logic)* ")" -> not_among
?operand: NOT operand                           -> negation
    | "-" operand                               -> minus
    | EXISTS NAME                               -> exists
    | FUNCTION "(" [logic ("," logic)*] ")"     -> call
    | TRUE                                      -> true
    | FALSE                                     -> false
    | INTEGER                                   -> integer
    | STRING                                    -> string
    | NAME                                      -> attribute
    | "(" logic ")"

AND.3: /and(?![a-z0-9_])/i
OR.3: /or(?![a-z0-9_])/i
XOR.3: /xor(?![a-z0-9_])/i
NOT.3: /not(?![a-z0-9_])/i
LIKE.3: /like(?![a-z0-9_])/i
IN.3: /in(?![a-z0-9_])/i
EXISTS.3: /exists(?![a-z0-9_])/i
TRUE.3: /true(?![a-z0-9_])/i
FALSE.3: /false(?![a-z0-9_])/i
FUNCTION.2: /[a-z][a-z_]*(?=\s*\()/i
INTEGER.2: /[+-]?[0-9]+(?![a-z0-9])/i
NAME.1: /[a-z0-9]+/i
STRING: /'(?:\\.|''|[^'\\])*'|"(?:\\.|""|[^"\\])*"/s
EQUAL: "="
UNEQUAL.2: "!=" | "<>"
ORDER: "<=" | ">=" | "<" | ">"
ADDITIVE: "+" | "-"
MULTIPLICATIVE: "*" | "/" | "%"
%ignore /[ \t\r\n]+/
"""
_ORDERS: Final[Mapping[str, Callable[[int, int], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: Final[Mapping[str, Callable[[int, int], int]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": divided,
    "%": remainder,
}
# Required attributes: they exist in any event.
_ALWAYS: Final = frozenset({"specversion", "id", "source", "type"})


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression. Two are equal when their texts are."""

    text: str
    _evaluation: Evaluation = field(compare=False, repr=False)

    def evaluate(self, attributes: Attributes) -> Value:
        """Return the value of the expression for an event.

        Raises:
            EvaluationError: a missing attribute, an impossible cast, a division by zero, a wrong argument.
        """
        return self._evaluation(attributes)

    def is_true(self, attributes: Attributes) -> bool:
        """Tell whether the expression is the boolean true; after an error it is not."""
        try:
            return self._evaluation(attributes) is True
        except EvaluationError:
            return False


def parse(text: str) -> Expression:
    """Parse an expression.

    Raises:
        ValueError: it is not CESQL, or it calls a function that does not exist.
    """
    try:
        return Expression(text, _TRANSFORMER.transform(_PARSER.parse(text)))
    except VisitError as error:
        raise ValueError(f"expected a CESQL expression, was {text!r}: {error.orig_exc}") from error
    except LarkError as error:
        raise ValueError(f"expected a CESQL expression, was {text!r}: {str(error).splitlines()[0]}") from error


@v_args(inline=True)
class _Compiler(Transformer[Token, Evaluation]):
    """Makes a closure of every node of the tree."""

    def conjunction(self, left: Evaluation, _operator: Token, right: Evaluation) -> Evaluation:
        return lambda event: to_bool(left(event)) and to_bool(right(event))

    def disjunction(self, left: Evaluation, _operator: Token, right: Evaluation) -> Evaluation:
        return lambda event: to_bool(left(event)) or to_bool(right(event))

    def exclusive(self, left: Evaluation, _operator: Token, right: Evaluation) -> Evaluation:
        return lambda event: to_bool(left(event)) is not to_bool(right(event))

    def negation(self, _operator: Token, operand: Evaluation) -> Evaluation:
        return lambda event: not to_bool(operand(event))

    def minus(self, operand: Evaluation) -> Evaluation:
        return lambda event: wrapped(-to_int(operand(event)))

    def equality(self, left: Evaluation, sign: Token, right: Evaluation) -> Evaluation:
        wanted = sign.type == "EQUAL"

        def evaluate(event: Attributes) -> bool:
            left_value, right_value = left(event), right(event)
            return (to_type_of(right_value, left_value) == right_value) is wanted

        return evaluate

    def order(self, left: Evaluation, sign: Token, right: Evaluation) -> Evaluation:
        compare = _ORDERS[sign]
        return lambda event: compare(to_int(left(event)), to_int(right(event)))

    def arithmetic(self, left: Evaluation, sign: Token, right: Evaluation) -> Evaluation:
        compute = _ARITHMETIC[sign]
        return lambda event: wrapped(compute(to_int(left(event)), to_int(right(event))))

    def like(self, operand: Evaluation, _operator: Token, pattern: Token) -> Evaluation:
        matches = pattern_of(_unquoted(pattern)).fullmatch
        return lambda event: matches(to_string(operand(event))) is not None

    def not_like(self, operand: Evaluation, _not: Token, like: Token, pattern: Token) -> Evaluation:
        matches = self.like(operand, like, pattern)
        return lambda event: not matches(event)

    def among(self, operand: Evaluation, _operator: Token, *members: Evaluation) -> Evaluation:
        def evaluate(event: Attributes) -> bool:
            value = operand(event)
            return any(to_type_of(value, member(event)) == value for member in members)

        return evaluate

    def not_among(self, operand: Evaluation, _not: Token, operator_in: Token, *members: Evaluation) -> Evaluation:
        is_among = self.among(operand, operator_in, *members)
        return lambda event: not is_among(event)

    def exists(self, _operator: Token, name: Token) -> Evaluation:
        attribute = name.lower()
        return lambda event: attribute in _ALWAYS or attribute in event

    def call(self, name: Token, *arguments: Evaluation | None) -> Evaluation:
        given = tuple(argument for argument in arguments if argument is not None)
        function = function_of(name.upper(), len(given))
        return lambda event: function(*(argument(event) for argument in given))

    def true(self, _token: Token) -> Evaluation:
        return lambda _event: True

    def false(self, _token: Token) -> Evaluation:
        return lambda _event: False

    def integer(self, token: Token) -> Evaluation:
        value = int(token)
        if wrapped(value) != value:
            raise ValueError(f"{token} is not a 32-bit integer")
        return lambda _event: value

    def string(self, token: Token) -> Evaluation:
        value = _unquoted(token)
        return lambda _event: value

    def attribute(self, name: Token) -> Evaluation:
        return partial(_attribute, name.lower())


def _attribute(name: str, event: Attributes) -> str:
    value = event.get(name)
    if value is None:
        raise EvaluationError(f"the event has no attribute {name}")
    return value


def _unquoted(token: Token) -> str:
    quote = token[0]
    return token[1:-1].replace(f"\\{quote}", quote)


_PARSER: Final[Any] = Lark(_GRAMMAR, parser="lalr", maybe_placeholders=False)
_TRANSFORMER: Final = _Compiler()
