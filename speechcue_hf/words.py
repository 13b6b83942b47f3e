"""Words of a text in any language: where it puts no blanks between them, each character counts as one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from unicodedata import category

_NO_BLANKS = (
    "\u0e01-\u0e5b"  # Thai
    "\u0e81-\u0edf"  # Lao
    "\u0f40-\u0fbc"  # Tibetan
    "\u1000-\u109f"  # Burmese
    "\u1780-\u17dd"  # Khmer
    "\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Japanese syllables
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Chinese characters
)
# Punctuation and combining signs, which \w does not match, belong to the character that they stand at.
_WORD = re.compile(rf"[^\w\s]*[{_NO_BLANKS}][^\w\s]*|[^\s{_NO_BLANKS}]+")


def words(text: str) -> list[str]:
    """The words of a text, with the punctuation that stands at them.

    Chinese, Japanese, Thai, Lao, Khmer, Burmese and Tibetan have no blanks between words: there each character is one.

    Example:
        >>> words("Who is it, Ann?"), words("你好，Ann。")
        (['Who', 'is', 'it,', 'Ann?'], ['你', '好，', 'Ann。'])
    """
    return [match.group() for match in _WORD.finditer(text)]


def first_words(text: str, count: int) -> str:
    """The beginning of a text, up to so many words.

    Example:
        >>> first_words("Who is it, Ann?", 3), first_words("今天天气很好。", 4)
        ('Who is it,', '今天天气')
    """
    ends = [0, *(match.end() for match in _WORD.finditer(text))]
    return text[: ends[min(count, len(ends) - 1)]]


def spoken_words(text: str) -> list[str]:
    """Words as they are compared: in lower case, without punctuation but for what stands inside a word.

    Example:
        >>> spoken_words("It’s well-known!"), spoken_words("你好。")
        (["it's", 'well-known'], ['你', '好'])
    """
    kept = "".join(letter if _is_spoken(letter) else " " for letter in text.lower())
    return [word for found in words(kept) if (word := found.strip("'’-").replace("’", "'"))]


def is_within(part: str, text: str) -> bool:
    """Whether a text has a part, word for word; case and punctuation do not count.

    Example:
        >>> is_within("it, Ann", "Who is it, Ann?"), is_within("an", "Ann?"), is_within("天气", "今天天气很好")
        (True, False, True)
    """
    sought, there = (words(re.sub(r"[^\w\s]|_", " ", side.lower())) for side in (part, text))
    return any(_starts(there[place:], sought) for place in range(len(there) - len(sought) + 1))


def _starts(there: Sequence[str], sought: Sequence[str]) -> bool:
    return list(there[: len(sought)]) == list(sought)


def _is_spoken(letter: str) -> bool:
    """Letters, digits, signs that combine with them, and what joins parts of a word."""
    return letter.isalnum() or letter in "'’-" or category(letter).startswith("M")
