"""Computes the seasonality document that an event asks for."""

from common.analytics.function import calculator_function
from common.analytics.metrics import SEASONALITY
from functions.seasonality.calculator import compute
from functions.seasonality.inputs import load

seasonality = calculator_function(SEASONALITY, load=load, compute=compute)
