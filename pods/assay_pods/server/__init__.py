"""The pod itself: a gRPC server that works on each run in a process of its own."""
