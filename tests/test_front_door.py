"""``from speechcue_hf import …``: every name is there, and importing one loads no more than it needs."""

from __future__ import annotations

import ast
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import speechcue_hf

STUB = Path(speechcue_hf.__file__).with_suffix(".pyi")
NAMES = [
    alias.name for node in ast.parse(STUB.read_text()).body if isinstance(node, ast.ImportFrom) for alias in node.names
]
LIGHT = {
    "measure_speech": {"torch", "transformers", "matplotlib", "sklearn", "numba"},
    "MeasurementSettings": {"datasets", "torch", "numpy", "parselmouth", "numba"},
    "SpeechDescriber": {"torch", "transformers", "parselmouth", "matplotlib"},
    "Corpus": {"datasets", "numpy", "torch"},
    "register_corpus": {"datasets", "numpy", "torch"},
    "build_prompts": {"torch", "transformers", "parselmouth"},
    "compare_runs": {"torch", "transformers", "parselmouth"},
    "publish_dataset": {"torch", "transformers"},
    "write_biographies": {"torch", "transformers"},
    "transcribe": {"torch", "transformers", "matplotlib"},
    "TranscriptionSettings": {"datasets", "torch", "numpy"},
}
"""Name → what importing it does not load."""


def python(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_name_can_be_imported() -> None:
    rest = [name for name in NAMES if name not in LIGHT]
    assert python(f"from speechcue_hf import {', '.join(rest)}; print(None in [{', '.join(rest)}])") == "False\n"


def test_there_are_those_that_everybody_needs() -> None:
    wanted = "measure_speech measure_dataset MeasurementSettings SpeechDescriber describe_dataset write_biographies "
    wanted += "caption_dataset build_prompts EmotionRecognizer publish_dataset publish_model register_corpus "
    wanted += "load_classifier evaluate intervene compare_runs ensemble_runs register_cue"
    assert {*wanted.split()} <= {*NAMES} and len(NAMES) == len({*NAMES}) < 40


@pytest.mark.parametrize("name", LIGHT)
def test_a_name_loads_no_more_than_it_needs(name: str) -> None:
    loaded = set(python(f"import sys; from speechcue_hf import {name}; print(*sys.modules)").split())
    assert not loaded & LIGHT[name]


def test_dir_completion_and_help_see_them() -> None:
    assert {*NAMES} == {*dir(speechcue_hf)} == {*speechcue_hf.__all__}
    text = pydoc.plain(pydoc.render_doc(speechcue_hf))
    assert all(name in text for name in NAMES)


def test_a_name_that_is_not_there_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        speechcue_hf.nonsense  # noqa: B018


def test_every_name_is_in_the_description_of_the_package() -> None:
    described = speechcue_hf.__doc__ or ""
    left_out = {"DEMO_FOLDER", "SpeechcueError", "SEmoLLMForPretraining"}
    assert [name for name in NAMES if f"``{name}``" not in described and name not in left_out] == []
