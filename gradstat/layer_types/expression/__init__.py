"""Layers written as text: `x * sigmoid(1.702 * x)` → a record like that of any layer.

    text ── grammar ──> tape ── derivative ──> program ── emit ──> kernel
                                                  └───── domain ──> kinks, and x without finite values

    function of NumPy, PyTorch or JAX ── trace ──> tape ── spelling ──> text

The text is parsed, never evaluated. A tape is a list of steps in which equal computations are one step, so the size of
the derivative is limited. Python code is generated from the tape, with generated names; it contains no user text.
"""
