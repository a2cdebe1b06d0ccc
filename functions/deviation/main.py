"""Computes the deviation document that an event asks for."""

from common.analytics.function import calculator_function
from common.analytics.metrics import DEVIATION
from functions.deviation.calculator import compute
from functions.deviation.inputs import load

deviation = calculator_function(DEVIATION, load=load, compute=compute)
