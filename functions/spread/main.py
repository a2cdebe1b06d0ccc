"""Computes the spread document that an event asks for."""

from common.analytics.function import calculator_function
from common.analytics.metrics import SPREAD
from functions.spread.calculator import compute
from functions.spread.inputs import load

spread = calculator_function(SPREAD, load=load, compute=compute)
