"""The ``speechcue`` command: finds the command's module, runs it, and turns errors into exit codes."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from speechcue_hf import __version__
from speechcue_hf.errors import SpeechcueError

COMMANDS = {
    "quickstart": "show on the demo corpus what the voice is worth: with it, without it, and with other voices",
    "prepare": "write a corpus as Parquet that plain load_dataset reads",
    "check": "compare a corpus on disk with its release",
    "transcribe": "find turns and text in recordings, and write them as a table to correct",
    "measure": "measure the speech of a dataset folder",
    "describe": "put measurements into words",
    "biographies": "have a chat model write who the speakers are",
    "caption": "write captions of what was measured, as questions and answers for an audio model",
    "plot": "draw a clip or a dialogue with its cues",
    "recipes": "list the recipes, or write one out to change",
    "train": "train a model of any kind from a recipe",
    "evaluate": "score a model on a split",
    "analyse": "go from one recording to a table of its turns, with text, voice and emotions",
    "explain": "say which emotion a clip has and why, and mark what the measurement contradicts",
    "predict": "tell the emotions of clips and conversations, by a model with all that it was trained with",
    "ensemble": "take several evaluated runs as one, by the mean of their probabilities",
    "compare": "compare two runs by a paired bootstrap over dialogues",
    "table": "set runs beside each other as a paper does",
    "intervene": "score a model again with other cues, to see whether it listens",
    "probe": "see what measurements alone tell, with small classifiers",
    "report": "show a corpus and runs on it, with sound, as one page that opens in a browser",
    "app": "record or upload a conversation and see it as in a report, on a page of this machine",
    "card": "write the model card of a run",
    "publish": "put a dataset or a model on the Hub, as far as its licence lets it",
    "export": "write prompts or captions for other fine-tuning tools",
    "convert-bioserc": "turn a released checkpoint of BiosERC's encoder classifier into a model folder",
    "convert-semollm": "turn SEmoLLM's released checkpoint into a model folder",
    "doctor": "look for what is wrong with this installation",
}
"""Name → help line, here so that ``speechcue --help`` imports no command."""

UNFORESEEN = 3
"""Exit code of a failure that no command foresaw: a fault of this program, not of what it was given."""

_LONGEST_MESSAGE = 500

COMPLETION = "--print-completion"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Command line without the program's name; ``sys.argv`` by default.

    Returns:
        0 on success, 1 when the command failed, 3 when it failed in a way that nobody foresaw, 130 when it was stopped.
        Wrong usage exits with 2.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    name = next((argument for argument in arguments if argument in COMMANDS), None)
    verbose = not {"-v", "--verbose"}.isdisjoint(arguments)
    logging.basicConfig(level=logging.DEBUG if verbose else logging.WARNING, format="%(levelname)s: %(message)s")
    logging.getLogger("speechcue_hf").setLevel(logging.DEBUG if verbose else logging.INFO)
    try:
        chosen = [*COMMANDS] if COMPLETION in arguments else [name] if name else []
        parsed = _parse(_parser(chosen), arguments)
        parsed.run(parsed)
    except (SpeechcueError, OSError, ValueError, ImportError) as error:
        if verbose:
            logging.exception("speechcue %s failed", name)
        fix = " (`speechcue doctor` finds what is not installed)" if isinstance(error, ImportError) else ""
        print(f"speechcue {name}: {error}{fix}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"speechcue {name}: stopped", file=sys.stderr)
        return 130
    except Exception as error:  # The edge: what no command foresaw is one line, too, and known by its exit code.
        known = _known_cause(error)
        if verbose:
            logging.exception("speechcue %s failed%s", name, "" if known else " unexpectedly")
        print(f"speechcue {name}: {known or _unforeseen(error, verbose)}", file=sys.stderr)
        return 1 if known else UNFORESEEN
    return 0


def _known_cause(error: BaseException) -> SpeechcueError | None:
    """The error of this package that another library, which called it, passed on as its own."""
    while (cause := error.__cause__) is not None:
        if isinstance(cause, SpeechcueError):
            return cause
        error = cause
    return None


def _unforeseen(error: Exception, verbose: bool) -> str:
    """One line for an error that is a fault of this program."""
    said = " ".join(str(error).split())
    shown = said if len(said) <= _LONGEST_MESSAGE else said[: _LONGEST_MESSAGE - 1] + "…"
    fix = "please report it with the lines above" if verbose else "run it again with -v to see where, and report that"
    return f"unexpected {type(error).__name__}{': ' if shown else ''}{shown} ({fix})"


def console() -> None:
    """Run one command of a command line, with progress bars on a terminal only."""
    # Before datasets and huggingface_hub are imported, which look at these once.
    hidden = os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS") or ("" if sys.stderr.isatty() else "1")
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS"):
        if hidden:
            os.environ.setdefault(name, hidden)
    sys.exit(main())


def _parse(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; what a command takes beside its options is its ``settings``."""
    parsed, rest = parser.parse_known_args(arguments)
    if rest and not hasattr(parsed, "settings"):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    parsed.settings, parsed.line = rest, list(arguments)
    return parsed


def _parser(chosen: Sequence[str]) -> argparse.ArgumentParser:
    """Parser of all commands, with the arguments of the chosen ones only: the others need not be imported."""
    verbose = argparse.ArgumentParser(add_help=False)
    verbose.add_argument("-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help="log in detail")
    # What is clear today as an abbreviation is not once there is another option, or a recipe's setting, like it.
    parser = argparse.ArgumentParser(
        prog="speechcue", description="Emotion recognition in conversation.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"speechcue_hf {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="log in detail, and show where an error arose")
    if len(chosen) == len(COMMANDS):
        import shtab

        shtab.add_argument_to(parser, [COMPLETION])
    else:
        parser.add_argument(COMPLETION, metavar="SHELL", help="print completion for bash, zsh or tcsh")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name, help_line in COMMANDS.items():
        module = import_module(f"speechcue_hf.commands.{name.replace('-', '_')}") if name in chosen else None
        command = commands.add_parser(
            name,
            parents=[verbose],
            help=help_line,
            description=help_line[0].upper() + help_line[1:] + ".",
            epilog=module.EXAMPLES if module else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if module:
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    console()
