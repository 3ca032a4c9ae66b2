"""gradstat: how neural-network layers scale the signal they pass forward and the gradient they pass backward.

Everything public is in `__all__`. `import gradstat` is cheap: each function imports what it needs when it is called.
Every error that gradstat raises is a `gradstat.errors.GradstatError` with a message of one line.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradstat import errors as errors
from gradstat.estimators import DEFAULT_SEED as DEFAULT_SEED

if TYPE_CHECKING:
    from gradstat.constants.gain import Gain as Gain
    from gradstat.constants.literals import ConstantTables
    from gradstat.layer_types.case import Case as Case
    from gradstat.layer_types.record import Layer
    from gradstat.layer_types.registration import activation as activation
    from gradstat.listings import Listing
    from gradstat.networks.summary import Networks as Networks
    from gradstat.numerics import elementary as elementary
    from gradstat.plots.kinds import Picture
    from gradstat.results.diff import Comparison
    from gradstat.results.estimate import Estimate as Estimate
    from gradstat.results.result import Result as Result
    from gradstat.runs.doctor import Diagnosis
    from gradstat.runs.progress import Progress as Progress
    from gradstat.runs.status import Status as Status
    from gradstat.solving.answer import Solutions as Solutions
    from gradstat.text.answer import Answer
    from gradstat.verification.verification import Verification as Verification

__version__ = "0.2.0"

Assumption = Mapping[str, Any]
File = str | os.PathLike[str]

# Public names that are imported on first use → their modules.
_LAZY = {
    "Case": "gradstat.layer_types.case",
    "Estimate": "gradstat.results.estimate",
    "Gain": "gradstat.constants.gain",
    "Networks": "gradstat.networks.summary",
    "Progress": "gradstat.runs.progress",
    "Result": "gradstat.results.result",
    "Solutions": "gradstat.solving.answer",
    "Status": "gradstat.runs.status",
    "Verification": "gradstat.verification.verification",
    "activation": "gradstat.layer_types.registration",
    "elementary": "gradstat.numerics.elementary",
}

__all__ = [
    "Case",
    "Estimate",
    "Gain",
    "Networks",
    "Progress",
    "Result",
    "Solutions",
    "Status",
    "Verification",
    "activation",
    "diff",
    "doctor",
    "elementary",
    "errors",
    "gain",
    "layer",
    "layers",
    "listing",
    "merge",
    "plot",
    "propagate",
    "read",
    "run",
    "schema",
    "show",
    "solve",
    "tables",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'gradstat' has no attribute {name!r}")
    import importlib

    module = importlib.import_module(_LAZY[name])
    value = module if _LAZY[name].endswith(f".{name}") else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def gain(
    layer_or_formula: "str | Case | Callable[..., Any]",
    *,
    statistics: Sequence[str] | None = None,
    input: Assumption | None = None,
    upstream: Assumption | None = None,
    jobs: int | None = None,
    digits: int | None = None,
    timeout: float | None = None,
    **parameters: Any,
) -> "Gain":
    """The statistics of y and dx of one layer: exact if known, otherwise sampled, with their errors.

    Arguments:
        layer_or_formula: the name of a layer (`gradstat.layers()`), e.g. `"gelu"` or `"torch.nn.GELU"`; a formula of x,
            as `"x * sigmoid(1.7 * x)"`; a function of one variable written with NumPy, PyTorch or JAX, or a PyTorch
            module, which is called once with a symbol and becomes a formula; or a case of `gradstat.layer`.
        statistics: the statistics that the answer prints; mean, std, rms, gain_std and gain_rms by default.
        input: the distribution, mean, std and correlation of x; a standard normal x by default.
        upstream: the distribution and correlation of dy.
        jobs: threads for sampling; all processors by default.
        digits: significant digits of exact values, 1 to 100; by default 10 are shown, and the floats hold 17.
        timeout: a limit in seconds.
        parameters: of the layer, by PyTorch's names, of the formula, or further arguments of the function.

    Returns: a `Gain`: `.forward.std`, `.backward.gain_rms`, … are floats with `.error`, `.exact`, `.kind` ("proven",
        "numeric", "sampled", …) and `.digits`, the certain digits as a text.

    Raises: `errors.UsageError` for an unknown layer, parameter or statistic, for values that are not allowed, and for a
    function that cannot be traced: it names the operation and the line; `errors.NotDecided` after the timeout.

    >>> gradstat.gain("leaky_relu", negative_slope=0.2).forward.gain_rms
    1.386750491
    """
    from gradstat.constants.gain import Gain
    from gradstat.sources import case_of
    from gradstat.time_limit import TimeLimitReached, time_limit

    case = case_of(layer_or_formula, input, upstream, parameters)
    answer = Gain(case, statistics or (), jobs or 0, digits)
    try:
        with time_limit(timeout):
            answer.report()  # samples the statistics that are shown and have no exact value
    except TimeLimitReached:
        raise errors.NotDecided(
            f"{case.label}: no answer within {timeout:g} s", "allow more, or ask for fewer statistics"
        ) from None
    return answer


def solve(
    layer_or_formula: "str | Case",
    unknowns: str | Sequence[str] | Mapping[str, Any],
    such_that: str | Sequence[str] = (),
    *,
    maximize: str = "",
    minimize: str = "",
    digits: int = 10,
    input: Assumption | None = None,
    upstream: Assumption | None = None,
    **parameters: Any,
) -> "Solutions":
    """The values of unknowns for which statistics of an elementwise layer take wanted values, with certain digits.

    Arguments:
        layer_or_formula: as for `gain`; names of a formula without a value in `parameters` are unknowns.
        unknowns: parameters, "input.std", "input.mean", names of the formula, or names that only the equations use;
            "NAME", "NAME=START", "NAME=LOW..HIGH", or a mapping from names to None, a start, or (low, high).
        such_that: as many equations, e.g. "forward.rms = 1": arithmetic over forward.STATISTIC, backward.STATISTIC,
            the unknowns and numbers.
        maximize: instead of equations, arithmetic of one unknown whose largest value is looked for.
        minimize: the same for the smallest value.
        digits: certain digits, at most 100.
        input: as for `gain`.
        upstream: as for `gain`.
        parameters: as for `gain`.

    Returns: `Solutions`: of one equation all in the bracket, of several the one near the starts. `solutions` are
        dictionaries of floats, `texts` of all digits, `notes` what was searched; `is_certain`, and `code`.

    Raises: `errors.UsageError` for a layer that is not elementwise, and for names and equations that are not known.

    >>> gradstat.solve("relu", "input.std", "forward.rms = 1").texts
    [{'input.std': '1.414213562'}]
    """
    from gradstat.solving.request import placeholders, wanted_of
    from gradstat.solving.solve import solve
    from gradstat.sources import case_of

    wanted = wanted_of(unknowns)
    given = {**parameters, **placeholders(layer_or_formula, wanted, parameters)}
    equations = [such_that] if isinstance(such_that, str) else such_that
    return solve(case_of(layer_or_formula, input, upstream, given), wanted, equations, maximize, minimize, digits)


def layer(
    name_or_formula: str | Callable[..., Any],
    *,
    input: Assumption | None = None,
    upstream: Assumption | None = None,
    **parameters: Any,
) -> "Case":
    """A case, for `run`, `gain` and `plot`: a layer with its parameters, and assumptions about x and dy.

    Arguments and errors: as for `gain`.

    >>> gradstat.layer("max_pool2d", kernel_size=3).label
    'max_pool2d(kernel_size=3)'
    """
    from gradstat.sources import case_of

    return case_of(name_or_formula, input, upstream, parameters)


def run(
    configuration: "File | Sequence[str | Case | Mapping[str, Any]]",
    *,
    samples: float | str | None = None,
    rel_error: float | None = None,
    target_error: float | None = None,
    max_samples: float | str | None = None,
    seed: int | None = None,
    estimator: str | None = None,
    settings: Iterable[str] = (),
    engine: str = "threads",
    jobs: int | None = None,
    shard: tuple[int, int] | None = None,
    fresh: bool = False,
    checkpoints: bool = True,
    worker_timeout: float = 120.0,
    progress: "Progress | None" = None,
    deliver: "Callable[[Result], None] | None" = None,
) -> "Result":
    """Sample layers, and return their statistics with standard errors.

    A run of more than 5 seconds saves checkpoints in ./results (or $GRADSTAT_RESULTS). After an interrupt the same call
    resumes the run and gives the same digits as an uninterrupted one.

    Arguments:
        configuration: a TOML file, the name of a shipped one (as `"series"`), or a list of layers: names, formulas,
            cases of `gradstat.layer`, or tables with the keys of [[layer]].
        samples: draws per layer, e.g. 1e8, "100M" or "2**27".
        rel_error: instead of samples, a target for the relative standard error of every std, and of every mean
            relative to the rms. A pilot run chooses the number of draws.
        target_error: a target for every absolute standard error, instead of samples.
        max_samples: the limit on draws per layer for a target.
        seed: a whole number below 2**64; equal seeds give equal digits.
        estimator: "mc", or "rqmc", whose errors fall faster.
        settings: overrides of other keys of the configuration, e.g. "input.std = 2".
        engine: "threads", "dask", "dask:tcp://host:port" or "dask:tls://host:port".
        jobs: threads; all processors by default.
        shard: (i, k) samples only shard i of k; `merge` merges their files.
        fresh: delete the checkpoints of an interrupted run, and start from the beginning.
        checkpoints: False writes nothing to disk.
        worker_timeout: seconds without an answer after which the draws of a Dask worker are given to others.
        progress: an object that receives the progress of the run.
        deliver: a function called with the result before the checkpoints are deleted, e.g.
            `lambda result: result.save("a.json")`.

    Returns: a `Result`. `failures` lists estimates that disagree with their exact value, `shortfalls` the targets that
        were not reached.

    Raises: `errors.UsageError` for a wrong configuration, before anything is sampled; `errors.Interrupted` for Ctrl-C,
        after the checkpoint is saved.

    >>> result = gradstat.run(["relu", "x * sigmoid(1.7 * x)"], samples=1e6)
    >>> result["relu"].backward.std
    0.7073 ± 0.0008
    """
    from gradstat.runs.progress import SILENT
    from gradstat.runs.request import request
    from gradstat.sources import named

    options = {
        "samples": samples,
        "rel_error": rel_error,
        "target_error": target_error,
        "max_samples": max_samples,
        "seed": seed,
        "estimator": estimator,
    }
    listener = progress or SILENT
    config, cases = request(named(configuration, "run"), options, settings)
    with listener.compiling():
        from gradstat.runs import driver
    job = driver.Job(config, cases, engine, jobs, shard, fresh, checkpoints, worker_timeout)
    return driver.run(job, listener, deliver or (lambda result: None))


def read(path: File) -> "Result":
    """The result in a Parquet file that `run`, `merge` or `Result.save` wrote.

    Raises: `errors.UnreadableFile` for a file that is damaged, of another version, or not a result.

    >>> gradstat.read("series.parquet")["sigmoid"].backward.std
    0.21167 ± 0.00016
    """
    from gradstat.results.store import read

    return read(Path(path))


def show(path: File) -> "Answer":
    """The contents of any Parquet file that gradstat wrote: a `Result`, or the rows of another report.

    Raises: `errors.UnreadableFile` for every other file.

    >>> list(gradstat.show("series.parquet").to_pandas()["direction"])
    ['forward', 'backward']
    """
    from gradstat.results.saved import read_any

    return read_any(Path(path))


def merge(*paths: File) -> "Result":
    """The result of a whole run from the files of its shards, in any order.

    A shard given twice counts once, with a line in the `notes` of the result.

    Raises: `errors.UsageError` if a shard is missing or of another run, `errors.UnreadableFile` for other files.

    >>> gradstat.merge("a.parquet", "b.parquet").save("whole.parquet")
    """
    from gradstat.results.store import read
    from gradstat.runs.shards import merge

    return merge([(path, read(path)) for path in map(Path, paths)])


def diff(first: "File | Result", second: "File | Result") -> "Comparison":
    """Compare two results row by row: to the byte if seed and draws are equal, otherwise by z-scores.

    Returns: a `Comparison`. `agree` is True if chance explains all differences; otherwise `unequal`, `beyond` and
        `alone` list the differences.

    Raises: `errors.UnreadableFile` for a file that is not a result.

    >>> gradstat.diff("today.parquet", "yesterday.parquet").agree
    True
    """
    from dataclasses import replace

    from gradstat.results.diff import compare

    files = [isinstance(result, str | os.PathLike) for result in (first, second)]
    if all(files) and str(first) == str(second) == "-":
        raise errors.UsageError("standard input can be read once; name a file for one of the two")
    results = [read(result) if isinstance(result, str | os.PathLike) else result for result in (first, second)]
    names = [
        str(result) if is_file else place
        for result, is_file, place in zip((first, second), files, ("first", "second"), strict=True)
    ]
    return replace(compare(*results), names=(names[0], names[1]))


def verify(
    *paths: File,
    only: str | None = None,
    quick: bool = False,
    max_samples: float | str = 2**32,
    seed: int = DEFAULT_SEED,
    jobs: int | None = None,
    fail_fast: bool = False,
    digits: int | None = None,
    timeout: float | None = None,
    progress: "Progress | None" = None,
) -> "Verification":
    """Check whether published constants are correct to their last printed digit.

    Arguments:
        paths: TOML files of claims, other text files whose comments claim their numbers, and folders of both; without
            any, those of `[tool.gradstat]` in this folder's pyproject.toml, else the claims that gradstat ships.
        only: a pattern for the ids of claims, e.g. `"wang2016-ii-*"`.
        quick: use exact values only, and sample nothing.
        max_samples: the limit on draws for each claim that has no exact value.
        seed: a whole number below 2**64.
        jobs: threads; all processors by default.
        fail_fast: decide file by file, and stop after the first with an unexpected verdict.
        digits: significant digits of exact values in the column `right`, 1 to 100; by default those that are printed.
        timeout: a limit in seconds; claims that are open then stay undecided.
        progress: an object that receives the progress.

    Returns: a `Verification`: the outcome of every claim, `ok`, and `fixes()`, the right digits.

    Raises: `errors.UsageError` for a malformed claim, with its file and line; after Ctrl-C `errors.Interrupted`, whose
        `answer` has the verdicts so far.

    >>> gradstat.verify(only="pytorch-*", quick=True).ok
    True
    """
    from gradstat import shipped
    from gradstat.runs.progress import SILENT
    from gradstat.toml_file import draws
    from gradstat.verification.files import configured
    from gradstat.verification.verification import verify_files

    limit = draws("max_samples", max_samples)
    files = [Path(path) for path in paths] or configured(Path()) or [shipped.claims()]
    return verify_files(files, only, quick, limit, seed, jobs or 0, fail_fast, progress or SILENT, digits, timeout)


def tables(*names: str, jobs: int | None = None, digits: int | None = None) -> "ConstantTables":
    """Compute tables of constants: the named ones, or all of them.

    Arguments:
        names: of tables (`gradstat.listing("tables")`), e.g. `"nfnets"`.
        jobs: threads for sampling; all processors by default.
        digits: significant digits of exact values, 1 to 100; by default 10 in tables, and 17 in code and data.

    Returns: tables to print, to `save` as .md, .tex, .py, .h, … and to `check` against a file.

    >>> gradstat.tables("selu").save("selu.h")
    """
    from gradstat.constants.catalogue import chosen, compute
    from gradstat.constants.literals import ConstantTables

    return ConstantTables([compute(table, jobs or 0, digits) for table in chosen(names)])


def plot(
    kind: str,
    *sources: "File | Case",
    samples: float | str | None = None,
    seed: int = DEFAULT_SEED,
    jobs: int | None = None,
    statistic: str | None = None,
    gain: float | None = None,
    range: tuple[float, float] | None = None,
) -> "Picture":
    """Draw a picture of layers or of a result file. Needs matplotlib.

    Arguments:
        kind: histogram, variance-map, error, forest or cells (`gradstat.listing("plots")`).
        sources: layers (names, formulas, cases of `gradstat.layer`), a configuration (.toml), or a result (.parquet).
        samples: draws per layer, for a kind that samples.
        seed: a whole number below 2**64.
        jobs: threads; all processors by default.
        statistic: std or rms for a variance-map, std or mean for error and cells.
        gain: a factor of y, for a variance-map.
        range: the scales of x, for a variance-map; (0.03, 30) by default.

    Returns: a picture with `figure` (a matplotlib Figure) and `save`.

    Raises: `errors.UsageError` for a source or an option that does not apply to this kind.

    >>> gradstat.plot("variance-map", "gelu", gradstat.layer("leaky_relu", negative_slope=0.2)).save("map.svg")
    """
    from gradstat.plots import kinds
    from gradstat.sources import source_of
    from gradstat.text.formats import check_matplotlib
    from gradstat.toml_file import draws

    check_matplotlib()
    count = None if samples is None else draws("samples", samples)
    resolved = [source_of(source) for source in sources]
    request = kinds.request_of(kind, resolved, count, seed, jobs or 0, statistic, gain, range)
    return kinds.Picture(kinds.draw(kind, request))


def propagate(
    *configurations: "File | Mapping[str, Any]",
    seed: int | None = None,
    settings: Iterable[str] = (),
    jobs: int | None = None,
    fresh: bool = False,
    progress: "Progress | None" = None,
) -> "Networks":
    """Draw random networks, pass signal and gradient through them, and measure every layer under every scheme.

    Finished networks are saved in ./results (or $GRADSTAT_RESULTS). After an interrupt the same call resumes.

    Arguments:
        configurations: paths of TOML files, or their content as dictionaries.
        settings: overrides of keys of the configurations, e.g. "networks = 4".
        seed: a whole number below 2**64.
        fresh: delete the finished networks of an earlier run, and start from the beginning.
        progress: an object that receives the progress.
        jobs: worker processes; by default all processors, limited by memory.

    Returns: `Networks`: tables to print and `save`, `to_pandas()` with a row for each block, and `pictures()`.

    >>> gradstat.propagate("depth.toml", settings=["networks = 4"]).save("depth.csv")
    """
    from gradstat.networks.experiment import propagate
    from gradstat.runs.progress import SILENT

    return propagate(configurations, seed, list(settings), jobs, fresh, progress or SILENT)


def listing(what: str | None = None, name: str | None = None) -> "Listing":
    """A table of layers, statistics, distributions, schemes, estimators, engines, formats, tables or plots.

    Arguments:
        what: the name of a table; without it, the names of all tables are listed.
        name: with `what="layers"`, the layer to show in full.

    Raises: `errors.UsageError` for an unknown listing or layer.

    >>> gradstat.listing("estimators").names
    ['mc', 'rqmc']
    """
    from gradstat.listings import listing

    return listing(what, name)


def schema(what: str) -> dict[str, Any]:
    """The JSON Schema of a configuration of `run`, or of a file of claims, for editors.

    Arguments:
        what: "run" or "claims".

    Raises: `errors.UsageError` for anything else.

    >>> gradstat.schema("run")["title"]
    'RunConfig'
    """
    from gradstat.sources import schema_of

    return schema_of(what)


def doctor() -> "Diagnosis":
    """Check this installation: versions, kernel cache, and one number that is known exactly.

    >>> gradstat.doctor().failures
    ()
    """
    from gradstat.runs.doctor import examine

    return examine()


def layers() -> "dict[str, Layer]":
    """Every layer by its name: `formula`, `parameters` with defaults, `torch` (its PyTorch name), `aliases`, `kinks`.

    >>> gradstat.layers()["softsign"].formula
    'y = x/(1 + |x|)'
    """
    from gradstat.layer_types.registry import LAYERS

    return dict(LAYERS)
