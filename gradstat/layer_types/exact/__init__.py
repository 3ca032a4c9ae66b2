"""The deterministic referee: closed forms, quadrature, order statistics. Shares only formulas with the sampler."""
