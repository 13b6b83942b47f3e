"""Clips that are hard to measure, and datasets of clips."""

import json
import tracemalloc
import warnings

import numpy as np
import pytest
import soundfile
from datasets import Audio, ClassLabel, Dataset, DatasetDict, Features, Value, load_dataset

from speechcue_hf.cues.measure import clip_columns, measure_clips, measure_dataset, measure_speech, tell_unmeasured
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.cues.table import measurement_columns
from tests.cues.measure_clips import as_bytes, voice
from tests.test_audio import write_video

ALL = MeasurementSettings(groups=(*MeasurementSettings().groups, "hnr"))


def measure(samples, rate=16000, subtype="PCM_16", settings=ALL):
    return measure_speech({"audio": as_bytes(samples, rate, subtype)}, settings)


def assert_nothing_but_duration(measured, reason):
    assert measured["measurement_note"] == reason
    assert {column for column in clip_columns() if measured[column] is not None} <= {"duration_s"}


def test_a_good_clip_has_every_value_and_no_note():
    measured = measure(voice(120, 2))
    assert measured["measurement_note"] is None
    assert None not in [measured[column] for column in clip_columns()]
    assert measured["f0_median_hz"] == pytest.approx(120, rel=0.005)
    assert measured["f0_q50_semitones"] == pytest.approx(12 * np.log2(1.2), abs=0.1)
    assert measured["articulation_rate_per_s"] == pytest.approx(4, abs=0.3)
    assert measured["final_contour_semitones_per_s"] == pytest.approx(0, abs=0.5)


def test_groups_are_left_out():
    measured = measure(voice(120, 2), settings=MeasurementSettings(groups=("loudness",)))
    filled = {column for column in clip_columns() if measured[column] is not None}
    assert filled == {"duration_s", "intensity_mean_db", "intensity_sd_db"}
    assert measured["measurement_note"] is None


def test_no_clip():
    assert_nothing_but_duration(measure_speech({"audio": None}, ALL), "audio missing")


def test_silence():
    for silence in (np.zeros(16000), np.full(16000, 0.25)):
        measured = measure(silence)
        assert measured["duration_s"] == 1.0
        assert_nothing_but_duration(measured, "digital silence")


def test_50_ms():
    measured = measure(voice(200, 0.05))
    assert measured["duration_s"] == 0.05
    assert_nothing_but_duration(measured, "shorter than one analysis window (0.064 s)")


def test_70_ms_has_pitch_and_no_rate():
    measured = measure(voice(200, 0.07))
    assert measured["f0_median_hz"] == pytest.approx(200, rel=0.02)
    assert measured["articulation_rate_per_s"] is None
    assert "rhythm: shorter than one analysis window (0.085 s)" in measured["measurement_note"]


def test_noise_has_a_level_and_no_pitch():
    measured = measure(np.random.default_rng(0).normal(0, 0.1, 32000))
    # 0.1 re 20 µPa is 74 dB.
    assert measured["intensity_mean_db"] == pytest.approx(74, abs=0.1)
    assert measured["f0_mean_hz"] is None
    assert measured["voiced_s"] == 0.0
    assert measured["articulation_rate_per_s"] is None
    assert "pitch: no voiced frames" in measured["measurement_note"]


def test_clipping_is_counted_and_pitch_survives():
    clean, clipped = voice(120, 2, level=0.2), np.clip(voice(120, 2, level=4), -1, 1)
    assert measure(clean)["clipped_ratio"] == 0.0
    measured = measure(clipped)
    assert measured["clipped_ratio"] == pytest.approx((np.abs(clipped) >= 0.999).mean(), abs=1e-4)
    assert measured["f0_median_hz"] == pytest.approx(120, rel=0.005)


@pytest.mark.parametrize(
    "column", ["intensity_mean_db", "f0_median_hz", "articulation_rate_per_s", "spectral_tilt_db_per_octave"]
)
def test_a_dc_offset_changes_nothing(column):
    clean = measure(voice(120, 2))
    shifted = measure(voice(120, 2) + 0.3)
    assert shifted[column] == pytest.approx(clean[column], rel=0.01)


def test_one_sided_stereo_keeps_its_level():
    mono = voice(120, 2)
    alone = measure(mono)
    for other in (np.zeros_like(mono), 1e-4 * np.random.default_rng(0).normal(size=len(mono)), mono):
        stereo = measure(np.stack([mono, other], axis=1))
        for column in clip_columns():
            assert stereo[column] == pytest.approx(alone[column], rel=1e-9), column


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_the_sampling_rate_hardly_matters(rate):
    reference, measured = measure(voice(130, 2)), measure(voice(130, 2, rate), rate)
    assert measured["f0_median_hz"] == pytest.approx(reference["f0_median_hz"], rel=0.005)
    assert measured["intensity_mean_db"] == pytest.approx(reference["intensity_mean_db"], abs=0.1)
    assert measured["articulation_rate_per_s"] == reference["articulation_rate_per_s"]


