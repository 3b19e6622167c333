"""Assay's pods: the Python processes that train, score and report behind the gRPC contract in `proto/`."""

import os

# Here, before anything else is imported: huggingface_hub reads it once, and every TRL trainer sends a message when it is built.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
