"""What a model wrote, made into a biography: without marks of its format, in one paragraph, within the word limit."""

from __future__ import annotations

import re

NOTHING_WRITTEN = "there is no text beside the prompt and marks of its format"
STILL_REASONING = (
    "the model was still reasoning when its tokens ran out: allow it more, or choose one that does not reason"
)

ECHO_WORDS = 6
"""So many of the prompt's last words tell that it is repeated, also where its beginning was cut off."""

_END_MARKS = re.compile(
    r"</s>|<\|(?:im_end|eot_id|end|endoftext|end_of_text|eom_id|return)\|>|<end_of_turn>|<｜end▁of▁sentence｜>"
)
_START_MARKS = re.compile(
    r"<s>|<bos>|<\|begin_of_text\|>|\[/?INST\]|<start_of_turn>(?:model|user)?|<\|im_start\|>(?:assistant|user|system)?"
    r"|<\|start_header_id\|>\w*<\|end_header_id\|>"
)
_ITEM = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.)]|#{1,6})(?:\s+|$)")
_EMPHASIS = re.compile(r"\*\*|__")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*(?=\s|$)")


def clean_biography(text: str, prompt: str, word_limit: int) -> tuple[str | None, str | None]:
    r"""Clean what a model wrote.

    A repeated prompt goes first, whole or from its middle on, then reasoning, what follows an end mark, marks of the
    format, list marks and emphasis; lines become one paragraph, and each item of a list a sentence. A text that is too
    long ends with the last sentence that fits, or in the middle of its only one.

    Args:
        text: As the model gave it.
        prompt: What it was asked; it may stand in front of the text.
        word_limit: Most words.

    Returns:
        The biography and a note: None and why there is none, the text and None, or the text and how it was cut.

    Example:
        >>> clean_biography("1. Warm\n2. **Quick** to laugh.</s> Ann:", "Who is Ann?", 100)
        ('Warm. Quick to laugh.', None)
    """
    answer = _after_echo(text, prompt)
    # Some chat templates open the reasoning themselves, so that the text only closes it.
    answer, unfinished, _ = answer.rpartition("</think>")[2].partition("<think>")
    answer = answer.lstrip()
    while (mark := _END_MARKS.match(answer)) or (mark := _START_MARKS.match(answer)):
        answer = answer[mark.end() :].lstrip()
    answer = _START_MARKS.sub("", _END_MARKS.split(answer, maxsplit=1)[0])
    lines = filter(None, map(_line, answer.splitlines()))
    words = " ".join(lines).split()
    if not words:
        return None, STILL_REASONING if unfinished else NOTHING_WRITTEN
    kept = words if len(words) <= word_limit else _whole_sentences(words[:word_limit])
    note = None if kept == words else f"cut from {len(words)} to {len(kept)} words"
    return " ".join(kept), note


def _after_echo(text: str, prompt: str) -> str:
    """What stands behind the prompt, whatever became of its spaces and line ends."""
    echo = r"\s*".join(map(re.escape, prompt.split()[-ECHO_WORDS:]))
    *_, end = [0, *(match.end() for match in re.finditer(echo, text))] if echo else [0]
    return text[end:]


def _line(line: str) -> str:
    """A line without list mark and emphasis; an item of a list gets its full stop."""
    bare = _EMPHASIS.sub("", line).strip()
    item = _ITEM.match(bare)
    if item is None:
        return bare
    bare = bare[item.end() :].strip()
    return bare if not bare or bare[-1] in ".!?…:;," else f"{bare}."


def _whole_sentences(words: list[str]) -> list[str]:
    text = " ".join(words)
    *_, end = [len(text), *(match.end() for match in _SENTENCE_END.finditer(text))]
    return text[:end].split()
