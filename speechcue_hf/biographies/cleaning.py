"""What a model wrote, made into a biography: without marks of its format, in one paragraph, within the word limit."""

from __future__ import annotations

import re

from speechcue_hf.generation.cleaning import STILL_REASONING, answer_in
from speechcue_hf.words import first_words, words

NOTHING_WRITTEN = "there is no text beside the prompt and marks of its format"

ECHO_WORDS = 6
"""So many of the prompt's last words tell that it is repeated, also where its beginning was cut off."""

_ITEM = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.)]|#{1,6})(?:\s+|$)")
_EMPHASIS = re.compile(r"\*\*|__")
_ESCAPED = re.compile(r"\\([_*])")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*(?=\s|$)|[。！？｡।][」』”’）】]*")


def clean_biography(text: str, prompt: str, word_limit: int, *, ran_out: bool = False) -> tuple[str | None, str | None]:
    r"""Clean what a model wrote.

    A repeated prompt goes first, whole or from its middle on; then all that :func:`answer_in` takes for no part of the
    answer; then list marks, emphasis and the backslash before a mark that is meant (``SPEAKER\_0``). Lines become one
    paragraph, and each item of a list a sentence. A text that is too long, or whose tokens ran out, ends with its last
    whole sentence, or in the middle of its only one.

    Args:
        text: As the model gave it.
        prompt: What it was asked; it may stand in front of the text.
        word_limit: Most words; in languages without blanks between words, most characters.
        ran_out: Whether the text ends where its tokens did.

    Returns:
        The biography and a note: None and why there is none, the text and None, or the text and how it was cut.

    Example:
        >>> clean_biography("1. Warm\n2. **Quick** to laugh.</s> Ann:", "Who is Ann?", 100)
        ('Warm. Quick to laugh.', None)
    """
    answer, unfinished = answer_in(_after_echo(text, prompt))
    paragraph = " ".join(" ".join(filter(None, map(_line, answer.splitlines()))).split())
    count = len(words(paragraph))
    if not count:
        return None, STILL_REASONING if unfinished else NOTHING_WRITTEN
    if count > word_limit:
        kept = _whole_sentences(first_words(paragraph, word_limit))
        return kept, f"cut from {count} to {len(words(kept))} words"
    if ran_out:
        kept = _whole_sentences(paragraph)
        return kept, f"its tokens ran out: cut from {count} to {len(words(kept))} words"
    return paragraph, None


def _after_echo(text: str, prompt: str) -> str:
    """What stands behind the prompt, whatever became of its spaces and line ends."""
    echo = r"\s*".join(map(re.escape, words(prompt)[-ECHO_WORDS:]))
    *_, end = [0, *(match.end() for match in re.finditer(echo, text))] if echo else [0]
    return text[end:]


def _line(line: str) -> str:
    """A line without list mark and emphasis; an item of a list gets its full stop."""
    bare = _ESCAPED.sub(r"\1", _EMPHASIS.sub("", line)).strip()
    item = _ITEM.match(bare)
    if item is None:
        return bare
    bare = bare[item.end() :].strip()
    return bare if not bare or bare[-1] in ".!?…:;,。！？；：，、।" else f"{bare}."


def _whole_sentences(text: str) -> str:
    *_, end = [len(text), *(match.end() for match in _SENTENCE_END.finditer(text))]
    return text[:end]
