"""Computes the document of the model's regime that an event asks for."""

from common.analytics.function import calculator_function
from common.analytics.metrics import REGIME_MODEL
from functions.regime_model.calculator import compute
from functions.regime_model.inputs import load

regime_model = calculator_function(REGIME_MODEL, load=load, compute=compute)
