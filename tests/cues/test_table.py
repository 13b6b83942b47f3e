"""The table of cues, and a cue that is added from outside the package."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from datasets import Audio, Dataset

from speechcue_hf import Cue, MeasurementSettings, SpeechDescriber, describe_dataset, measure_dataset, register_cue
from speechcue_hf.corpora.catalogue import corpora
from speechcue_hf.cues import table
from speechcue_hf.cues.plots import plot_distributions
from speechcue_hf.errors import RecordError
from speechcue_hf.hub.licence import columns_that_may_leave

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference" / "columns.md").read_text(encoding="utf-8")
UNITS = {"_s": "s", "_db": "dB", "_hz": "Hz", "_per_s": "/s", "_per_octave": "/octave", "_semitones": "semitones"}


@pytest.mark.parametrize("cue", table.CUES, ids=lambda cue: cue.column)
def test_every_cue_names_its_unit_and_is_in_the_reference(cue) -> None:
    suffix = max((suffix for suffix in UNITS if cue.column.endswith(suffix)), key=len, default=None)
    assert UNITS.get(suffix, "") in cue.unit
    assert re.search(rf"^\|[^|]*`{cue.column}`", REFERENCE, re.MULTILINE)


def test_groups_and_columns_are_those_of_the_table() -> None:
    assert len({cue.column for cue in table.CUES}) == len(table.CUES) == len(table.measurement_columns())
    assert {column for columns in table.groups().values() for column in columns} == {
        cue.column for cue in table.CUES if cue.group != table.ALWAYS
    }
    assert table.columns_of(judged="never") == ("voiced_s", "snr_db", "clipped_ratio")


def crest(speech) -> float:
    """Largest sample over the root mean square, as a ratio."""
    samples = speech.sound.values[0]
    return float(np.abs(samples).max() / np.sqrt(np.square(samples).mean()))


CREST = Cue(
    "crest_ratio",
    "ratio",
    "peaks",
    "Crest factor",
    words=("the voice sounds {much}spikier", "the voice sounds {much}rounder"),
    measure=crest,
)


@pytest.fixture
def with_crest(monkeypatch):
    """The package with one more cue, until the test ends."""
    monkeypatch.setattr(table, "_added", {})
    register_cue(CREST)


@pytest.fixture
def clips(tmp_path) -> Dataset:
    """Noise, to a growing power and therefore with a growing crest factor."""
    noise = np.random.default_rng(0).normal(0, 0.1, 16000)
    paths = []
    for place in range(12):
        paths.append(str(tmp_path / f"{place}.wav"))
        soundfile.write(paths[-1], np.clip(np.sign(noise) * np.abs(noise) ** (1 + place / 8), -1, 1), 16000)
    rows = Dataset.from_dict({"utterance_id": paths, "audio": [{"path": path, "bytes": None} for path in paths]})
    return rows.cast_column("audio", Audio(decode=False))


def test_a_cue_from_outside_is_measured_described_drawn_and_may_leave(with_crest, clips, tmp_path) -> None:
    settings = MeasurementSettings(groups=("loudness", "peaks"))
    measured = measure_dataset(clips, settings)
    for path, value in zip(clips["utterance_id"], measured["crest_ratio"], strict=True):
        samples, _ = soundfile.read(path)
        assert value == pytest.approx(np.abs(samples).max() / np.sqrt((samples**2).mean()), rel=1e-4)
    describer = SpeechDescriber.fit(measured, baseline="overall", settings=settings)
    described = describe_dataset(measured, describer)
    assert described["crest_ratio_level"][0] == "very_low" and described["crest_ratio_level"][-1] == "very_high"
    assert described["speech_description"][0].endswith("The voice sounds much rounder than average.")
    assert described["speech_description"][-1].endswith("The voice sounds much spikier than average.")
    assert "rounder" not in described["speech_description"][6] and described["crest_ratio_z"][6] is not None
    plot_distributions(measured, describer, tmp_path / "distributions.png")
    columns = ["crest_ratio", "crest_ratio_level", "crest_ratio_z"]
    features = described.select_columns(["audio", *columns]).features
    assert columns_that_may_leave(corpora()["iemocap"], features) == columns
    describer.save_pretrained(tmp_path)
    assert SpeechDescriber.from_pretrained(tmp_path).fingerprint == describer.fingerprint


def test_it_is_measured_on_request_only(with_crest, clips) -> None:
    assert measure_dataset(clips, MeasurementSettings(groups=("loudness",)))["crest_ratio"][0] is None
    assert MeasurementSettings().columns == tuple(
        column for column in table.measurement_columns() if column not in ("crest_ratio", "hnr_mean_db")
    )


def test_another_function_is_not_served_from_the_cache(with_crest, clips, monkeypatch) -> None:
    settings = MeasurementSettings(groups=("peaks",))
    first = measure_dataset(clips, settings)["crest_ratio"][:]
    monkeypatch.setattr(table, "_added", {})
    register_cue(Cue("crest_ratio", "ratio", "peaks", "Crest factor", measure=lambda speech: 1.0))
    assert measure_dataset(clips, settings)["crest_ratio"][:] == [1.0] * 12 != first


def test_a_describer_with_a_cue_that_is_not_registered_says_so(with_crest, clips, tmp_path, monkeypatch) -> None:
    measured = measure_dataset(clips, MeasurementSettings(groups=("loudness", "peaks")))
    SpeechDescriber.fit(measured, baseline="overall").save_pretrained(tmp_path)
    monkeypatch.setattr(table, "_added", {})
    with pytest.raises(RecordError, match="register the cues that are missing"):
        SpeechDescriber.from_pretrained(tmp_path)


def test_what_cannot_be_registered(with_crest) -> None:
    with pytest.raises(ValueError, match="has no measure="):
        register_cue(Cue("mine", "ratio", "mine", "Mine"))
    with pytest.raises(ValueError, match="there is a cue 'f0_mean_hz' already"):
        register_cue(Cue("f0_mean_hz", "Hz", "pitch", "Mine", measure=crest))
    register_cue(CREST)
