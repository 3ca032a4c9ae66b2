"""`gradstat propagate`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradstat.cli.app import emit, say
from gradstat.cli.options import PATH, Jobs, Name, Seed, debug_option
from gradstat.cli.output import terminal
from gradstat.cli.progress import running_bar
from gradstat.errors import Exit, UsageError
from gradstat.text.files import check_writable

if TYPE_CHECKING:
    from gradstat.networks.experiment import Progress
    from gradstat.networks.outcome import Outcome
    from gradstat.networks.tasks import Task

STDOUT = Path("-")
NAMES = ("table", "json", "csv", "md")


@click.command()
@click.argument("configs", nargs=-1, required=True, type=PATH, metavar="CONFIG...")
@click.option("--seed", type=Seed(), help="0 to 2**64 - 1, or random.")
@click.option("-j", "--jobs", type=Jobs(), help="Worker processes (default: all processors).")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a configuration value, e.g. networks=4. Repeatable.",
)
@click.option("--fresh", is_flag=True, help="Ignore and delete finished networks of an earlier run.")
@click.option(
    "-o",
    "--output",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="Write every block as .parquet, .json or .csv, the table as .txt or .md, a picture as .png, .svg or .pdf. "
    "Repeatable. `-` is stdout, even with -q.",
)
@click.option("--pictures", type=PATH, metavar="FOLDER", help="Draw one picture per configuration, FOLDER/<name>.svg.")
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
@click.option("-v", "--verbose", is_flag=True, help="Print one line per network to stderr.")
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

    Finished networks are kept in results/<run id>/ (or $GRADSTAT_RESULTS): repeat the command to continue an
    interrupted run.
    """
    from gradstat.networks.experiment import prepare, run
    from gradstat.toml_file import Override, parse_override

    overrides = [parse_override(text) for text in settings]
    overrides += [Override("seed", seed, f"--seed {seed}")] if seed is not None else []
    experiments = [prepare(path, overrides) for path in configs]
    drawn = _drawings(configs, output, pictures)
    _check(output, drawn)
    with _progress(quiet, verbose) as progress:
        outcomes = [run(experiment, jobs, fresh, progress) for experiment in experiments]
    _deliver(outcomes, output, drawn, format_name, quiet)
    return Exit.DONE


@contextmanager
def _progress(quiet: bool, verbose: bool) -> "Iterator[Progress]":
    """A bar on a terminal, a line per network with -v, otherwise nothing but messages."""
    from gradstat.networks.experiment import Progress

    bar = None if quiet or verbose else running_bar(time_left=True)

    class Shown(Progress):
        def begin(self, title: str, total: int, finished: int) -> None:
            self.title = title
            if bar is not None:
                self.task = bar.add_task(title, total=total, completed=finished)

        def done(self, task: "Task") -> None:
            text = f"{task.network}, {task.scheme}, {task.description}"
            if bar is not None:
                bar.update(self.task, advance=1, description=f"{self.title}: {text}")
            elif verbose:
                say(text)

        def message(self, text: str) -> None:
            say(text)

        warn = message

    try:
        yield Shown()
    finally:
        if bar is not None:
            bar.stop()


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
    for path in output:
        if path != STDOUT and path.suffix not in PICTURES:
            save(outcomes, path)
    if not quiet or STDOUT in output:
        emit(FORMATS[name].render(outcomes, terminal()))
