"""``speechcue explain``: which emotion a clip has, why, and what of the reasons is true."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechcue_hf.commands.arguments import add_list, add_model, add_part, part_of, positive_int
from speechcue_hf.errors import EvaluationError

if TYPE_CHECKING:
    from speechcue_hf.inference.explain import Explanation

EXAMPLES = """examples:
  speechcue explain clip.wav --model runs/stage3
  speechcue explain clip.wav --model runs/stage3 --gender female --beams 5
  speechcue explain call.wav --start 12.5 --end 15.2 --channel left --model runs/stage3
  speechcue explain recordings more.wav --model runs/stage3 --jsonl
  speechcue explain clip.wav --model runs/converted --labels neutral angry sad happy

Each level that the explanation states is compared with Praat's measurement of the clip; what it contradicts is marked.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("clips", type=Path, nargs="+", help="audio files, and folders of them")
    add_model(parser, "SEmoLLM")
    add_part(parser)
    parser.add_argument("--jsonl", action="store_true", help="print one JSON object a line")
    parser.add_argument(
        "--gender", choices=("female", "male"), help="of all speakers, if known (default: as the explanation says)"
    )
    add_list(parser, "--labels", metavar="EMOTION", help="to tell apart (default: those that the model was taught)")
    parser.add_argument("--batch-size", type=positive_int, default=8, help="clips in one pass (default: %(default)s)")
    parser.add_argument(
        "--max-new-tokens", type=positive_int, default=80, help="of an explanation (default: %(default)s)"
    )
    parser.add_argument(
        "--windows", action="store_true", help="hear all of a long clip, in windows that are averaged (default: cut it)"
    )
    parser.add_argument("--beams", type=int, default=1, help="width of the beam search (default: 1, greedy)")


def run(arguments: argparse.Namespace) -> None:
    """Explain each clip as it is done."""
    from speechcue_hf.inference.explain import Explainer, find_clips
    from speechcue_hf.inference.settings import InferenceSettings

    clips: list[Any] = [*find_clips(arguments.clips)]
    if part := part_of(arguments):
        if len(clips) > 1:
            raise ValueError("--start, --end and --channel go with one recording")
        clips = [{"path": str(clips[0]), **part}]
    settings = InferenceSettings(
        long_audio="window" if arguments.windows else "cut",
        batch_size=arguments.batch_size,
        new_tokens=arguments.max_new_tokens,
        beams=arguments.beams,
    )
    explainer = Explainer.from_pretrained(
        arguments.model, names=arguments.labels, revision=arguments.revision, settings=settings
    )
    explained = 0
    for found in explainer(clips, gender=arguments.gender):
        lines = [json.dumps(found.to_dict(), ensure_ascii=False)] if arguments.jsonl else as_text(found)
        print(*lines, sep="\n", flush=True)
        explained += found.error is None
    if not explained:
        raise EvaluationError(f"none of {len(clips)} clips could be explained")


def as_text(explanation: Explanation) -> list[str]:
    """An explanation in lines for people."""
    if explanation.error is not None:
        return [f"{explanation.clip}: {explanation.error}"]
    likely = sorted((explanation.probabilities or {}).items(), key=lambda pair: -pair[1])
    probabilities = ", ".join(f"{emotion} {probability:.2f}" for emotion, probability in likely)
    judged = [claim for claim in explanation.claims if claim.measured is not None]
    agreeing = sum(not claim.contradicted for claim in judged)
    lines = [
        f"{explanation.clip}: {explanation.emotion} ({probabilities})",
        f"  {explanation.marked}",
        f"  {agreeing} of {len(judged)} stated levels agree with the measurement"
        + (f", {len(explanation.claims) - len(judged)} not measured" if len(judged) < len(explanation.claims) else ""),
    ]
    return [*lines, f"  {explanation.note}"] if explanation.note else lines
