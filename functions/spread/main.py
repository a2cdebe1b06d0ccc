"""Computes the spread document that an event asks for."""

from common.analytics.calculators.spread import SPREAD
from common.analytics.function import Calculation, calculator_function
from functions.spread.calculator import compute
from functions.spread.inputs import load

calculation = Calculation(SPREAD, load, compute)
spread = calculator_function(calculation)
