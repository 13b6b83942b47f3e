"""The other engines against Praat, analysis by analysis, on clips of every kind."""

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from datasets import Dataset, load_dataset

from speechcue_hf.cues import praat
from speechcue_hf.cues.contours import Contour, PitchSettings
from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.cues.engines import installed_engines, load_engine
from speechcue_hf.cues.measure import measure_dataset, measure_speech
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.praat import Sound, call
from tests.cues.measure_clips import as_bytes, voice
from tests.records import simple_describer

pytest.importorskip("numba")

from speechcue_hf.cues.fast.periods import period_points

torch = pytest.importorskip("torch")

FAST = load_engine("fast")
DEMO = Path(__file__).parents[2] / "speechcue_hf/corpora/demo_data/audio"
RNG = np.random.default_rng(0)
GLIDE = voice(np.linspace(90, 220, 32000), 2, noise=5e-3)
CLIPS = {
    "speech": lambda: soundfile.read(DEMO / "bicycle_00.ogg"),
    "low": lambda: (voice(62, 1.5), 16000),
    "high": lambda: (voice(380, 1.5, noise=1e-2), 16000),
    "glide": lambda: (GLIDE, 16000),
    "8k": lambda: (voice(130, 1.5, 8000, noise=1e-2), 8000),
    "22.05k": lambda: (voice(150, 1.5, 22050, noise=3e-3), 22050),
    "48k": lambda: (voice(200, 1, 48000, noise=3e-3), 48000),
    # In one frame a candidate has two maxima between the neighbours of a sample, and the smaller one is an octave off.
    "two maxima": lambda: (
        voice(np.linspace(298.757, 278.5005, 24723), 1.12124, 22050, 0.06273942, 3.6063873, 0.03043868, 87),
        22050,
    ),
    "pause": lambda: (np.concatenate([voice(110, 1), np.zeros(12000), voice(150, 1)]), 16000),
    "padded": lambda: (np.concatenate([np.zeros(8000), voice(110, 1), np.full(8000, 1e-5)]), 16000),
    "noise": lambda: (RNG.normal(0, 0.1, 16000), 16000),
    "clipped": lambda: (np.clip(voice(120, 1, level=2), -1, 1), 16000),
    "offset": lambda: (voice(120, 1) + 0.3, 16000),
}
SEARCHES = (
    PitchSettings(),
    PitchSettings(0.02, 30.0, 450.0, 4, voicing=0.25, voiced_unvoiced=0.25),
    PitchSettings(0.01, 61.3, 411.0, 6),
    PitchSettings(0.04, 40.0, 700.0),
)
ALL = (*MeasurementSettings().groups, "hnr")


@pytest.fixture(params=CLIPS)
def clip(request):
    return CLIPS[request.param]()


@pytest.fixture(params=installed_engines()[1:])
def name(request):
    return request.param


@pytest.fixture
def engine(name):
    return load_engine(name)


@pytest.mark.parametrize("floor", [50.0, 75.0, 100.0])
def test_intensity_is_praats(engine, clip, floor):
    ours, theirs = engine.intensity(*clip, floor), praat.intensity(*clip, floor)
    assert (ours.first, ours.step, ours.end) == (theirs.first, theirs.step, theirs.end)
    assert ours.values == pytest.approx(theirs.values, abs=1e-6)


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: f"from {search.floor:g} Hz")
def test_pitch_is_praats_frame_by_frame(engine, clip, search):
    ours, theirs = engine.pitch(*clip, search), praat.pitch(*clip, search)
    assert (ours.first, ours.step, ours.end) == (theirs.first, theirs.step, theirs.end)
    assert ((ours.values > 0) == (theirs.values > 0)).all()
    assert ours.values == pytest.approx(theirs.values, rel=1e-4)


@pytest.mark.parametrize("accurate", [True, False])
def test_harmonicity_is_praats(engine, clip, accurate):
    ours, theirs = engine.harmonicity(*clip, accurate), praat.harmonicity(*clip, accurate)
    assert ours == pytest.approx(theirs, abs=1e-3)
    assert ours.mean() == pytest.approx(theirs.mean(), rel=1e-6)


def test_maxima_are_praats(engine):
    for length in (1, 2, 3, 5, 40, 200):
        values = np.convolve(RNG.normal(60, 10, length), np.hanning(5), "same")
        ours, theirs = engine.maxima(values), praat.maxima(values)
        assert ours == pytest.approx(theirs, abs=1e-5)


def broken_up(pitch, seed):
    """A contour that wanders and whose voicing comes and goes, so that most periods lie at an edge of it."""
    rng = np.random.default_rng(seed)
    steps, unvoiced = rng.normal(0, 0.02, len(pitch.values)), rng.random(len(pitch.values)) < 0.25
    # In steps of 10 ms points in digital silence would be 20 ms apart, where rounding decides whether that is a period.
    return replace(pitch, step=0.0097, values=np.where(unvoiced, 0, 140 * np.exp(np.cumsum(steps))))


def periods_of_praat(samples, rate, pitch):
    frames = (pitch.start, pitch.end, len(pitch.values), pitch.step, pitch.first)
    matrix = call("Create Matrix", "pitch", *frames, 1, 1, 1, 1, 1, "0")
    matrix.values[0] = pitch.values
    points = call([Sound(samples, rate), call(matrix, "To Pitch")], "To PointProcess (cc)")
    return [call(points, "Get time from index", i + 1) for i in range(call(points, "Get number of points"))]


