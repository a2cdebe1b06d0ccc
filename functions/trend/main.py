"""Computes the trend document that an event asks for."""

from common.analytics.calculators.trend import TREND
from common.analytics.function import Calculation, calculator_function
from functions.trend.calculator import compute
from functions.trend.inputs import load

calculation = Calculation(TREND, load, compute)
trend = calculator_function(calculation)
