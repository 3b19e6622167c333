"""Which device this machine has, asked in a process of its own so that the server never touches CUDA."""

import asyncio
import ctypes
import sys
from importlib import metadata


def main() -> None:
    """Say the device on stdout."""
    sys.stdout.write(_device())


async def find_device(wanted: str) -> str:
    """The device as `cpu`, or as `cuda:` with its name.

    Args:
        wanted: `cpu`, `cuda`, or `auto` for CUDA where it works.

    Raises:
        ValueError: CUDA was wanted and is not there.
    """
    if wanted == "cpu":
        return "cpu"
    probe = await asyncio.create_subprocess_exec(sys.executable, "-m", __name__, stdout=asyncio.subprocess.PIPE)
    said, _ = await probe.communicate()
    device = said.decode() if probe.returncode == 0 else "cpu"
    if wanted == "cuda" and not device.startswith("cuda:"):
        raise ValueError("wanted a CUDA device, but torch finds none that works")
    return device


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that results depend on, without importing them."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in ("torch", "transformers", "trl"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _device() -> str:
    # torch takes seconds to load; without the driver's library its answer is known.
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "cpu"
    import torch

    return f"cuda:{torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else "cpu"


if __name__ == "__main__":
    main()
