import pytest
from datasets import DatasetDict, load_dataset

from speechcue_hf.cli import main
from speechcue_hf.corpora.parquet import read_dataset, write_dataset
from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.records import write_record
from tests.cues.test_describe import rows
from tests.killing import killed

COLUMNS = ["dialogue_id", "turn", "speaker", "gender", "duration_s", "intensity_mean_db", "f0_mean_hz"]


def few(*arguments, **options):
    """Rows with three cues, so that the picture is drawn soon."""
    return rows(*arguments, **options).select_columns(COLUMNS)


@pytest.fixture
def measured(tmp_path):
    folder = tmp_path / "measured"
    write_dataset(DatasetDict(train=few(), test=few(16, seed=1, split="test")), folder)
    write_record(MeasurementSettings(), folder)
    return folder


def test_fits_on_train_and_describes_all_splits(measured, tmp_path, capsys):
    output = tmp_path / "described"
    assert main(["describe", str(measured), "-o", str(output), "--levels", "4", "--baseline", "running"]) == 0
    expected = SpeechDescriber.fit(
        load_dataset(str(measured))["train"], levels=4, baseline="running", settings=MeasurementSettings()
    )
    assert SpeechDescriber.from_pretrained(output).fingerprint == expected.fingerprint
    described = load_dataset(str(output))
    assert described["test"][:] == describe_dataset(few(16, seed=1, split="test"), expected)[:]
    assert described["train"].num_rows == 80
    assert (output / "distributions.png").stat().st_size > 10_000
    said = capsys.readouterr().out
    assert (
        "train 80" in said
        and "overall (80)" in said
        and f"speechcue train --config quickstart --dataset {output}" in said
    )


def test_killed_before_its_records_are_in_place_it_is_not_read(measured, tmp_path, capsys):
    output = tmp_path / "described"
    killed("os.rename", "described/describer.json", "describe", measured, "-o", output, "--levels", "4")
    assert main(["plot", str(output), "--dialogue", "d0", "-o", str(tmp_path / "a.png")]) == 1
    assert f"finish it with `speechcue describe {measured} -o {output} --levels 4`" in capsys.readouterr().err
    assert main(["describe", str(measured), "-o", str(output), "--levels", "4"]) == 0
    assert len(read_dataset(output)["train"]) == 80
    assert not [path.name for path in output.iterdir() if path.name.startswith(".")]


def test_with_a_given_describer_rows_of_which_none_was_measured_are_refused(measured, tmp_path, capsys):
    empty = few(16, split="test").map(lambda row: dict.fromkeys(COLUMNS[4:]), features=few().features)
    write_dataset(DatasetDict(test=empty), tmp_path / "empty")
    SpeechDescriber.fit(few()).save_pretrained(tmp_path / "model")
    line = ["describe", str(tmp_path / "empty"), "-o", str(tmp_path / "out"), "--describer", str(tmp_path / "model")]
    assert main(line) == 1
    assert "no clip was measured (no reason is noted)" in capsys.readouterr().err


def test_uses_a_given_describer(measured, tmp_path):
    describer = SpeechDescriber.fit(few(seed=5), wording="speechcuellm")
    describer.save_pretrained(tmp_path / "model")
    output = tmp_path / "described"
    assert main(["describe", str(measured), "-o", str(output), "--describer", str(tmp_path / "model")]) == 0
    assert SpeechDescriber.from_pretrained(output).fingerprint == describer.fingerprint
    assert load_dataset(str(output))["test"]["speech_description"][0].startswith("Target speech characteristics")


def test_named_speakers(measured, tmp_path):
    assert main(["describe", str(measured), "-o", str(tmp_path / "out"), "--speakers", "Ann", "Dan"]) == 0
    groups = SpeechDescriber.from_pretrained(tmp_path / "out").groups
    assert [name for name in groups if name.startswith("speaker")] == ["speaker: Ann", "speaker: Dan"]


def test_without_train_split(tmp_path, capsys):
    write_dataset(DatasetDict(test=few(16, split="test")), tmp_path / "measured")
    assert main(["describe", str(tmp_path / "measured"), "-o", str(tmp_path / "out")]) == 1
    assert "no train split" in (error := capsys.readouterr().err) and "--describer" in error


def test_usage_errors(measured, tmp_path):
    with pytest.raises(SystemExit) as error:
        main(["describe", str(measured), "-o", str(tmp_path / "out"), "--levels", "7"])
    assert error.value.code == 2


def test_a_given_describer_takes_no_options_of_fitting(measured, tmp_path, capsys):
    line = ["describe", str(measured), "-o", str(tmp_path / "out"), "--describer", "m", "--levels", "3"]
    assert main([*line, "--wording", "speechcue"]) == 1
    assert "brings its own levels, wording: leave --levels, --wording out" in capsys.readouterr().err


@pytest.mark.parametrize("damaged", ["{", "{}", "[]", '{"groups": [], "preset": "other", "release": "0"}'])
def test_damaged_settings_are_named(measured, tmp_path, capsys, damaged):
    (measured / "measurement.json").write_text(damaged)
    assert main(["describe", str(measured), "-o", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert str(measured / "measurement.json") in error and "measure again" in error


def test_a_speaker_who_says_nothing_is_named(measured, tmp_path, capsys):
    assert main(["describe", str(measured), "-o", str(tmp_path / "out"), "--speakers", "Ann", "Anne"]) == 1
    assert "the train split has no rows of Anne; its speakers are Ann" in capsys.readouterr().err
