"""Computes the deviation document that an event asks for."""

from common.analytics.calculators.deviation import DEVIATION
from common.analytics.function import Calculation, calculator_function
from common.analytics.window import load_history
from functions.deviation.calculator import compute

calculation = Calculation(DEVIATION, load_history, compute)
deviation = calculator_function(calculation)