@pytest.mark.parametrize("subtype", ["FLOAT", "PCM_24"])
def test_float_and_24_bit(subtype):
    reference, measured = measure(voice(130, 2)), measure(voice(130, 2), subtype=subtype)
    for column in ("f0_median_hz", "intensity_mean_db", "intensity_sd_db", "articulation_rate_per_s"):
        assert measured[column] == pytest.approx(reference[column], rel=1e-3)


def test_digital_silence_is_left_out_of_loudness():
    speech = voice(130, 2, noise=1e-3)
    padded = measure(np.concatenate([np.zeros(16000), speech, np.zeros(16000)]))
    alone = measure(speech)
    assert padded["intensity_mean_db"] == pytest.approx(alone["intensity_mean_db"], abs=0.2)
    assert padded["intensity_sd_db"] == pytest.approx(alone["intensity_sd_db"], abs=1)
    assert measure(speech, settings=MeasurementSettings.speechcuellm())["intensity_sd_db"] < 20


def test_one_syllable_has_a_rate():
    measured = measure(voice(140, 0.4, syllables=2.5))
    assert measured["articulation_rate_per_s"] == pytest.approx(1 / 0.4, rel=0.25)


def test_pauses():
    speech = voice(130, 1, noise=0)
    hush = np.random.default_rng(1).normal(0, 1e-4, 16000)
    measured = measure(np.concatenate([hush[:8000], speech, hush[:9600], speech, hush[:8000]]))
    # Speech swells in and out, so the pause is heard a little longer than 0.6 s; silence at the ends is no pause.
    assert measured["longest_pause_s"] == pytest.approx(0.65, abs=0.1)
    assert measured["pause_ratio"] == pytest.approx(0.65 / 2.6, abs=0.05)


def test_unreadable_files(tmp_path):
    whole = as_bytes(voice(120, 1))["bytes"]
    for name, content, cause in [("empty.wav", b"", "the file is empty"), ("cut.wav", whole[:20], "cannot be decoded")]:
        (tmp_path / name).write_bytes(content)
        measured = measure_speech({"audio": {"path": str(tmp_path / name), "bytes": None}}, ALL)
        assert measured["measurement_note"].startswith(f"{name}: {cause}")
        assert measured["duration_s"] is None


def test_mp4(tmp_path):
    write_video(tmp_path / "a.mp4", voice(150, 1))
    measured = measure_speech({"audio": {"path": str(tmp_path / "a.mp4"), "bytes": None}})
    assert measured["measurement_note"] is None
    assert measured["f0_median_hz"] == pytest.approx(150, rel=0.01)


def test_one_hour_takes_two_minutes_of_it_and_little_memory(tmp_path):
    path = tmp_path / "hour.flac"
    with soundfile.SoundFile(path, "w", 16000, 1) as file:
        file.write(voice(120, 10))
        for _ in range(359):
            file.write(np.zeros(160000))
    tracemalloc.start()
    measured = measure_speech({"audio": {"path": str(path), "bytes": None}})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert measured["duration_s"] == 3600.0
    assert measured["f0_median_hz"] == pytest.approx(120, rel=0.005)
    assert measured["measurement_note"] == "longer than 120 s: only its start was measured"
    # A whole hour in float64 would take 460 MB.
    assert peak < 200e6


FEATURES = Features(
    {
        "dialogue_id": Value("string"),
        "utterance_id": Value("string"),
        "turn": Value("int32"),
        "emotion": ClassLabel(names=["neutral", "joy"]),
        "audio": Audio(decode=False),
        "start": Value("float64"),
        "end": Value("float64"),
    }
)


@pytest.fixture
def folder(tmp_path):
    """A dataset folder of 8 utterances in 2 dialogues, clips embedded, one of them missing."""
    rows = {
        "dialogue_id": [f"d{i // 4}" for i in range(8)],
        "utterance_id": [f"u{i}" for i in range(8)],
        "turn": [i % 4 for i in range(8)],
        "emotion": [0, 1] * 4,
        "audio": [None if i == 5 else as_bytes(voice(100 + 20 * i, 0.3)) for i in range(8)],
        "start": [i % 4 * 1.0 for i in range(8)],
        "end": [i % 4 * 1.0 + 0.8 for i in range(8)],
    }
    plain = Features({**FEATURES, "audio": {"path": Value("string"), "bytes": Value("binary")}})
    dataset = Dataset.from_dict(rows, features=plain).cast_column("audio", Audio(decode=False))
    dataset.to_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    return tmp_path / "data"


