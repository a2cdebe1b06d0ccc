"""Computes the trend document that an event asks for."""

from common.analytics.function import calculator_function
from common.analytics.metrics import TREND
from functions.trend.calculator import compute
from functions.trend.inputs import load

trend = calculator_function(TREND, load=load, compute=compute)
