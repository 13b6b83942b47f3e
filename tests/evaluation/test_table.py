import csv
import io
import re

import pytest

from speechcue_hf.evaluation.compare import compare_runs
from speechcue_hf.evaluation.table import scores_table
from speechcue_hf.evaluation.table_formats import as_csv, as_latex, as_markdown
from speechcue_hf.metrics.significance import holm
from speechcue_hf.records import write_record
from tests.evaluation.run_folders import write_run
from tests.records import training_record

MELD = {"corpus": {"name": "meld", "task": "meld-7-erc"}, "split": "test"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Text with three seeds, cues with three that saw later turns, and one run that was only evaluated."""
    place = tmp_path_factory.mktemp("runs")
    for name, rate, future in (("text", 0.5, False), ("cues", 0.7, True)):
        for seed in (1, 2, 3):
            folder = place / name / f"seed-{seed}"
            write_run(
                folder, rate, seed=seed, **MELD, sees_future=future, decode="score", normalisation="sum", rows=240
            )
            write_record(training_record(seed=seed, rows={"train": {"all": 9}, "validation": {"all": 3}}), folder)
    write_run(place / "a_b%", 0.52, seed=9, **MELD)
    return [place / "text", place / "cues", place / "a_b%"]


@pytest.fixture(scope="module")
def table(folders):
    return scores_table(folders, published=True, draws=300)


def test_each_row_is_compared_with_the_first_and_corrected(folders, table):
    pairs = [compare_runs(folders[0], other, draws=300) for other in folders[1:]]
    first, *others = table.rows
    assert first.difference is None and first.p_dialogues is None
    assert [row.difference for row in others] == pytest.approx([pair["difference"] for pair in pairs])
    assert [row.p_dialogues for row in others] == pytest.approx(holm([pair["p_value"] for pair in pairs]))
    assert others[0].p_seeds == pytest.approx(pairs[0]["p_value_seeds"]) and others[1].p_seeds is None
    assert [row.seeds for row in table.rows] == [3, 3, 1]
    assert first.interval[0] < first.scores["weighted_f1"]["mean"] < first.interval[1]


def test_protocols_stand_beside_the_scores(table):
    marks = [(row.sees, row.read, row.selected_on) for row in table.rows]
    assert marks[0] == ("history", "closed set (sum)", "validation")
    assert marks[1] == ("future", "closed set (sum)", "validation")
    assert marks[2] == (None, None, None), "what nobody recorded stays unknown"
    assert table.warnings == (
        "cues saw later turns of the dialogue: the differences are not those of the models alone.",
    )


def test_published_figures_are_of_the_same_task(folders, table):
    assert {figure["task"] for figure in table.published} == {"meld-7-erc"}
    assert scores_table(folders, draws=10).published == ()


def test_markdown_shows_all_of_it(table):
    head, rule, *rows = [line for line in as_markdown(table).splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in (head, rule, *rows)}) == 1
    cells = [cell.strip() for cell in rows[0].split("|")]
    score = table.rows[0].scores["weighted_f1"]
    assert f"{100 * score['mean']:.2f} ± {100 * score['sd']:.2f}" in cells and "turns before only" in cells
    assert any("BiosERC, Llama-2-7B" in row and "68.72" in row for row in rows)
    assert "corrected after Holm" in as_markdown(table)


def test_latex_escapes_what_it_is_given(table):
    text = as_latex(table)
    assert r"a\_b\% & 1 &" in text and text.count(r"\midrule") == 2
    lines = [line for line in text.splitlines() if line.endswith(r" \\")]
    columns = len(re.search(r"\{tabular\}\{(\w+)\}", text)[1])
    assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines} == {columns}


def test_csv_holds_numbers(table):
    rows = list(csv.DictReader(io.StringIO(as_csv(table))))
    assert float(rows[0]["weighted_f1_mean"]) == pytest.approx(100 * table.rows[0].scores["weighted_f1"]["mean"])
    assert rows[0]["difference"] == "" and float(rows[1]["p_seeds"]) == table.rows[1].p_seeds
    assert [row["source"] for row in rows[:3]] == ["measured here"] * 3 and len(rows) == 3 + len(table.published)


def test_a_name_is_no_formula_of_a_spreadsheet_and_no_markup(tmp_path):
    folder = tmp_path / "=cmd()|<b>"
    write_run(folder, 0.5, seed=1, rows=24)
    table = scores_table([folder], draws=10)
    assert as_csv(table).splitlines()[1].startswith("'=cmd()")
    assert r"=cmd()\|\<b\>" in as_markdown(table)
