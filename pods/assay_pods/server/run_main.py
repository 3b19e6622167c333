"""What a run's process does from its first line to its last."""

import faulthandler
import importlib
import os
import resource
import sys
import time
from multiprocessing.connection import Connection
from typing import Any

from assay_pods.common.canonical_json import canonical_json
from assay_pods.common.context import CancelledError, ReleasedError
from assay_pods.gen.assay.pod.v1 import run_pb2
from assay_pods.server.failures import failed, failure_of
from assay_pods.server.isolation import isolate_run_process
from assay_pods.server.job import LARGEST_RESULT_BYTES, Job
from assay_pods.server.pod_log import configure_logging, log
from assay_pods.server.run_context import Channel, ChannelContext


def run_main(job: Job, connection: Connection) -> None:
    """Work on one attempt and say how it ended. Never returns: exit handlers of libraries may hang or touch the device."""
    isolate_run_process()
    configure_logging()
    faulthandler.enable()
    channel = Channel(connection)
    channel.send(run_pb2.RunEvent(started=run_pb2.Started(device=job.device)))
    done = _work(job, channel) if channel.wait_for_go() else run_pb2.Done(cancelled=run_pb2.Cancelled())
    done.usage.CopyFrom(_usage())
    channel.send(run_pb2.RunEvent(done=done))
    sys.stderr.flush()
    os._exit(0)


def _work(job: Job, channel: Channel) -> run_pb2.Done:
    context = ChannelContext(job, channel)
    started = time.monotonic()
    try:
        context.make_work_dir()
        _limit_threads(job.threads)
        _show_one_gpu(job.device)
        module, _, function = job.entry.partition(":")
        result = getattr(importlib.import_module(module), function)(context)
        return _outcome_of(result, context)
    except CancelledError as error:
        return run_pb2.Done(cancelled=run_pb2.Cancelled(last_step=error.last_step))
    except ReleasedError as error:
        return run_pb2.Done(released=run_pb2.Released(last_step=error.last_step))
    except Exception as error:  # noqa: BLE001 - whatever a capability raises ends the run, with its trace in the log
        log.exception("run failed", run=job.run_id, epoch=job.epoch, stage=context.stage, seconds=time.monotonic() - started)
        return run_pb2.Done(failed=failure_of(error, context.stage))


def _outcome_of(result: Any, context: ChannelContext) -> run_pb2.Done:
    """Save the result and wrap it up. A result is partial when its own field `partial` says so."""
    if not isinstance(result, dict):
        raise TypeError(f"wanted a dict as the capability's result, but got {type(result).__name__}")
    document = canonical_json(result)
    if len(document) > LARGEST_RESULT_BYTES:
        message = f"wanted a result of at most {LARGEST_RESULT_BYTES} bytes, but got {len(document)}"
        return run_pb2.Done(failed=failed(run_pb2.ERROR_CLASS_BAD_INPUT, "RESULT_TOO_LARGE", message, context.stage))
    digest = context.save_result(document)
    return run_pb2.Done(
        succeeded=run_pb2.Succeeded(
            metrics=document, content_sha256=digest, artifacts=context.artifacts, partial=result.get("partial") is True
        )
    )


def _limit_threads(threads: int) -> None:
    """Hold the number of threads to the spec's: sums in another order give another result."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)


def _show_one_gpu(device: str) -> None:
    """Let the run see the first GPU alone, the one that the pod named: trainers would spread over all that they see."""
    if device.startswith("cuda"):
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]


def _usage() -> run_pb2.Usage:
    """Processor time and peak memory of this process and its finished children; the server adds the rest."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024
    return run_pb2.Usage(
        cpu_seconds=own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
        peak_memory_bytes=max(own.ru_maxrss, children.ru_maxrss) * unit,
    )
