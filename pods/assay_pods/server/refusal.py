"""A call that the pod turns down, with the gRPC status that says why."""

import grpc


class RefusalError(Exception):
    """What the caller gets; the message says what was wanted and what came."""

    def __init__(self, status: grpc.StatusCode, message: str) -> None:
        """Keep the status beside the message."""
        super().__init__(message)
        self.status = status
        self.message = message
