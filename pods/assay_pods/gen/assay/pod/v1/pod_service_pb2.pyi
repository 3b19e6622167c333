from assay_pods.gen.assay.pod.v1 import run_pb2 as _run_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StartRunRequest(_message.Message):
    __slots__ = ("run_id", "epoch", "capability", "spec", "spec_sha256", "inputs", "lease_ttl_ms", "beat_interval_ms", "hard_deadline_ms", "resume_from", "micro_batch_divisor", "uploads_need_grants", "resume_url")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    CAPABILITY_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    SPEC_SHA256_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    LEASE_TTL_MS_FIELD_NUMBER: _ClassVar[int]
    BEAT_INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    HARD_DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    RESUME_FROM_FIELD_NUMBER: _ClassVar[int]
    MICRO_BATCH_DIVISOR_FIELD_NUMBER: _ClassVar[int]
    UPLOADS_NEED_GRANTS_FIELD_NUMBER: _ClassVar[int]
    RESUME_URL_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    epoch: int
    capability: str
    spec: bytes
    spec_sha256: str
    inputs: _containers.RepeatedCompositeFieldContainer[Input]
    lease_ttl_ms: int
    beat_interval_ms: int
    hard_deadline_ms: int
    resume_from: _run_pb2.Checkpoint
    micro_batch_divisor: int
    uploads_need_grants: bool
    resume_url: str
    def __init__(self, run_id: _Optional[str] = ..., epoch: _Optional[int] = ..., capability: _Optional[str] = ..., spec: _Optional[bytes] = ..., spec_sha256: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[Input, _Mapping]]] = ..., lease_ttl_ms: _Optional[int] = ..., beat_interval_ms: _Optional[int] = ..., hard_deadline_ms: _Optional[int] = ..., resume_from: _Optional[_Union[_run_pb2.Checkpoint, _Mapping]] = ..., micro_batch_divisor: _Optional[int] = ..., uploads_need_grants: _Optional[bool] = ..., resume_url: _Optional[str] = ...) -> None: ...

class Input(_message.Message):
    __slots__ = ("name", "sha256", "url", "size_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    sha256: str
    url: str
    size_bytes: int
    def __init__(self, name: _Optional[str] = ..., sha256: _Optional[str] = ..., url: _Optional[str] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class StartRunResponse(_message.Message):
    __slots__ = ("free_slots",)
    FREE_SLOTS_FIELD_NUMBER: _ClassVar[int]
    free_slots: int
    def __init__(self, free_slots: _Optional[int] = ...) -> None: ...

class WatchRunRequest(_message.Message):
    __slots__ = ("run_id", "epoch", "after_sequence")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    epoch: int
    after_sequence: int
    def __init__(self, run_id: _Optional[str] = ..., epoch: _Optional[int] = ..., after_sequence: _Optional[int] = ...) -> None: ...

class WatchRunResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: _run_pb2.RunEvent
    def __init__(self, event: _Optional[_Union[_run_pb2.RunEvent, _Mapping]] = ...) -> None: ...

class RenewRunRequest(_message.Message):
    __slots__ = ("run_id", "epoch", "beat", "cancel_mode")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    BEAT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_MODE_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    epoch: int
    beat: int
    cancel_mode: _run_pb2.CancelMode
    def __init__(self, run_id: _Optional[str] = ..., epoch: _Optional[int] = ..., beat: _Optional[int] = ..., cancel_mode: _Optional[_Union[_run_pb2.CancelMode, str]] = ...) -> None: ...

class RenewRunResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CancelRunRequest(_message.Message):
    __slots__ = ("run_id", "epoch", "mode")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    epoch: int
    mode: _run_pb2.CancelMode
    def __init__(self, run_id: _Optional[str] = ..., epoch: _Optional[int] = ..., mode: _Optional[_Union[_run_pb2.CancelMode, str]] = ...) -> None: ...

class CancelRunResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GrantUploadRequest(_message.Message):
    __slots__ = ("run_id", "epoch", "sha256", "url", "headers", "refusal")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    epoch: int
    sha256: str
    url: str
    headers: _containers.ScalarMap[str, str]
    refusal: str
    def __init__(self, run_id: _Optional[str] = ..., epoch: _Optional[int] = ..., sha256: _Optional[str] = ..., url: _Optional[str] = ..., headers: _Optional[_Mapping[str, str]] = ..., refusal: _Optional[str] = ...) -> None: ...

class GrantUploadResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribePodRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribePodResponse(_message.Message):
    __slots__ = ("pod_id", "device", "slots", "free_slots", "code_digests", "versions", "held_runs")
    class CodeDigestsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class VersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    POD_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    FREE_SLOTS_FIELD_NUMBER: _ClassVar[int]
    CODE_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    HELD_RUNS_FIELD_NUMBER: _ClassVar[int]
    pod_id: str
    device: str
    slots: int
    free_slots: int
    code_digests: _containers.ScalarMap[str, str]
    versions: _containers.ScalarMap[str, str]
    held_runs: _containers.RepeatedCompositeFieldContainer[HeldRun]
    def __init__(self, pod_id: _Optional[str] = ..., device: _Optional[str] = ..., slots: _Optional[int] = ..., free_slots: _Optional[int] = ..., code_digests: _Optional[_Mapping[str, str]] = ..., versions: _Optional[_Mapping[str, str]] = ..., held_runs: _Optional[_Iterable[_Union[HeldRun, _Mapping]]] = ...) -> None: ...

class HeldRun(_message.Message):
    __slots__ = ("run_id", "epoch")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    epoch: int
    def __init__(self, run_id: _Optional[str] = ..., epoch: _Optional[int] = ...) -> None: ...
