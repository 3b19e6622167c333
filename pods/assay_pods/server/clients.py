"""Which clients a pod listens to, where an authority gives certificates to others too."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

_NAMES = ("x509_subject_alternative_name", "x509_common_name")


class ClientNames(grpc.aio.ServerInterceptor):
    """Refuses every call of a client whose certificate is not for one name.

    It is looked for among the alternative names or, where there are none, in the common name.

    Args:
        name: The name.
    """

    def __init__(self, name: str) -> None:
        """Listen to this name alone."""
        self._name = name

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Put the look at the certificate before the call's own handler."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        codec = {"request_deserializer": handler.request_deserializer, "response_serializer": handler.response_serializer}
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(self._before_stream(handler.unary_stream), **codec)
        return grpc.unary_unary_rpc_method_handler(self._before_answer(handler.unary_unary), **codec)

    def _before_answer(self, answer: Callable[..., Awaitable[Any]]) -> Any:
        async def checked(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            await self._check(context)
            return await answer(request, context)

        return checked

    def _before_stream(self, answer: Callable[..., AsyncIterator[Any]]) -> Any:
        async def checked(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            await self._check(context)
            async for each in answer(request, context):
                yield each

        return checked

    async def _check(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        shown = context.auth_context()
        names = next((shown[kind] for kind in _NAMES if shown.get(kind)), [])
        if self._name.encode() not in names:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "wanted the certificate of a dispatcher, but got another one")
