"""From a StartRun request to a checked plan of one attempt; what cannot be right is refused here."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc

from assay_pods.gen.assay.pod.v1 import pod_service_pb2
from assay_pods.server.attempt import Limits
from assay_pods.server.capabilities import Capability
from assay_pods.server.http_files import Source, is_safe_address
from assay_pods.server.lease import SHARE
from assay_pods.server.refusal import RefusalError

RUN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
"""A run's id, which also names folders."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_INPUTS = 10_000
_MOST_THREADS = 1_024
_MOST_PARTS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class ResumePoint:
    """The checkpoint that an attempt goes on from."""

    step: int
    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """One attempt, checked."""

    run_id: str
    epoch: int
    capability: Capability
    spec: bytes
    spec_sha256: str
    inputs: Mapping[str, str]
    """Input name to digest."""
    threads: int
    limits: Limits
    resume_from: ResumePoint | None = None
    micro_batch_divisor: int = 1
    sources: Mapping[str, Source] = field(default_factory=dict)
    """Digest to where the file can be fetched, for those that this pod's store may lack."""
    uploads_need_grants: bool = False


def check_plan(request: pod_service_pb2.StartRunRequest, capabilities: Mapping[str, Capability], stall_s: float) -> Plan:
    """Check all of a request that can be checked without the artifact store.

    Raises:
        RefusalError: INVALID_ARGUMENT, or FAILED_PRECONDITION when the run was planned for other code than this pod has.
    """
    _check(RUN_ID.fullmatch(request.run_id) is not None, "a run id as a lower-case UUID", request.run_id)
    _check(request.epoch >= 1, "an epoch from 1", request.epoch)
    capability = capabilities.get(request.capability)
    if capability is None:
        _refuse(f"one of the capabilities {', '.join(sorted(capabilities))}", request.capability)
    spec = _spec_of(request)
    _check(spec.get("capability", request.capability) == request.capability, f"a spec of {request.capability}", spec.get("capability"))
    planned_for = spec.get("codeDigest", capability.code_digest)
    if planned_for != capability.code_digest:
        message = f"wanted the code {planned_for} of {capability.name}, but this pod has {capability.code_digest}"
        raise RefusalError(grpc.StatusCode.FAILED_PRECONDITION, message)
    threads = spec.get("threads", 1)
    threads_fit = isinstance(threads, int) and not isinstance(threads, bool) and 1 <= threads <= _MOST_THREADS
    _check(threads_fit, f"threads from 1 to {_MOST_THREADS}", threads)
    return Plan(
        run_id=request.run_id,
        epoch=request.epoch,
        capability=capability,
        spec=request.spec,
        spec_sha256=request.spec_sha256,
        inputs=_inputs_of(request),
        threads=threads,
        limits=_limits_of(request, stall_s),
        resume_from=_resume_point_of(request),
        micro_batch_divisor=_divisor_of(request),
        sources=_sources_of(request),
        uploads_need_grants=request.uploads_need_grants,
    )


def _resume_point_of(request: pod_service_pb2.StartRunRequest) -> ResumePoint | None:
    if not request.HasField("resume_from"):
        return None
    came = request.resume_from
    _check(came.step >= 0, "a checkpoint's step from 0", came.step)
    _check(_SHA256.fullmatch(came.sha256) is not None, "a SHA-256 for the checkpoint", came.sha256)
    _check(came.size_bytes > 0, "a checkpoint of more than 0 bytes", came.size_bytes)
    return ResumePoint(step=came.step, sha256=came.sha256, size_bytes=came.size_bytes)


def _divisor_of(request: pod_service_pb2.StartRunRequest) -> int:
    divisor = request.micro_batch_divisor
    _check(0 <= divisor <= _MOST_PARTS, f"a micro-batch divisor from 1 to {_MOST_PARTS}, or 0 for none", divisor)
    return divisor or 1


def _spec_of(request: pod_service_pb2.StartRunRequest) -> Mapping[str, Any]:
    came = hashlib.sha256(request.spec).hexdigest()
    _check(came == request.spec_sha256, f"a spec with the digest {request.spec_sha256}", came)
    try:
        spec = json.loads(request.spec.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        _refuse("a spec in JSON", str(error))
    _check(isinstance(spec, dict), "a JSON object as the spec", type(spec).__name__)
    return spec


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"JSON has no {word}")


def _inputs_of(request: pod_service_pb2.StartRunRequest) -> Mapping[str, str]:
    _check(len(request.inputs) <= _MOST_INPUTS, f"at most {_MOST_INPUTS} inputs", len(request.inputs))
    inputs: dict[str, str] = {}
    for each in request.inputs:
        _check(0 < len(each.name) <= 200 and each.name.isprintable(), "an input name of 1 to 200 printable characters", each.name)
        _check(each.name not in inputs, "each input name once", each.name)
        _check(_SHA256.fullmatch(each.sha256) is not None, f"a SHA-256 for the input {each.name}", each.sha256)
        inputs[each.name] = each.sha256
    return inputs


def _sources_of(request: pod_service_pb2.StartRunRequest) -> Mapping[str, Source]:
    """An address is a secret, so that a bad one is not told back."""
    sources = [Source(sha256=each.sha256, size_bytes=each.size_bytes, url=each.url) for each in request.inputs if each.url]
    if request.resume_url:
        came = request.resume_from
        sources.append(Source(sha256=came.sha256, size_bytes=came.size_bytes, url=request.resume_url))
    for source in sources:
        _check(source.size_bytes >= 0, "a size of 0 bytes or more beside an address", source.size_bytes)
        _check(is_safe_address(source.url), f"an https address, or http on this machine, for {source.sha256}", "another address")
    return {source.sha256: source for source in sources}


def check_grant(request: pod_service_pb2.GrantUploadRequest) -> None:
    """Check where a file is to be uploaded.

    Raises:
        RefusalError: INVALID_ARGUMENT.
    """
    if request.url or not request.refusal:
        _check(is_safe_address(request.url), f"an https address, or http on this machine, for {request.sha256}", "another address")


def _limits_of(request: pod_service_pb2.StartRunRequest, stall_s: float) -> Limits:
    ttl, beat, hard = request.lease_ttl_ms, request.beat_interval_ms, request.hard_deadline_ms
    _check(ttl > 0, "a lease of more than 0 ms", ttl)
    _check(0 < beat < SHARE * ttl, f"a beat interval above 0 and below {SHARE} of the lease of {ttl} ms", beat)
    _check(hard >= 0, "a hard deadline of 0 ms or more", hard)
    return Limits(lease_ttl_s=ttl / 1000, beat_interval_s=beat / 1000, hard_deadline_s=hard / 1000 if hard > 0 else None, stall_s=stall_s)


def _check(fits: bool, wanted: str, came: Any) -> None:
    if not fits:
        _refuse(wanted, came)


def _refuse(wanted: str, came: Any) -> NoReturn:
    raise RefusalError(grpc.StatusCode.INVALID_ARGUMENT, f"wanted {wanted}, but got {str(came)[:200]!r}")
