"""The gRPC service: from requests to the pod, and from refusals to statuses."""

from collections.abc import AsyncIterator
from typing import NoReturn

import grpc
import grpc.aio

from assay_pods.gen.assay.pod.v1 import pod_service_pb2, pod_service_pb2_grpc
from assay_pods.server.device import versions
from assay_pods.server.plan import check_grant, check_plan
from assay_pods.server.pod import Pod
from assay_pods.server.refusal import RefusalError

SERVICE_NAME = pod_service_pb2.DESCRIPTOR.services_by_name["PodService"].full_name

_Call = grpc.aio.ServicerContext


class PodService(pod_service_pb2_grpc.PodServiceServicer):
    """Answers dispatchers; proto/assay/pod/v1/pod_service.proto says what each method promises."""

    def __init__(self, pod: Pod) -> None:
        """Serve this pod."""
        self._pod = pod
        self._versions = versions()

    async def StartRun(  # noqa: N802 - named by the contract
        self, request: pod_service_pb2.StartRunRequest, context: _Call
    ) -> pod_service_pb2.StartRunResponse:
        """Take one attempt of a run."""
        try:
            settings = self._pod.settings
            await self._pod.start(check_plan(request, settings.capabilities, settings.stall_s))
        except RefusalError as refusal:
            await _abort(context, refusal)
        return pod_service_pb2.StartRunResponse(free_slots=self._pod.free_slots)

    async def WatchRun(  # noqa: N802 - named by the contract
        self, request: pod_service_pb2.WatchRunRequest, context: _Call
    ) -> AsyncIterator[pod_service_pb2.WatchRunResponse]:
        """Stream the events of an attempt."""
        try:
            log = self._pod.find(request.run_id, request.epoch).log
            log.acknowledge(request.after_sequence)
            async for event in log.follow(request.after_sequence):
                yield pod_service_pb2.WatchRunResponse(event=event)
        except RefusalError as refusal:
            await _abort(context, refusal)

    async def RenewRun(  # noqa: N802 - named by the contract
        self, request: pod_service_pb2.RenewRunRequest, context: _Call
    ) -> pod_service_pb2.RenewRunResponse:
        """Note an acknowledged beat."""
        try:
            self._pod.find(request.run_id, request.epoch).renew(request.beat, request.cancel_mode)
            # The renewal may have come too late, or have carried the news that the lease is lost.
            self._pod.find(request.run_id, request.epoch)
        except RefusalError as refusal:
            await _abort(context, refusal)
        return pod_service_pb2.RenewRunResponse()

    async def CancelRun(  # noqa: N802 - named by the contract
        self, request: pod_service_pb2.CancelRunRequest, context: _Call
    ) -> pod_service_pb2.CancelRunResponse:
        """End an attempt early."""
        del context  # a cancel is never refused
        self._pod.cancel(request.run_id, request.epoch, request.mode)
        return pod_service_pb2.CancelRunResponse()

    async def GrantUpload(  # noqa: N802 - named by the contract
        self, request: pod_service_pb2.GrantUploadRequest, context: _Call
    ) -> pod_service_pb2.GrantUploadResponse:
        """Let an attempt upload a file."""
        try:
            check_grant(request)
            self._pod.find(request.run_id, request.epoch).transfers.grant(request)
        except RefusalError as refusal:
            await _abort(context, refusal)
        return pod_service_pb2.GrantUploadResponse()

    async def DescribePod(  # noqa: N802 - named by the contract
        self, request: pod_service_pb2.DescribePodRequest, context: _Call
    ) -> pod_service_pb2.DescribePodResponse:
        """Say what this pod is."""
        del request, context  # nothing is asked and nothing refused
        return pod_service_pb2.DescribePodResponse(
            pod_id=self._pod.id,
            device=await self._pod.device(),
            slots=self._pod.settings.slots,
            free_slots=self._pod.free_slots,
            code_digests={name: capability.code_digest for name, capability in self._pod.settings.capabilities.items()},
            versions=self._versions,
            held_runs=[pod_service_pb2.HeldRun(run_id=run_id, epoch=epoch) for run_id, epoch in self._pod.held],
        )


async def _abort(context: _Call, refusal: RefusalError) -> NoReturn:
    await context.abort(refusal.status, refusal.message)
    raise AssertionError("abort raises")
