"""Assay's pods: the Python processes that train, score and report behind the gRPC contract in `proto/`."""
