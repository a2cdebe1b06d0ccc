"""Computes the correlation documents of all pairs that an event asks for."""

from common.analytics.calculators.correlation import CORRELATION
from common.analytics.function import Calculation, calculator_function
from functions.correlation.calculator import compute
from functions.correlation.inputs import load

calculation = Calculation(CORRELATION, load, compute)
correlation = calculator_function(calculation)
