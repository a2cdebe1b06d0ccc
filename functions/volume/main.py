"""Computes the volume document that an event asks for."""

from common.analytics.calculators.volume import VOLUME
from common.analytics.function import Calculation, calculator_function
from common.analytics.window import load_history
from functions.volume.calculator import compute

calculation = Calculation(VOLUME, load_history, compute)
volume = calculator_function(calculation)
