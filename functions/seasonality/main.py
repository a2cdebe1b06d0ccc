"""Computes the seasonality document that an event asks for."""

from common.analytics.calculators.seasonality import SEASONALITY
from common.analytics.function import Calculation, calculator_function
from common.analytics.window import load_history
from functions.seasonality.calculator import compute

calculation = Calculation(SEASONALITY, load_history, compute)
seasonality = calculator_function(calculation)
