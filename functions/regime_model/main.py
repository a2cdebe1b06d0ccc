"""Computes the document of the model's regime that an event asks for."""

from common.analytics.calculators.regime_model import REGIME_MODEL
from common.analytics.function import Calculation, calculator_function
from functions.regime_model.calculator import compute
from functions.regime_model.inputs import load

calculation = Calculation(REGIME_MODEL, load, compute)
regime_model = calculator_function(calculation)
