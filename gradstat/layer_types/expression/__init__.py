"""Layers written as text: `x * sigmoid(1.702 * x)` → a record like every other.

    text ── grammar ──> tape ── derivative ──> program ── emit ──> kernel
                                                  └───── domain ──> kinks, and where it is not finite

The text is parsed, never evaluated. A tape is a list of steps; what is computed twice is one step, so neither the
text nor its derivative can blow up. Only a tape becomes Python, with names and numbers of our own making.
"""