@pytest.mark.parametrize("contour", [lambda pitch: pitch, *(partial(broken_up, seed=seed) for seed in range(3))])
def test_periods_are_praats(clip, contour):
    samples, rate = clip
    pitch = contour(praat.pitch(samples, rate, PitchSettings()))
    assert period_points(samples, rate, pitch).tolist() == pytest.approx(
        periods_of_praat(samples, rate, pitch), abs=1e-8
    )
    ours, theirs = FAST.jitter_and_shimmer(samples, rate, pitch), praat.jitter_and_shimmer(samples, rate, pitch)
    for value, expected in zip(ours, theirs, strict=True):
        assert value == (None if expected is None else pytest.approx(expected, rel=1e-6))


def test_periods_are_praats_where_nothing_is_voiced():
    pitch = Contour(np.zeros(90), 0.05, 0.01, 0.0, 1.0)
    assert len(period_points(GLIDE, 16000.0, pitch)) == 0
    assert FAST.jitter_and_shimmer(GLIDE, 16000, pitch) == (None, None)


@pytest.mark.parametrize("settings", [MeasurementSettings.speechcuellm(), MeasurementSettings(groups=ALL)])
def test_all_cues_are_praats(name, clip, settings):
    samples, rate = clip
    row = {"audio": as_bytes(samples, rate, "FLOAT")}
    theirs = measure_speech(row, settings)
    ours = measure_speech(row, MeasurementSettings(settings.groups, settings.preset, engine=name))
    for column, value in theirs.items():
        numeric = isinstance(value, float)
        assert ours[column] == (pytest.approx(value, rel=1e-6, abs=1e-5) if numeric else value), column


@pytest.mark.parametrize(
    ("samples", "rate"),
    [(np.stack([GLIDE, GLIDE[::-1]]), 16000), (voice(120, 0.5, 96000), 96000), (1e-6 * GLIDE, 16000)],
    ids=["stereo", "96 kHz", "faint"],
)
def test_praat_measures_what_was_not_shown_to_be_equal(engine, samples, rate):
    ours, theirs = engine.pitch(samples, rate, SEARCHES[0]), praat.pitch(samples, rate, SEARCHES[0])
    assert (ours.values == theirs.values).all()
    assert (engine.intensity(samples, rate, 100.0).values == praat.intensity(samples, rate, 100.0).values).all()
    assert (engine.harmonicity(samples, rate, True) == praat.harmonicity(samples, rate, True)).all()
    assert engine.jitter_and_shimmer(samples, rate, ours) == praat.jitter_and_shimmer(samples, rate, theirs)


@pytest.mark.slow
def test_no_description_depends_on_the_engine():
    clips = load_dataset("speechcue/demo", split="validation")
    theirs, ours = (
        measure_dataset(clips, MeasurementSettings(groups=ALL, engine=engine)) for engine in ("praat", "fast")
    )
    train = Dataset.from_dict(
        theirs.remove_columns("audio").to_dict(), features=theirs.remove_columns("audio").features
    )
    describer = SpeechDescriber.fit(train, levels=5, baseline="speaker")
    expected, found = (describe_dataset(rows, describer) for rows in (theirs, ours))
    assert len(set(expected["speech_description"])) > 20
    assert found["speech_description"][:] == expected["speech_description"][:]


def test_threads_of_one_process_give_the_same_numbers(name):
    settings = MeasurementSettings(engine=name)
    rows = [{"audio": as_bytes(voice(100 + 10 * i, 1.0, seed=i))} for i in range(6)]
    alone = [measure_speech(row, settings) for row in rows]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda row: measure_speech(row, settings), rows)) == alone


def test_the_engine_is_recorded_and_the_default_leaves_fingerprints_as_they_were(name):
    other = MeasurementSettings(engine=name)
    assert MeasurementSettings.from_values(other.to_values()) == other
    old = {name: value for name, value in MeasurementSettings().to_values().items() if name != "engine"}
    assert MeasurementSettings.from_values(old).fingerprint == MeasurementSettings().fingerprint
    assert other.fingerprint != MeasurementSettings().fingerprint
    with pytest.raises(ValueError, match="engine 'quick' is unknown"):
        MeasurementSettings(engine="quick")


@pytest.mark.parametrize(
    ("name", "library", "module", "extra"),
    [("fast", "numba", "speechcue_hf.cues.fast", "fast"), ("torch", "torch", "speechcue_hf.cues.tensors", "train")],
)
def test_where_a_library_is_missing_its_extra_is_named(monkeypatch, name, library, module, extra):
    for loaded in [loaded for loaded in sys.modules if loaded.startswith(module)]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, library, None)
    assert name not in installed_engines()
    with pytest.raises(ImportError, match=rf"needs {library}: pip install 'speechcue_hf\[{extra}\]'"):
        load_engine(name)


def test_without_a_library_praat_measures_and_stands_in_for_a_describer_of_the_engine(monkeypatch):
    describer = replace(simple_describer(), settings=MeasurementSettings(engine="fast").to_values())
    row = {"audio": as_bytes(voice(120, 0.5))}
    measured = measure_speech(row)
    assert describer.measurement_settings().engine == "fast"
    monkeypatch.setitem(sys.modules, "numba", None)
    assert describer.measurement_settings() == MeasurementSettings()
    assert measure_speech(row) == measured


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_workers_measure_by_tensors_after_this_process_did_with_threads(two_threads):
    settings = MeasurementSettings(engine="torch")
    clips = Dataset.from_list([{"audio": as_bytes(voice(100 + 10 * i, 2.0))} for i in range(2)])
    alone, shared = (measure_dataset(clips, settings, num_proc)["f0_mean_hz"][:] for num_proc in (None, 2))
    assert shared == alone
