"""Computes the correlation documents of all pairs that an event asks for."""

from common.analytics.function import calculator_function
from common.analytics.metrics import CORRELATION
from functions.correlation.calculator import compute
from functions.correlation.inputs import load

correlation = calculator_function(CORRELATION, load=load, compute=compute)
