"""A table of scores as Markdown, LaTeX or CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

from speechcue_hf.evaluation.table import ScoresTable, TableRow
from speechcue_hf.metrics.wording import METRICS, PROTOCOLS
from speechcue_hf.templates import as_text, plain_line

_NOTHING = "–"
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {mark: f"\\{mark}" for mark in "&%$#_{}"} | {"–": "--", "±": r"$\pm$", "−": "$-$", "<": "$<$"}


def as_markdown(table: ScoresTable) -> str:
    """Markdown as GitHub and model cards show it; names are text, never markup."""
    heads, *rows = table_cells(table)
    lines = [_pipes(heads), "|---|" + "---:|" * (len(heads) - 1), *map(_pipes, rows)]
    return "\n".join([*lines, "", *map(as_text, table_notes(table)), ""])


def as_latex(table: ScoresTable) -> str:
    """A ``tabular`` with the rules of the package booktabs; what the figures are stands above it as comments."""
    heads, *rows = table_cells(table)
    published = len(rows) - len(table.published)
    lines = [" & ".join(map(_latex, cells)) + r" \\" for cells in (heads, *rows)]
    head, ours, others = lines[0], lines[1 : published + 1], lines[published + 1 :]
    return "\n".join(
        [
            *(f"% {plain_line(note)}" for note in table_notes(table)),
            rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
            r"\toprule",
            head,
            r"\midrule",
            *ours,
            *([r"\midrule", *others] if others else []),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def as_csv(table: ScoresTable) -> str:
    """One line for each run and published figure, scores in per cent, numbers as numbers, nothing where there is none.

    A name that a spreadsheet would take for a formula has an apostrophe before it.
    """
    text = io.StringIO()
    rows = [_csv_row(row) for row in table.rows] + [_csv_published(figure) for figure in table.published]
    writer = csv.DictWriter(text, list(_csv_row(table.rows[0])), lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


FORMATS: dict[str, Callable[[ScoresTable], str]] = {"markdown": as_markdown, "latex": as_latex, "csv": as_csv}


def table_cells(table: ScoresTable) -> list[list[str]]:
    """Head and rows as texts; columns that say nothing of any run are left out."""
    rows = [_run_cells(row) for row in table.rows]
    shown = [name for name in rows[0] if any(row[name] != _NOTHING for row in rows)]
    published = [_published_cells(figure) for figure in table.published]
    return [shown, *([row.get(name, _NOTHING) for name in shown] for row in (*rows, *published))]


def _run_cells(row: TableRow) -> dict[str, str]:
    low, high = row.interval
    scores = {METRICS[metric]: _spread(spread) for metric, spread in row.scores.items()}
    weighted = METRICS["weighted_f1"]
    return {
        "run": plain_line(row.name),
        "seeds": str(row.seeds),
        weighted: scores.pop(weighted),
        "95 % interval": f"{100 * low:.2f} to {100 * high:.2f}",
        "difference": _NOTHING if row.difference is None else _difference(row.difference, row.difference_interval),
        "p (dialogues)": _p(row.p_dialogues),
        "p (seeds)": _p(row.p_seeds),
        **scores,
        "invalid": f"{100 * row.invalid_rate:.2f}" if row.invalid_rate else _NOTHING,
        "sees": _protocol(row.sees),
        "labels read": row.read or _NOTHING,
        "best epoch on": _protocol(row.selected_on),
    }


def _published_cells(figure: dict[str, Any]) -> dict[str, str]:
    variant = f", {figure['variant']}" if figure["variant"] else ""
    return {
        "run": f"{figure['method']}{variant} ({figure['source']})",
        METRICS[figure["metric"]]: f"{figure['value']:.2f}",
        "sees": _protocol(figure["sees"]),
        "best epoch on": _protocol(figure["selected_on"]),
    }


def _csv_row(row: TableRow) -> dict[str, Any]:
    scores = {
        f"{metric}_{name}": None if spread[name] is None else 100 * spread[name]
        for metric, spread in row.scores.items()
        for name in ("mean", "sd")
    }
    low, high = row.difference_interval or (None, None)
    return {
        "run": _plain_cell(row.name),
        "seeds": row.seeds,
        **scores,
        "interval_low": 100 * row.interval[0],
        "interval_high": 100 * row.interval[1],
        "difference": None if row.difference is None else 100 * row.difference,
        "difference_low": None if low is None else 100 * low,
        "difference_high": None if high is None else 100 * high,
        "p_dialogues": row.p_dialogues,
        "p_seeds": row.p_seeds,
        "invalid_rate": 100 * row.invalid_rate,
        "sees": row.sees,
        "read": row.read,
        "selected_on": row.selected_on,
        "source": "measured here",
    }


def _csv_published(figure: dict[str, Any]) -> dict[str, Any]:
    return {
        "run": ", ".join(filter(None, [figure["method"], figure["variant"]])),
        f"{figure['metric']}_mean": figure["value"],
        **{name: figure[name] for name in ("sees", "selected_on", "source")},
    }


def table_notes(table: ScoresTable) -> list[str]:
    """What the figures are, in sentences."""
    where = " of ".join(filter(None, [f"split {table.split}" if table.split else None, table.task]))
    tests = [
        "Differences are in weighted F1 from the first row, with 95 % intervals and p-values by paired bootstrap over "
        "dialogues; p over seeds by Welch's t-test; both corrected after Holm."
    ]
    deviations = "± is the standard deviation over seeds. " if any(row.seeds > 1 for row in table.rows) else ""
    return [
        f"{table.n} utterances of {table.dialogues} dialogues{', ' + where if where else ''}. Scores in per cent. "
        f"{deviations}95 % intervals are of the mean, by bootstrap over dialogues.",
        *(tests if len(table.rows) > 1 else []),
        *(["Published figures are as their authors report them."] if table.published else []),
        *table.warnings,
    ]


def _spread(spread: dict[str, Any]) -> str:
    deviation = "" if spread["sd"] is None else f" ± {100 * spread['sd']:.2f}"
    return f"{100 * spread['mean']:.2f}{deviation}"


def _difference(value: float, bounds: tuple[float, float] | None) -> str:
    low, high = bounds or (value, value)
    return f"{100 * value:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"


def _p(value: float | None) -> str:
    return _NOTHING if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _protocol(name: str | None) -> str:
    return PROTOCOLS.get(name, name or _NOTHING)


def _pipes(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell if cell == _NOTHING else as_text(cell) for cell in cells)} |"


def _latex(text: str) -> str:
    return re.sub("[" + re.escape("".join(_LATEX)) + "]", lambda mark: _LATEX[mark[0]], text)


def _plain_cell(text: str) -> str:
    line = plain_line(text)
    return f"'{line}" if line[:1] in "=+-@" else line
