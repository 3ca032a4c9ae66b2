"""gradstat: how neural-network layers scale the signal they pass forward and the gradient they pass backward."""

__version__ = "0.1.0"
