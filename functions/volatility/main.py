"""Computes the volatility document that an event asks for."""

from common.analytics.calculators.volatility import VOLATILITY
from common.analytics.function import Calculation, calculator_function
from functions.volatility.calculator import compute
from functions.volatility.inputs import load

calculation = Calculation(VOLATILITY, load, compute)
volatility = calculator_function(calculation)
