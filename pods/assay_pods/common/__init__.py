"""What the capabilities share: artifacts, models, seeds, statistics and the context of a run."""
