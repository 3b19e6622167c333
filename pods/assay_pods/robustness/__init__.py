"""Robustness of SFT, DPO and KTO to spurious correlations (arXiv 2505.05704, protocol in docs/)."""
