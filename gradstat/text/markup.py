"""Formats for documents: Markdown and LaTeX."""

from gradstat.errors import printable
from gradstat.text.tables import Column, Report, Table, Terminal

# fmt: off
TEX = {
    "\\": r"\textbackslash{}", "_": r"\_", "&": r"\&", "%": r"\%", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"$|$", "<": "$<$", ">": "$>$", "–": "--",
    "×": r"$\times$", "±": r"$\pm$", "−": "$-$", "·": r"$\cdot$", "…": r"\dots{}", "∞": r"$\infty$", "→": r"$\to$",
    "σ": r"$\sigma$", "Σ": r"$\Sigma$", "√": r"$\surd$", "²": "$^2$", "³": "$^3$", "⁴": "$^4$", "½": "$1/2$",
    "≤": r"$\le$", "≥": r"$\ge$", "≈": r"$\approx$",
    "∂": r"$\partial$", "π": r"$\pi$", "Φ": r"$\Phi$", "φ": r"$\varphi$",
}
# fmt: on


def as_markdown(report: Report, terminal: Terminal) -> str:
    """One pipe table per table, below its title."""
    parts = [escaped(report.summary)] if report.summary else []
    for table in report.tables:
        parts += [f"## {escaped(table.title)}"] if table.title else []
        parts += [f"<{table.link}>"] if table.link else []
        parts += [markdown_table(table), *(["; ".join(map(escaped, table.notes))] if table.notes else [])]
    parts += ["; ".join(map(escaped, report.notes))] if report.notes else []
    return "\n\n".join(parts) + "\n"


def markdown_table(table: Table) -> str:
    """The lines of a pipe table."""
    table = table.for_people()
    rules = ["---" if column.align == "left" else "---:" for column in table.columns]
    rows = [[_code(column, cell) for column, cell in zip(table.columns, row, strict=True)] for row in table.rows]
    heads = [escaped(column.title) for column in table.columns]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, rules, *rows])


def escaped(text: str) -> str:
    """The text with Markdown's markup escaped."""
    for character in "\\|*<>`":
        text = text.replace(character, f"\\{character}")
    return " ".join(printable(text).replace("](", "]\\(").split())


def as_latex(report: Report, terminal: Terminal) -> str:
    """One tabular per table, with the rules of booktabs."""
    lines = [f"% {printable(note)}" for note in report.notes] + [r"% \usepackage{booktabs}"]
    for table in report.tables:
        lines += ["", *(f"% {printable(text)}" for text in (table.title, *table.notes) if text)]
        shape = table.for_people()
        aligns = "".join("l" if column.align == "left" else "r" for column in shape.columns)
        heads = [column.tex or tex(column.title) for column in shape.columns]
        lines += [rf"\begin{{tabular}}{{{aligns}}}", r"\toprule", " & ".join(heads) + r" \\", r"\midrule"]
        for row in shape.rows:
            cells = [tex(column.text(cell)) for column, cell in zip(shape.columns, row, strict=True)]
            lines.append(" & ".join(cells) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def tex(text: str) -> str:
    """The text in LaTeX, special characters replaced."""
    return "".join(TEX.get(character, character) for character in printable(text))


def _code(column: Column, cell: object) -> str:
    text = column.text(cell)
    return "`" + printable(text).replace("|", "\\|").replace("`", "'") + "`" if column.code and cell else escaped(text)
