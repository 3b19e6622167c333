"""One seed, many independent streams: every random choice of a run names its purpose."""

import hashlib
import os
import random

import numpy
import torch


def derived_seed(seed: int, purpose: str) -> int:
    """Gives the 63-bit seed of a named stream.

    Args:
        seed: The seed of the run, at least 0.
        purpose: What the stream is for, for instance "spuriousness".
    """
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(seed: int, purpose: str) -> random.Random:
    """Gives a generator that depends on nothing but the seed and the purpose, the same on every platform."""
    return random.Random(derived_seed(seed, purpose))


def permutation(seed: int, purpose: str, length: int) -> list[int]:
    """Gives a permutation of 0..length-1 from the named stream."""
    order = list(range(length))
    stream(seed, purpose).shuffle(order)
    return order


def seed_everything(seed: int, threads: int) -> None:
    """Makes this process deterministic: global generators, thread count and deterministic kernels.

    Args:
        seed: The seed of the run.
        threads: Threads of one operation; sums of floats depend on it, so it is part of a run's digest.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