def load(folder):
    return load_dataset("parquet", data_dir=str(folder), cache_dir=str(folder.parent / "cache"))


def test_measure_dataset_adds_columns_and_leaves_the_others(folder):
    dataset = load(folder)
    measured = measure_dataset(dataset)
    assert isinstance(measured, DatasetDict)
    added = set(measured["train"].column_names) - set(dataset["train"].column_names)
    assert added == {*measurement_columns(), "measurement_note"}
    assert measured["train"].features["audio"] == dataset["train"].features["audio"]
    assert measured["train"].features["hnr_mean_db"] == Value("float64")
    assert measured["train"].select_columns(dataset["train"].column_names)[:] == dataset["train"][:]
    assert measured["train"]["measurement_note"][5] == "audio missing"
    for row in measured["train"]:
        expected = measure_speech(row)
        assert {column: row[column] for column in expected} == expected


def test_the_audio_is_not_written_again(folder):
    dataset = load(folder)
    before = set((folder.parent / "cache").rglob("*.arrow"))
    measured = measure_dataset(dataset, num_proc=2)["train"]
    written = [path for path in (folder.parent / "cache").rglob("*.arrow") if path not in before]
    clips = sum(len(audio["bytes"]) for audio in measured["audio"] if audio)
    assert written
    assert sum(path.stat().st_size for path in written) < clips / 2


def test_workers_give_the_same_numbers(folder):
    dataset = load(folder)
    one, two = measure_dataset(dataset)["train"], measure_dataset(dataset, num_proc=2)["train"]
    assert one[:] == two[:]
    assert one.split == two.split == "train"


def test_a_second_call_reads_the_cache(folder):
    dataset = load(folder)
    measure_dataset(dataset)
    written = set((folder.parent / "cache").rglob("cache-*.arrow"))
    measure_dataset(load(folder))
    assert set((folder.parent / "cache").rglob("cache-*.arrow")) == written
    measure_dataset(dataset, MeasurementSettings(groups=("loudness",)))
    assert set((folder.parent / "cache").rglob("cache-*.arrow")) > written


def test_measuring_again_replaces_the_columns(folder):
    dataset = load(folder)["train"]
    loud = measure_dataset(dataset, MeasurementSettings(groups=("loudness",)))
    again = measure_dataset(loud)
    assert sorted(again.column_names) == sorted(loud.column_names)
    assert again["f0_mean_hz"][0] is not None
    assert again["turn_latency_s"][1] == pytest.approx(0.2)


def test_as_a_plain_map_function(folder):
    mapped = load(folder)["train"].map(measure_speech, remove_columns=["audio"])
    assert mapped["f0_median_hz"][0] == pytest.approx(100, rel=0.02)


def test_a_stream_gives_the_same_rows(folder):
    whole = measure_dataset(load(folder))["train"]
    stream = load_dataset("parquet", data_dir=str(folder), split="train", streaming=True)
    assert list(measure_dataset(stream)) == [{name: row[name] for name in row} for row in whole]


def test_a_missing_column_is_named(folder):
    with pytest.raises(ValueError, match="no column 'audio'"):
        measure_clips(load(folder)["train"].remove_columns("audio"))


def test_settings_travel_as_json():
    for settings in (MeasurementSettings(), MeasurementSettings.speechcuellm(), ALL):
        assert MeasurementSettings.from_values(json.loads(json.dumps(settings.to_values()))) == settings
    with pytest.raises(ValueError, match="no group 'recording'"):
        MeasurementSettings(groups=("recording",), preset="speechcuellm")
    with pytest.raises(ValueError, match="preset 'paper' is unknown"):
        MeasurementSettings(preset="paper")


def test_praat_keeps_quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measure(np.random.default_rng(0).normal(0, 0.1, 16000) + voice(120, 1))


def test_a_split_of_which_nothing_was_measured_is_told(caplog):
    number = Features({"f0_mean_hz": Value("float64"), "latency_s": Value("float64")})
    none = Dataset.from_dict({"f0_mean_hz": [None, None], "latency_s": [None, 0.5]}, features=number)
    some = Dataset.from_dict({"f0_mean_hz": [None, 100.0], "latency_s": [None, None]}, features=number)
    read = Dataset.from_dict({"text": ["a"]})
    tell_unmeasured({"train": some, "dev": read, "test": none}, "data/x")
    (said,) = caplog.messages
    assert "no clip of split test in data/x was measured" in said and "all 2 rows" in said
