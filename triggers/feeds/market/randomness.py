"""Random numbers by name: each name has a stream of its own, the same in every run, independent of all others."""

import hashlib

import numpy as np


def generator(seed: int, *name: str | int) -> np.random.Generator:
    """Return the stream that ``seed`` and ``name`` stand for, from its beginning.

    The stream is the counter-based Philox with a key that hashes the name, so any block of the market can be drawn
    without drawing what lies before it.
    """
    text = "/".join(map(str, (seed, *name)))
    key = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key))
