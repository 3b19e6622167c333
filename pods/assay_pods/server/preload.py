"""The fork server: its environment, its imports, and whether they went as they should."""

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path

import assay_pods
from assay_pods.server import forkserver_guard
from assay_pods.server.pod_log import log

# What runs need before their libraries are loaded. A waiting OpenMP thread must not burn the core that another run could use,
# and a fork server must have no threads of its own that a fork would lose.
_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "OPENBLAS_NUM_THREADS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def start_fork_server(modules: Sequence[str]) -> None:
    """Start the fork server; call it in the main thread, with whose end it ends. It imports the modules on its own time."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ[forkserver_guard.POD_PID_VARIABLE] = str(os.getpid())
    # The fork server finds modules by the environment alone.
    package_root = str(Path(assay_pods.__file__).parent.parent)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    multiprocessing.set_forkserver_preload([forkserver_guard.__name__, "assay_pods.server.run_main", *modules])
    forkserver.ensure_running()
    threading.Thread(target=_report, args=(tuple(modules), time.monotonic()), name="preload", daemon=True).start()


def _report(modules: Sequence[str], started: float) -> None:
    """Fork once, which waits for the imports, and log what came of them: the fork server itself passes over failures in silence."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("forkserver").Process(target=_look, args=(tuple(modules), theirs))
    try:
        process.start()
        theirs.close()
        missing, cuda_touched = ours.recv()
        process.join()
    except (OSError, EOFError):
        log.exception("fork server did not answer")
        return
    log.info("preloaded", seconds=round(time.monotonic() - started, 3), modules=list(modules))
    if missing:
        log.warning("preload failed", modules=missing)
    if cuda_touched:
        log.warning("a preloaded module touched CUDA; runs cannot use the device")


def _look(modules: Sequence[str], connection: Connection) -> None:
    torch = sys.modules.get("torch")
    cuda_touched = torch is not None and torch.cuda.is_initialized()
    connection.send(([name for name in modules if name not in sys.modules], cuda_touched))
