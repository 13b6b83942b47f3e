"""Reading captions: which levels, gender and transcript a text states, whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from speechcue_hf.captions.parts import CUE_WORDS, NORMAL


@dataclass(frozen=True)
class Claim:
    """A level that a text states or denies for a cue.

    Args:
        cue: ``"pitch"``, ``"speed"`` or ``"volume"``.
        word: The level, one of ``CUE_WORDS[cue]``.
        start: Where the statement begins, in characters.
        end: Where it ends.
        denied: Whether the text says that it is not this level.
    """

    cue: str
    word: str
    start: int
    end: int
    denied: bool = False


def read_claims(text: str) -> list[Claim]:
    """Find the levels that a text states. What stands in quotation marks is what was said, and is not read.

    Understood are a level beside the name of a cue ("high pitch", "the pace is slow", "normal pitch and speed",
    "high-pitched", "low in volume") and words that belong to one cue ("loudly", "whispers", "a deep voice"). A denied
    level ("not loud") is no statement of one: :func:`read_denials` finds those. Other ways to say it are not found.

    Args:
        text: A caption, in English.

    Returns:
        The claims, in the order of the text.

    Example:
        >>> [(claim.cue, claim.word) for claim in read_claims("She says 'louder!' with low pitch, rather quickly.")]
        [('pitch', 'low'), ('speed', 'fast')]
    """
    return [claim for claim in _read(text) if not claim.denied]


def read_denials(text: str) -> list[Claim]:
    """Find the levels that a text denies; as :func:`read_claims` otherwise.

    Example:
        >>> [(claim.cue, claim.word) for claim in read_denials("She does not speak loudly.")]
        [('volume', 'loud')]
    """
    return [claim for claim in _read(text) if claim.denied]


def _read(text: str) -> list[Claim]:
    read = without_quotes(text)
    claims: list[Claim] = []
    for pattern in (_BEFORE, _AFTER, _ALONE):
        for match in pattern.finditer(read):
            free = all(match.end() <= claim.start or claim.end <= match.start() for claim in claims)
            if free:
                claims.extend(_claims(match, denied=_is_denied(read, match)))
    return sorted(claims, key=lambda claim: (claim.start, claim.cue))


def read_genders(text: str) -> set[str]:
    """The genders that a text names: a subset of ``{"female", "male"}``.

    Example:
        >>> read_genders("A woman speaks.")
        {'female'}
    """
    words = set(re.findall(r"\w+", without_quotes(text).lower()))
    return {gender for gender, names in _GENDERS.items() if words & names}


def read_words(text: str, words: Sequence[str]) -> set[str]:
    """Which of some words a text states, outside quotation marks.

    Args:
        text: A caption.
        words: Such as the emotions of a label set; several words with blanks between them count as one.

    Returns:
        Those that are there and not denied.
    """
    if not words:
        return set()
    read, called = without_quotes(text), {word.lower(): word for word in words}
    # The longest first: "non-neutral" does not name "neutral".
    places = re.finditer(rf"\b(?:{_any_of([re.escape(word) for word in called])})\b", read, re.IGNORECASE)
    return {called[place[0].lower()] for place in places if not _is_denied(read, place)}


def read_quotes(text: str) -> list[str]:
    """What a text quotes, without the marks.

    Example:
        >>> read_quotes("She says 'no' and 'never'.")
        ['no', 'never']
    """
    return [text[match.start() + 1 : match.end() - 1] for match in _quotes(text)]


def read_transcript(text: str) -> str | None:
    """What a caption quotes; None if it quotes nothing.

    Example:
        >>> read_transcript("The speaker says 'I don't know' with low pitch.")
        "I don't know"
    """
    return next(iter(read_quotes(text)), None)


def without_quotes(text: str) -> str:
    """A text with blanks in place of what it quotes, so that places in it stay where they are.

    Example:
        >>> without_quotes("She says 'high' loudly.")
        'She says        loudly.'
    """
    for match in list(_quotes(text)):
        text = text[: match.start()] + " " * (match.end() - match.start()) + text[match.end() :]
    return text


def _quotes(text: str) -> Iterator[re.Match[str]]:
    """Quotations, marks included. Ours may hold any mark, so it is looked for first, by what follows it."""
    own = _OWN_QUOTE.search(text)
    if own is not None and _SEVERAL_QUOTES.search(own[0]):
        own = None
    if own is not None:
        yield own
    yield from _ANY_QUOTE.finditer(text, 0 if own is None else own.end())


def _is_denied(text: str, match: re.Match[str]) -> bool:
    denied = match.groupdict().get("denial") or _DENIAL.search(text, 0, match.start())
    return denied is not None


def _claims(match: re.Match[str], *, denied: bool) -> Iterator[Claim]:
    groups = match.groupdict()
    level = re.sub(r"[^a-z]", "", groups["level"].lower())
    named = {_NOUNS[noun.lower()] for noun in re.findall(_NOUN, groups.get("nouns") or "", re.IGNORECASE)}
    for cue in named or {_OWN_LEVELS[level][0]}:
        step = _LEVELS[level] if level in _LEVELS else _OWN_LEVELS[level][1]
        yield Claim(cue, CUE_WORDS[cue][NORMAL + step], match.start(), match.end(), denied)


_NOUNS = {
    **dict.fromkeys(("pitch", "pitched"), "pitch"),
    **dict.fromkeys(("speed", "rate", "pace", "tempo"), "speed"),
    **dict.fromkeys(("volume", "loudness", "intensity"), "volume"),
}
_LEVELS = {
    **dict.fromkeys(("low", "lower", "lowered", "reduced", "decreased"), -1),
    **dict.fromkeys(("normal", "medium", "moderate", "average", "ordinary", "typical", "usual", "regular"), 0),
    **dict.fromkeys(("high", "higher", "raised", "elevated", "increased"), 1),
}
"""Levels of any cue; they mean nothing without its name."""

_OWN_LEVELS = {
    **dict.fromkeys(("slow", "slower", "slowly", "sluggish", "leisurely"), ("speed", -1)),
    **dict.fromkeys(("fast", "faster", "quick", "quicker", "quickly", "rapid", "rapidly"), ("speed", 1)),
    **dict.fromkeys(("brisk", "briskly", "hurried", "hurriedly"), ("speed", 1)),
    **dict.fromkeys(("quiet", "quieter", "quietly", "soft", "softer", "softly", "hushed"), ("volume", -1)),
    **dict.fromkeys(("whisper", "whispers", "whispering", "whispered", "murmurs", "murmuring"), ("volume", -1)),
    **dict.fromkeys(("loud", "louder", "loudly"), ("volume", 1)),
    **dict.fromkeys(("shout", "shouts", "shouting", "yells", "yelling", "screams", "screaming"), ("volume", 1)),
    "deepvoice": ("pitch", -1),
}
"""Levels that belong to one cue."""

_GENDERS = {
    "female": frozenset({"female", "woman", "girl", "lady", "she", "her", "hers", "herself"}),
    "male": frozenset({"male", "man", "boy", "gentleman", "he", "him", "his", "himself"}),
}


def _any_of(words: Sequence[str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


# How far a cue varies is not where it lies.
_NOUN = rf"\b(?:{_any_of(tuple(_NOUNS))})\b(?! (?:variation|variability|range|contour|changes?)\b)"
_NOUN_LIST = rf"(?P<nouns>{_NOUN}(?:(?:, and |, | and ){_NOUN})*)"
_ADJECTIVE = rf"\b(?P<level>{_any_of((*_LEVELS, *(word for word in _OWN_LEVELS if word != 'deepvoice')))})\b"
_NO_LEVEL = rf"(?:the|an?|its?|his|her|their|with|at|in|{_any_of((*_LEVELS, *_OWN_LEVELS))})\b"
# "high and steady pitch", but not "loud and low pitch" or "high, the volume".
_ANOTHER = rf"(?:(?:,| and| but)(?: and| but| almost| rather)? (?!{_NOUN}|{_NO_LEVEL})[a-z]+)?"
_BEFORE = re.compile(
    rf"{_ADJECTIVE}{_ANOTHER}[ -](?:in )?(?:(?:vocal|speaking|speech|voice|overall|average|mean) )?{_NOUN_LIST}", re.I
)
_AFTER = re.compile(
    rf"{_NOUN_LIST}(?: level)?(?::|,? (?:which |that )?(?:(?:is|are|was|were)(?P<denial>n['’]t| not| neither)?|remains?"
    rf"|stays?|sounds?|seems?|appears?))?"
    rf"(?: (?:at|a|an|very|quite|rather|fairly|relatively|slightly|somewhat|noticeably|extremely|much|little))*"
    rf" {_ADJECTIVE}",
    re.I,
)
_ALONE = re.compile(rf"\b(?P<level>{_any_of(tuple(_OWN_LEVELS)).replace('deepvoice', 'deep voice')})\b", re.I)
_DENIAL = re.compile(
    r"(?:\b(?:not|never|no|neither|nor|without|hardly|less|far from)|n['’]t)"
    r"(?: (?!(?:but|and|yet|only|just|with|because|as|while)\b)[\w'’]+){0,2} \Z",
    re.I,
)
_OWN_QUOTE = re.compile(r"(?<=\bsays )'.+?'(?=(?: with [\w ,]+)?\.(?:\s|\Z))", re.DOTALL)
_SEVERAL_QUOTES = re.compile(r"[\w.!?]'(?:,| and| or|, and|, then) '\w")
"""What stands between two quotations of one sentence: ``'no' and 'never'``."""

_ANY_QUOTE = re.compile(r"\"[^\"]+\"|“[^”]+”|‘[^’]+’|(?<!\w)'.+?'(?!\w)", re.DOTALL)
