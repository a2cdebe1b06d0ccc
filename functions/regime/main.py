"""Computes the regime document that an event asks for."""

from common.analytics.calculators.regime import REGIME
from common.analytics.function import Calculation, calculator_function
from common.analytics.window import load_history
from functions.regime.calculator import compute

calculation = Calculation(REGIME, load_history, compute)
regime = calculator_function(calculation)
