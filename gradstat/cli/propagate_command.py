"""`gradstat propagate`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradstat.cli.app import emit, say
from gradstat.cli.completion import Config
from gradstat.cli.options import PATH, Jobs, Name, Seed, debug_option
from gradstat.cli.output import terminal
from gradstat.cli.progress import running_bar
from gradstat.errors import Exit, UsageError
from gradstat.text.files import check_writable

if TYPE_CHECKING:
    from gradstat.networks.outcome import Outcome
    from gradstat.networks.parts import Parts
    from gradstat.networks.tasks import Experiment, Task

    Answers = dict[Task, Any]

STDOUT = Path("-")
NAMES = ("table", "json", "csv", "md")
Report = Callable[[str], None]


@click.command()
@click.argument("configs", nargs=-1, required=True, type=Config("propagate"), metavar="CONFIG...")
@click.option("--seed", type=Seed(), help="0 to 2**64 - 1, or random.")
@click.option("-j", "--jobs", type=Jobs(), help="Worker processes; all processors where it is left out.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Over the configuration, as networks=4; repeatable."
)
@click.option("--fresh", is_flag=True, help="Compute everything again, whatever an earlier run left in results/.")
@click.option(
    "-o",
    "--output",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="Every block as .parquet, .json or .csv, the summary as .txt, a page as .md, a picture as .png, .svg or .pdf; "
    "repeatable. `-` is stdout, even with -q.",
)
@click.option("--pictures", type=PATH, metavar="FOLDER", help="A picture per configuration, as FOLDER/<name>.svg.")
@click.option(
    "--format",
    "format_name",
    type=Name("format", lambda: NAMES),
    default="table",
    show_default=True,
    metavar="NAME",
    help=f"Format on stdout: {', '.join(NAMES)}.",
)
@click.option("-q", "--quiet", is_flag=True, help="No result on stdout, no progress.")
@click.option("-v", "--verbose", is_flag=True, help="Say on stderr what is being done.")
@debug_option
def command(
    configs: tuple[Path, ...],
    seed: int | None,
    jobs: int | None,
    settings: tuple[str, ...],
    fresh: bool,
    output: tuple[Path, ...],
    pictures: Path | None,
    format_name: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Draw random networks, pass signal and gradient through them, and measure every layer under every scheme.

    CONFIG is a TOML file, or the name of a shipped configuration (gradstat list configs).

    Finished networks are kept in results/<run id>/; the same command continues where it was interrupted.
    """
    from gradstat.estimation.run import available_cpus
    from gradstat.networks.config import load
    from gradstat.networks.outcome import outcome
    from gradstat.networks.parts import Parts
    from gradstat.networks.provenance import provenance
    from gradstat.networks.tasks import Experiment
    from gradstat.shipped import resolve
    from gradstat.toml_file import Override, parse_override

    overrides = [parse_override(text) for text in settings]
    overrides += [Override("seed", seed, f"--seed {seed}")] if seed is not None else []
    typed = " ".join(["gradstat propagate", *map(str, configs), *(override.typed for override in overrides)])
    configs = tuple(resolve(path, "propagate") for path in configs)
    experiments = [Experiment(load(path, overrides), str(path)) for path in configs]
    drawn = _drawings(configs, output, pictures)
    _check(output, drawn)
    outcomes = []
    for path, experiment in zip(configs, experiments, strict=True):
        parts = Parts(experiment)
        parts.prepare(fresh)
        answers = _kept(path.stem, experiment, parts)
        left = [task for task in experiment.tasks() if task not in answers]
        total, workers = len(left) + len(answers), min(jobs or available_cpus(), len(left))
        try:
            with _progress(path.stem, total, len(answers), quiet, verbose) as report:
                _compute(experiment, left, workers, parts, answers, report)
        except KeyboardInterrupt:
            have = f"{len(answers)} of {total} networks and predictions are kept in {parts.folder}"
            return say(f"interrupted; {have}; the same command without --fresh continues", Exit.INTERRUPTED)
        outcomes.append(outcome(experiment, answers, provenance(experiment, workers, typed), path.stem))
    _deliver(outcomes, output, drawn, format_name, quiet)
    return Exit.DONE


