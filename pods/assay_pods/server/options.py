"""The pod's command line."""

import argparse
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from assay_pods.server.capabilities import Capability, find_capability
from assay_pods.server.pod import PodSettings

_Number = TypeVar("_Number", int, float)

_DEFAULT_CAPABILITIES = ("robustness=assay_pods.robustness.run:run", "retrieval=assay_pods.retrieval.run:run")

# The libraries load most of their modules only when asked: name the ones that runs will ask for.
_DEFAULT_PRELOAD = (
    "torch",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.llama.modeling_llama",
    "trl.trainer.sft_trainer",
    "trl.trainer.dpo_trainer",
    "trl.trainer.kto_trainer",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TlsFiles:
    """PEM files for mutual TLS."""

    certificate: Path
    key: Path
    client_ca: Path
    client_name: str | None
    """The name that clients' certificates must be for; None for any of the authority."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What the command line says."""

    listen: str
    settings: PodSettings
    grace_s: float
    """How long runs may take to write a checkpoint and stop when the pod is to end."""
    device: str
    preload: tuple[str, ...]
    parent_pipe: bool
    tls: TlsFiles | None


def parse_options(arguments: Sequence[str]) -> Options:
    """Read the command line; ends the process with a sentence when it makes no sense."""
    parser = _parser()
    read = parser.parse_args(arguments)
    try:
        capabilities = [find_capability(words) for words in read.capability or _DEFAULT_CAPABILITIES]
        return Options(
            listen=read.listen,
            settings=PodSettings(
                artifacts_dir=read.artifacts.resolve(),
                cache_dir=read.cache.resolve(),
                slots=_positive(read.slots, "--slots"),
                capabilities={capability.name: capability for capability in capabilities},
                stall_s=_positive(read.stall_seconds, "--stall-seconds"),
                keep_done_s=_positive(read.keep_done_seconds, "--keep-done-seconds"),
                checkpoint_s=_not_negative(read.checkpoint_seconds, "--checkpoint-seconds"),
                keep_bytes=int(_positive(read.keep_gib, "--keep-gib") * 2**30),
            ),
            grace_s=_not_negative(read.grace_seconds, "--grace-seconds"),
            device=read.device,
            preload=_preload_of(read.preload, capabilities),
            parent_pipe=read.parent_pipe,
            tls=_tls_of(read),
        )
    except ValueError as error:
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m assay_pods.server", description="Serve runs behind the gRPC contract in proto/.")
    parser.add_argument("--listen", required=True, help="address as HOST:PORT; port 0 takes a free one, which stdout tells")
    parser.add_argument("--artifacts", required=True, type=Path, help="folder of the artifact store")
    parser.add_argument("--cache", required=True, type=Path, help="folder for converted models, shared by runs")
    parser.add_argument("--slots", required=True, type=int, help="how many runs to work on at once")
    parser.add_argument("--parent-pipe", action="store_true", help="end when stdin ends: the pod belongs to the process that holds it")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: CUDA where it works")
    parser.add_argument("--capability", action="append", metavar="NAME=MODULE:FUNCTION", help="may be repeated; default: all built in")
    parser.add_argument("--preload", help="modules for the fork server, separated by commas, or none; default: what training needs")
    parser.add_argument("--stall-seconds", type=float, default=600.0, help="a run that says nothing for so long stops beating")
    parser.add_argument("--keep-done-seconds", type=float, default=600.0, help="how long the end of a run can still be fetched")
    parser.add_argument("--checkpoint-seconds", type=float, default=30.0, help="seconds of training between checkpoints, at least")
    parser.add_argument("--grace-seconds", type=float, default=120.0, help="after SIGTERM: how long runs may take to reach a checkpoint")
    parser.add_argument("--keep-gib", type=float, default=50.0, help="files of a bucket that stay here for the next runs, in GiB")
    parser.add_argument("--tls-cert", type=Path, help="PEM certificate chain; the three --tls files go together")
    parser.add_argument("--tls-key", type=Path, help="PEM private key")
    parser.add_argument("--tls-client-ca", type=Path, help="PEM authority that clients' certificates must come from")
    parser.add_argument("--tls-client-name", help="the DNS name that clients' certificates must be for; default: any of the authority")
    return parser


def _preload_of(words: str | None, capabilities: Sequence[Capability]) -> tuple[str, ...]:
    """With the default list go the capabilities themselves, so that runs use the code whose digest was taken at the start."""
    if words is None:
        return (*_DEFAULT_PRELOAD, *(capability.module for capability in capabilities))
    return () if words == "none" else tuple(words.split(","))


def _positive(value: _Number, flag: str) -> _Number:
    if value <= 0:
        raise ValueError(f"wanted {flag} above 0, but got {value}")
    return value


def _not_negative(value: float, flag: str) -> float:
    if not 0 <= value < float("inf"):
        raise ValueError(f"wanted {flag} of 0 or more, but got {value}")
    return value


def _tls_of(read: argparse.Namespace) -> TlsFiles | None:
    files = (read.tls_cert, read.tls_key, read.tls_client_ca)
    if read.tls_client_name == "":
        raise ValueError("wanted a name after --tls-client-name, but got an empty text")
    if all(file is not None for file in files):
        return TlsFiles(certificate=read.tls_cert, key=read.tls_key, client_ca=read.tls_client_ca, client_name=read.tls_client_name)
    if any(file is not None for file in files):
        raise ValueError("wanted --tls-cert, --tls-key and --tls-client-ca together or none of them")
    if read.tls_client_name is not None:
        raise ValueError("wanted the --tls files beside --tls-client-name, but got none")
    if not _is_local(read.listen):
        raise ValueError(f"wanted a loopback address for a pod without --tls files, but got {read.listen!r}")
    return None


def _is_local(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
