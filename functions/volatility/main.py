"""Computes the volatility document that an event asks for."""

from common.analytics.function import calculator_function
from common.analytics.metrics import VOLATILITY
from functions.volatility.calculator import compute
from functions.volatility.inputs import load

volatility = calculator_function(VOLATILITY, load=load, compute=compute)
