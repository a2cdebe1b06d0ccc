"""Computes the volume document that an event asks for."""

from common.analytics.function import calculator_function
from common.analytics.metrics import VOLUME
from functions.volume.calculator import compute
from functions.volume.inputs import load

volume = calculator_function(VOLUME, load=load, compute=compute)
