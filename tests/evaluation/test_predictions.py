import pytest
from datasets import Dataset

from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.predictions import label_numbers, read_predictions, references
from tests.tiny_chat import LABELS

COLUMNS = {
    "utterance_id": ["u0", "u1"],
    "dialogue_id": ["d0", "d0"],
    "label": ["happy", "sad"],
    "prediction": ["happy", None],
}


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_reads_tables_of_every_kind(tmp_path, suffix):
    path = tmp_path / f"predictions.{suffix}"
    table = Dataset.from_dict(COLUMNS)
    {"parquet": table.to_parquet, "csv": table.to_csv, "jsonl": table.to_json}[suffix](str(path))
    assert read_predictions(path).to_dict() == COLUMNS


def test_words_of_a_csv_stay_words(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text('utterance_id,dialogue_id,label,output\n007,1,sad,"None of\nthese"\n008,1,NA,\n', encoding="utf-8")
    table = read_predictions(path).to_dict()
    assert table["utterance_id"] == ["007", "008"] and table["label"] == ["sad", "NA"]
    assert table["output"] == ["None of\nthese", None]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_a_broken_file_is_named(tmp_path, suffix):
    (tmp_path / f"broken.{suffix}").write_text('{"a": 1\n"1,2\n3')
    with pytest.raises(EvaluationError, match=rf"{tmp_path}/broken\.{suffix} "):
        read_predictions(tmp_path / f"broken.{suffix}")


def test_missing_file_and_columns_are_named(tmp_path):
    with pytest.raises(EvaluationError, match=r"nothing\.csv is no predictions file"):
        read_predictions(tmp_path / "nothing.csv")
    Dataset.from_dict({"utterance_id": ["u0"], "label": ["sad"]}).to_csv(str(tmp_path / "short.csv"))
    expected = rf"{tmp_path}/short\.csv has the columns .* it needs utterance_id, dialogue_id"
    with pytest.raises(EvaluationError, match=expected):
        read_predictions(tmp_path / "short.csv")


def test_an_utterance_that_repeats_is_refused(tmp_path):
    Dataset.from_dict({**COLUMNS, "utterance_id": ["u0", "u0"]}).to_parquet(str(tmp_path / "predictions.parquet"))
    with pytest.raises(EvaluationError, match=rf"{tmp_path}/predictions\.parquet holds 2 rows .* repeats"):
        read_predictions(tmp_path)


def test_words_outside_the_label_set_are_named():
    assert label_numbers(["sad", None], LABELS) == [1, None]
    with pytest.raises(EvaluationError, match="Unknown label 'joyful'"):
        label_numbers(["joyful"], LABELS)


def test_a_row_without_label_is_named():
    with pytest.raises(EvaluationError, match="u1 has no label"):
        references(Dataset.from_dict({**COLUMNS, "label": ["happy", None]}), LABELS)
