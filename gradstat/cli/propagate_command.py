"""`gradstat propagate`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradstat.cli.app import say
from gradstat.cli.completion import Config
from gradstat.cli.options import PATH, Jobs, Seed, output_options
from gradstat.cli.output import Output
from gradstat.cli.progress import running_bar
from gradstat.errors import UsageError
from gradstat.text.files import check_writable
from gradstat.text.formats import FORMATS, PICTURES, TABLES

if TYPE_CHECKING:
    from gradstat.networks.experiment import Progress
    from gradstat.networks.tasks import Task


@click.command()
@click.argument("configs", nargs=-1, required=True, type=Config("propagate"), metavar="CONFIG...")
@click.option("--seed", type=Seed(), help="0 to 2**64 - 1, or random.")
@click.option("-j", "--jobs", type=Jobs(), help="Worker processes (default: all processors).")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a value, e.g. networks=4. Repeatable."
)
@click.option("--fresh", is_flag=True, help="Ignore and delete finished networks of an earlier run.")
@click.option("--pictures", type=PATH, metavar="FOLDER", help="Draw one picture per configuration, FOLDER/<name>.svg.")
@click.option("-v", "--verbose", is_flag=True, help="Print one line per network to stderr.")
@output_options((*TABLES, *PICTURES))
def command(
    configs: tuple[Path, ...],
    seed: int | None,
    jobs: int | None,
    settings: tuple[str, ...],
    fresh: bool,
    pictures: Path | None,
    verbose: bool,
    output: Output,
) -> None:
    """Draw random networks, pass signal and gradient through them, and measure every layer under every scheme.

    CONFIG is a TOML file, `-` for standard input, or the name of a shipped configuration (gradstat list configs).

    Finished networks are kept in results/<run id>/ (or $GRADSTAT_RESULTS): repeat the
    command to continue an interrupted run.
    """
    from gradstat.networks.experiment import prepare, run
    from gradstat.networks.summary import picture, report
    from gradstat.plots.kinds import check
    from gradstat.shipped import resolve
    from gradstat.text.formats import save

    experiments = [prepare(resolve(path, "propagate"), seed, settings) for path in configs]
    titles = [experiment.title for experiment in experiments]
    if twice := [title for title in titles if titles.count(title) > 1]:
        raise UsageError(f"two configurations are named {twice[0]!r}; rename one")
    drawn = [path for path in output.files if path.suffix in {FORMATS[name].suffix for name in PICTURES}]
    if (drawn or output.format_name in PICTURES) and len(configs) > 1:
        raise UsageError(f"a picture shows one configuration, not {len(configs)}; use --pictures FOLDER")
    beside = [pictures / f"{title}.svg" for title in titles] if pictures else []
    if drawn or beside or output.format_name in PICTURES:
        check()
    for path in beside:
        check_writable(path)
    with _progress(output.quiet, verbose) as progress:
        outcomes = [run(experiment, jobs, fresh, progress) for experiment in experiments]
    for outcome, path in zip(outcomes, beside, strict=False):
        save(picture(outcome), path)
    output.deliver(report(outcomes))


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
