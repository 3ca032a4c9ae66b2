"""Descriptions that the pages need and no record holds: columns of a result file, plain functions of formulas."""

COLUMNS = {
    "layer": "the name of the layer",
    "params": "all parameters, defaults too, as JSON with sorted keys",
    "direction": "`forward`: the row is about y; `backward`: about dx",
    "cell": "a position of a strided window, as `(0, 1)`; `all` pools all positions",
    "input": "the distribution assumed of x, as `normal(0, 1)`",
    "upstream": "the distribution assumed of dy",
    "estimator": "`mc` or `rqmc`",
    "seed": "the seed of the run",
    "n": "draws of this layer",
    "mean": "E[v], where v is y or dx",
    "std": "σ[v]",
    "second_moment": "E[v²]",
    "abs_mean": "E|v|",
    "mad": "E|v − E[v]|, the mean absolute deviation",
    "skewness": "E[(v − E[v])³]/σ³",
    "kurtosis": "E[(v − E[v])⁴]/σ⁴, 3 for a normal v",
    "zero_fraction": "the fraction of values that are exactly 0",
    "min": "the smallest value drawn",
    "max": "the largest value drawn",
    "exact_mean": "the exact mean; null if none is known",
    "exact_std": "the exact standard deviation; null if none is known",
    "z_mean": "(mean − exact_mean)/mean_se as a normal score; null if the row is not judged",
    "z_std": "(std − exact_std)/std_se as a normal score; null if the row is not judged",
    "windows": "windows that cover the cell of a strided map; null for other layers",
    **{
        f"{name}_se": f"the standard error of `{name}`"
        for name in ("mean", "std", "second_moment", "abs_mean", "mad")
    },
}

PLAIN_FUNCTIONS = {
    "abs": "|u|",
    "sign": "1, 0 or −1",
    "exp": "eᵘ",
    "expm1": "eᵘ − 1, accurate near 0",
    "log": "the natural logarithm",
    "log1p": "ln(1 + u), accurate near 0",
    "sqrt": "√u",
    "tanh": "tanh u",
    "sigmoid": "1/(1 + e^−u)",
    "erf": "the error function",
    "erfc": "1 − erf u, accurate for large u",
    "sin": "sin u",
    "cos": "cos u",
    "atan": "arctan u",
    "asinh": "arsinh u",
    "floor": "the largest integer that is at most u",
    "min": "the smaller one",
    "max": "the larger one",
    "where": "`where(condition, a, b)`: a where the condition holds, else b; a condition is a comparison",
}
