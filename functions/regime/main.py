"""Computes the regime document that an event asks for."""

from common.analytics.function import calculator_function
from common.analytics.metrics import REGIME
from functions.regime.calculator import compute
from functions.regime.inputs import load

regime = calculator_function(REGIME, load=load, compute=compute)
