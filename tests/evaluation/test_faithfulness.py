"""Faithfulness: worked by hand, and on clips against Praat called directly."""

from __future__ import annotations

import numpy as np
import parselmouth
import pytest
import soundfile
from datasets import Audio, Dataset

from speechcue_hf.captions.build import caption_dataset
from speechcue_hf.captions.check import contradicted
from speechcue_hf.captions.reading import Claim
from speechcue_hf.captions.tasks import caption_task
from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.cues.measure import MeasurementSettings, measure_dataset
from speechcue_hf.evaluation.faithfulness import caption_faithfulness


def test_worked_by_hand():
    captions = [
        "High pitch, fast speed, loud volume.",
        "Low pitch.",
        "The pitch is high, no, low pitch!",
        None,
        "Nice.",
    ]
    measured = [
        {"pitch": "high", "speed": "slow", "volume": None},
        {"pitch": "low"},
        {"pitch": "low"},
        {"pitch": "low"},
        {"pitch": "low"},
    ]
    scores = caption_faithfulness(captions, measured)
    assert scores["captions"] == 4
    # "no, low pitch" is a statement of low pitch: what is denied is the word before.
    assert scores["pitch"] == {"claims": 4, "unmeasured": 0, "agree": 3, "faithfulness": 3 / 4, "stated": 3 / 5}
    assert scores["speed"] == {"claims": 1, "unmeasured": 0, "agree": 0, "faithfulness": 0, "stated": 1 / 5}
    assert scores["volume"] == {"claims": 1, "unmeasured": 1, "agree": 0, "faithfulness": None, "stated": 1 / 5}
    assert scores["all"] == {"claims": 6, "unmeasured": 1, "agree": 3, "faithfulness": 3 / 5, "stated": 5 / 15}


def test_without_captions_nothing_is_claimed():
    assert caption_faithfulness([], [])["all"]["faithfulness"] is None


def test_each_caption_needs_its_clip():
    with pytest.raises(ValueError, match="got 1 and 0"):
        caption_faithfulness(["High pitch."], [])


@pytest.mark.parametrize(("known", "wrong"), [("low", True), ("high", False), (None, False)])
def test_only_a_measurement_contradicts(known, wrong):
    assert contradicted(Claim("pitch", "high", 0, 10), {"pitch": known}) is wrong
    assert contradicted(Claim("pitch", "low", 0, 10, denied=True), {"pitch": known}) is wrong


def test_a_denied_level_is_none_that_is_stated():
    assert caption_faithfulness(["The pitch is not low."], [{"pitch": "low"}])["pitch"]["claims"] == 0


F0 = (90, 105, 120, 135, 150, 165, 180, 195, 210, 225, 240, 255)
GAIN = (0.3, 0.02, 0.1, 0.25, 0.03, 0.15, 0.05, 0.2, 0.01, 0.12, 0.4, 0.08)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[str]:
    """Buzzes of known pitch and loudness."""
    folder = tmp_path_factory.mktemp("clips")
    time = np.arange(16000) / 16000
    paths = []
    for number, (f0, gain) in enumerate(zip(F0, GAIN, strict=True)):
        buzz = sum(np.sin(2 * np.pi * f0 * harmonic * time) / harmonic for harmonic in range(1, 8))
        paths.append(str(folder / f"{number}.wav"))
        soundfile.write(paths[-1], gain * buzz / 2, 16000)
    return paths


def praat(path: str) -> tuple[float, float]:
    """Median pitch in Hz and mean intensity in dB, by Praat's own commands."""
    sound = parselmouth.Sound(path)
    pitch = parselmouth.praat.call(sound.to_pitch(None, 60.0, 400.0), "Get quantile", 0, 0, 0.5, "Hertz")
    return pitch, parselmouth.praat.call(sound.to_intensity(), "Get mean", 0, 0, "energy")


def test_captions_by_template_agree_with_praat(clips):
    """The levels are cut at the quarters of what Praat itself measures; swapped words are lost, and only they."""
    rows = Dataset.from_dict({"utterance_id": clips, "audio": [{"path": path, "bytes": None} for path in clips]})
    rows = rows.cast_column("audio", Audio(decode=False))
    measured = measure_dataset(rows, MeasurementSettings(groups=("loudness", "pitch")))
    described = describe_dataset(measured, SpeechDescriber.fit(measured, levels=3, baseline="overall"))
    captions = caption_dataset(described, [caption_task("pitch+volume")], 3)["caption"][:]
    values = np.array([praat(path) for path in clips])
    steps = (values[:, :, None] > np.quantile(values, (0.25, 0.75), axis=0).T[None]).sum(axis=2)
    expected = [
        {"pitch": ("low", "normal", "high")[pitch], "volume": ("quiet", "normal", "loud")[volume]}
        for pitch, volume in steps
    ]
    scores = caption_faithfulness(captions, expected)
    assert scores["all"] == {"claims": 24, "unmeasured": 0, "agree": 24, "faithfulness": 1, "stated": 24 / 36}
    swapped = [caption.replace("high pitch", "low pitch") for caption in captions]
    assert caption_faithfulness(swapped, expected)["pitch"]["faithfulness"] == 9 / 12