def _kept(title: str, experiment: "Experiment", parts: "Parts") -> "Answers":
    """What an earlier run finished; a damaged part is told of and counts as nothing."""
    answers: Answers = {}
    for task in experiment.tasks():
        try:
            answer = parts.read(task)
        except ValueError as error:
            say(f"{parts.name(task)}: {error}; it is computed again")
            continue
        if answer is not None:
            answers[task] = answer
    if answers:
        total = sum(1 for _ in experiment.tasks())
        say(f"{title}: {len(answers)} of {total} are kept in {parts.folder}; --fresh computes them again")
    return answers


def _compute(
    experiment: "Experiment", left: "list[Task]", workers: int, parts: "Parts", answers: "Answers", report: Report
) -> None:
    """Every task that is left, each kept as soon as it is finished."""
    from gradstat.networks.pool import Pool

    def keep(task: "Task", answer: dict[str, Any]) -> None:
        parts.write(task, answer)
        answers[task] = answer
        report(f"{task.network}, {task.scheme}, {task.description}")

    with Pool(experiment, workers) as pool:
        pool.run(left, keep)


@contextmanager
def _progress(title: str, total: int, done: int, quiet: bool, verbose: bool) -> Iterator[Report]:
    """A bar on a terminal, with -v a line per network, else nothing."""
    bar = None if quiet or verbose else running_bar(time_left=True)
    if bar is None:
        yield _say_line if verbose else (lambda text: None)
        return
    task = bar.add_task(title, total=total, completed=done)
    try:
        yield lambda text: bar.update(task, advance=1, description=f"{title}: {text}")
    finally:
        bar.stop()


def _say_line(text: str) -> None:
    say(text)


def _drawings(configs: Sequence[Path], output: Sequence[Path], folder: Path | None) -> list[tuple[int, Path]]:
    """(number of the configuration, file) of every picture."""
    from gradstat.networks.formats import PICTURES

    files = [path for path in output if path.suffix in PICTURES]
    if files and len(configs) > 1:
        raise UsageError(f"{files[0]}: a picture shows one configuration, not {len(configs)}; use --pictures FOLDER")
    stems = [path.stem for path in configs]
    if len(set(stems)) < len(stems):
        raise UsageError(f"two configurations are named {max(stems, key=stems.count)!r}; rename one")
    named = [(number, folder / f"{stem}.svg") for number, stem in enumerate(stems)] if folder else []
    return [(0, path) for path in files] + named


def _check(output: Sequence[Path], drawn: Sequence[tuple[int, Path]]) -> None:
    """UsageError for a file that could not be written, before any work."""
    from gradstat.networks.formats import check_suffix
    from gradstat.plots import kinds as plots

    for path in output:
        if path != STDOUT:
            check_suffix(path)
            check_writable(path)
    if drawn:
        plots.check()
        for _, path in drawn:
            check_writable(path)


def _deliver(
    outcomes: "Sequence[Outcome]", output: Sequence[Path], drawn: Sequence[tuple[int, Path]], name: str, quiet: bool
) -> None:
    """Pictures and files first, then the text."""
    from gradstat.networks.formats import FORMATS, PICTURES, save
    from gradstat.plots import kinds as plots
    from gradstat.text.formats import save as save_report

    for number, path in drawn:
        save_report(plots.report(plots.styled_figure("gradstat.networks.picture", outcomes[number])), path)
    pictures = list(dict(sorted(drawn, key=lambda pair: pair[0])).values())  # one for each, in their order
    for path in output:
        if path != STDOUT and path.suffix not in PICTURES:
            save(outcomes, path, pictures)
    if not quiet or STDOUT in output:
        emit(FORMATS[name].render(outcomes, terminal(), pictures))
