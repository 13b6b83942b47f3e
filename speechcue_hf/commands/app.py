"""``speechcue app``: record or upload a conversation, and see it as in a report."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from speechcue_hf.commands.arguments import positive_int
from speechcue_hf.commands.recognition_options import add_recognition
from speechcue_hf.commands.recognizer_options import add_recognizer_arguments
from speechcue_hf.errors import SpeechcueError

if TYPE_CHECKING:
    from speechcue_hf.app.listening import Model
    from speechcue_hf.app.page import Choices
    from speechcue_hf.transcription.diarisation import Diariser
    from speechcue_hf.transcription.recognition import SpeechRecognizer
    from speechcue_hf.transcription.settings import TranscriptionSettings
    from speechcue_hf.transcription.transcribe import Transcript

EXAMPLES = """examples:
  speechcue app                                                            # measurements and words only
  speechcue app --model runs/cues runs/stage3 --describer data/described   # the page chooses among them
  speechcue app --model Qwen/Qwen3-8B --server http://localhost:8000/v1 --labels meld --describer data/described
  speechcue app --recognizer openai/whisper-base                           # hears what is said in long recordings

The page opens on this machine alone (http://127.0.0.1:7860), sends nothing anywhere, and deletes what was recorded or
uploaded when it ends. `speechcue publish app` puts the same app on a Space.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--model",
        nargs="+",
        action="extend",
        default=[],
        metavar="DIR_OR_ID",
        help="models to choose from, each as `speechcue predict` takes it",
    )
    parser.add_argument("--revision", help="branch, tag or commit of the models on the Hub")
    add_recognizer_arguments(parser, several_describers=True)
    add_recognition(parser, "--recognizer", default=None)
    parser.add_argument("--port", type=positive_int, help="of the page (default: the first free one from 7860 on)")


def run(arguments: argparse.Namespace) -> None:
    """Serve the page until it is stopped."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with TemporaryDirectory(prefix="speechcue-app-") as folder:
        # Before gradio is imported, which looks at these once.
        os.environ |= {"GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False"}
        try:
            from speechcue_hf.app.page import build_app, serve, wait_for_end
        except ModuleNotFoundError as error:
            if error.name != "gradio":
                raise
            raise SpeechcueError(
                "the app needs gradio, which is not installed: pip install 'speechcue_hf[app]'"
            ) from error
        app = build_app(choices(arguments), Path(folder))
        print(
            f"Open {serve(app, arguments.port, in_space='SPACE_ID' in os.environ)} in a browser; Ctrl+C ends it.",
            flush=True,
        )
        wait_for_end(app, ended)


def choices(arguments: argparse.Namespace) -> Choices:
    """What the command line lets people choose on the page; models and describers are loaded when first chosen."""
    from speechcue_hf.app.page import Choices
    from speechcue_hf.cues.describe import SpeechDescriber

    return Choices(
        arguments.model,
        arguments.describer,
        cache(lambda name: _load_model(arguments, name)),
        cache(SpeechDescriber.from_pretrained),
        _turn_finder(arguments),
    )


def _load_model(arguments: argparse.Namespace, name: str) -> Model:
    """A model of those that the command line names, with the labels and the server that it names."""
    from speechcue_hf.app.listening import Model
    from speechcue_hf.commands.recognizer_options import load_recognizer
    from speechcue_hf.commands.served_options import runs_elsewhere
    from speechcue_hf.inference.context import ModelContext
    from speechcue_hf.models.loading import hub_commit

    one: dict[str, Any] = {**vars(arguments), "model": name, "describer": None, "output": None}
    recognizer = load_recognizer(argparse.Namespace(**one))
    revision = None if runs_elsewhere(arguments) else hub_commit(name, arguments.revision)
    return Model(name, recognizer, ModelContext(name, revision))


def _turn_finder(arguments: argparse.Namespace) -> Callable[[Path], Transcript]:
    """Finds the turns of recordings, with their words where a recognizer of speech is named."""
    from speechcue_hf.transcription.transcribe import Recording, find_turns, transcribe

    loaded = cache(lambda: _load_recognition(arguments))

    def found(path: Path) -> Transcript:
        settings, recognizer, diariser = loaded()
        recording = Recording(path.stem, path)
        if recognizer is None:
            return find_turns(recording, settings, diariser=diariser)
        (heard,) = transcribe([recording], recognizer, settings, diariser=diariser, batch_size=arguments.batch_size)
        return heard

    return found


def _load_recognition(
    arguments: argparse.Namespace,
) -> tuple[TranscriptionSettings, SpeechRecognizer | None, Diariser | None]:
    """How recordings become turns, and the models that are named for it."""
    from speechcue_hf.commands.recognition_options import load_named_diariser, load_recognition, recognition_settings

    settings = recognition_settings(arguments)
    if arguments.recognizer is None:
        return settings, None, load_named_diariser(arguments, settings)
    return settings, *load_recognition(arguments, settings)
