"""Real weights on human speech: skipped unless SPEECHCUE_MODELS names where they are."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechcue_hf.evaluation.texts import transcript_error_rate
from speechcue_hf.transcription.recognition import SpeechRecognizer
from speechcue_hf.transcription.settings import TranscriptionSettings
from speechcue_hf.transcription.transcribe import Recording, transcribe

MODELS = Path(os.environ.get("SPEECHCUE_MODELS", "nowhere"))
pytestmark = pytest.mark.skipif(not (MODELS / "whisper-base").is_dir(), reason="SPEECHCUE_MODELS has no whisper-base")

RATE = 16_000


def test_librivox_is_understood_on_two_channels(tmp_path):
    folder = next((MODELS / "speech").glob("**/test/data/librivox"))
    lines = (folder / "transcription").read_text().splitlines()[:4]
    texts = [line.rpartition("(")[0].replace("<s>", "").replace("</s>", "").strip() for line in lines]
    names = [line.rpartition("(")[2].rstrip(")") for line in lines]
    sentences = [soundfile.read(folder / f"{name}.wav")[0] for name in names]
    sound = np.random.default_rng(0).normal(0, 3e-4, (sum(map(len, sentences)) + 4 * RATE, 2))
    place = RATE
    for number, samples in enumerate(sentences):
        sound[place : place + len(samples), number % 2] += samples
        place += len(samples) - RATE // 4
    soundfile.write(tmp_path / "call.wav", sound, RATE)
    recognizer = SpeechRecognizer.from_pretrained(MODELS / "whisper-base")
    (made,) = transcribe([Recording("call", tmp_path / "call.wav")], recognizer, TranscriptionSettings())
    assert [turn.channel for turn in made.turns] == [0, 1, 0, 1]
    assert {turn.language for turn in made.turns} == {"en"}
    heard = [turn.text.replace("-", " ") for turn in made.turns]
    assert transcript_error_rate(texts, heard)["word_error_rate"] <= 0.1
