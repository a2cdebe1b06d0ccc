"""Serves computed analytics over HTTP: documents as the calculators stored them, nothing is computed in a request."""
