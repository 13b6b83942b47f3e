"""How recordings become turns with text: the options of every command that transcribes, and what they load."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from speechcue_hf.commands.arguments import positive_int

if TYPE_CHECKING:
    from speechcue_hf.transcription.diarisation import Diariser
    from speechcue_hf.transcription.recognition import SpeechRecognizer
    from speechcue_hf.transcription.settings import TranscriptionSettings

RECOGNIZER = "openai/whisper-base"


def add_recognition(
    parser: argparse.ArgumentParser, model: str = "--model", *, default: str | None = RECOGNIZER
) -> None:
    """Declare how recordings become turns with text; they are parsed as ``recognizer`` and so on.

    Args:
        parser: Of the command.
        model: Name of the option for the recognizer of speech.
        default: The recognizer; None: words are heard only where one is named.
    """
    parser.add_argument(
        model,
        dest="recognizer",
        default=default,
        metavar="DIR_OR_ID",
        help=f"that turns speech into text, such as a Whisper of any size (default: {default or 'none'})",
    )
    parser.add_argument(
        "--revision" if model == "--model" else f"{model}-revision",
        dest="recognizer_revision",
        metavar="REVISION",
        help="its branch, tag or commit on the Hub",
    )
    parser.add_argument("--language", help="that is spoken, such as en (default: Whisper finds it in each recording)")
    parser.add_argument(
        "--speakers",
        choices=("auto", "channels", "one"),
        default="auto",
        help="each channel is a speaker where it has one of its own (auto, the default); it is (channels); nobody "
        "knows who speaks (one)",
    )
    parser.add_argument(
        "--diarise", metavar="DIR_OR_ID", help="model of pyannote.audio, of people you trust, that tells speakers apart"
    )
    parser.add_argument("--pause", type=float, default=0.5, help="silence in s that ends a turn (default: %(default)s)")
    parser.add_argument(
        "--longest-turn", type=float, default=28.0, help="in s; speech without a pause is cut (default: %(default)s)"
    )
    parser.add_argument(
        "--batch-size", type=positive_int, default=8, help="stretches of 28 s in one pass (default: %(default)s)"
    )


def add_turn_table(parser: argparse.ArgumentParser) -> None:
    """Declare the table of turns that are known."""
    parser.add_argument("--turns", type=Path, help="table of the turns, such as RTTM: only their text is made")


def recognition_settings(arguments: argparse.Namespace, *, turns_given: bool = False) -> TranscriptionSettings:
    """The parsed options as what is recorded of them, with the commits of the models on the Hub."""
    from speechcue_hf.models.base import base_model_name
    from speechcue_hf.models.loading import hub_commit
    from speechcue_hf.transcription.settings import describe_settings

    recognizer, diariser = arguments.recognizer, arguments.diarise
    return describe_settings(
        model=recognizer and base_model_name(recognizer),
        model_revision=recognizer and hub_commit(recognizer, arguments.recognizer_revision),
        language=arguments.language,
        speakers=arguments.speakers,
        diariser=diariser and base_model_name(diariser),
        diariser_revision=diariser and hub_commit(diariser),
        turns_given=turns_given,
        pause=arguments.pause,
        longest_turn=arguments.longest_turn,
    )


def load_recognition(
    arguments: argparse.Namespace, settings: TranscriptionSettings
) -> tuple[SpeechRecognizer, Diariser | None]:
    """Load the recognizer, and the diariser where one is asked for, both at the commits that are recorded."""
    from speechcue_hf.transcription.recognition import SpeechRecognizer

    diariser = load_named_diariser(arguments, settings)
    recognizer = SpeechRecognizer.from_pretrained(
        arguments.recognizer, revision=settings.model_revision, language=arguments.language
    )
    return recognizer, diariser


def load_named_diariser(arguments: argparse.Namespace, settings: TranscriptionSettings) -> Diariser | None:
    """Load the diariser at the commit that is recorded; None where none is asked for."""
    from speechcue_hf.transcription.diarisation import load_diariser

    return load_diariser(arguments.diarise, settings.diariser_revision) if arguments.diarise else None
