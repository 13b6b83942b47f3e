"""Whether a caption tells the truth about its utterance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from speechcue_hf.captions.parts import CUE_WORDS
from speechcue_hf.captions.reading import Claim, read_claims, read_denials, read_genders, read_quotes, read_words
from speechcue_hf.words import is_within

Measured = Mapping[str, str | None]
"""``pitch``, ``speed`` and ``volume`` of a clip in the words of captions; None or absent where not measured."""


def contradicted(claim: Claim, measured: Measured) -> bool:
    """Whether the measurement says another level than a claim; nothing measured contradicts nothing.

    Example:
        >>> contradicted(Claim("pitch", "high", 0, 10), {"pitch": "low"})
        True
    """
    known = measured.get(claim.cue)
    return known is not None and (known == claim.word) == claim.denied


def check_caption(
    caption: str, known: Mapping[str, str | None], parts: Sequence[str], emotions: Sequence[str] = ()
) -> str | None:
    """Compare what a caption states with what was measured and is known.

    Args:
        caption: The caption.
        known: ``pitch``, ``speed`` and ``volume`` in the words of ``CUE_WORDS``, ``gender`` and ``emotion``; None or
            absent where nothing is known, and then nothing may be stated. ``transcript``: what the caption quotes of
            it is not read, and nothing else may be quoted.
        parts: Which parts the caption must state, where they are known.
        emotions: The label set; no other than the own one may be named.

    Returns:
        What is wrong, for the column ``caption_note``; None if nothing is.

    Example:
        >>> check_caption("A woman speaks loudly.", {"volume": "quiet", "gender": "female"}, ["volume"])
        'the caption says loud volume, measured is quiet'
    """
    caption = _without_transcript(caption, known.get("transcript"))
    wrong = [
        f"the caption says {claim.word} {claim.cue}, measured is {known.get(claim.cue) or 'nothing'}"
        for claim in read_claims(caption)
        if claim.word != known.get(claim.cue)
    ]
    wrong += [
        f"the caption denies {claim.word} {claim.cue}, measured is {known.get(claim.cue) or 'nothing'}"
        for claim in read_denials(caption)
        if known.get(claim.cue) in (claim.word, None)
    ]
    wrong += [f"the caption quotes {quote!r}, which is not said" for quote in _misquoted(caption, known)]
    others = sorted(read_genders(caption) - {known.get("gender")})
    wrong += [f"the caption says {name}, known is {known.get('gender') or 'nothing'}" for name in others]
    named = sorted(read_words(caption, emotions) - {known.get("emotion")})
    wrong += [f"the caption says {name}, labelled is {known.get('emotion') or 'nothing'}" for name in named]
    wrong += [f"the caption leaves out the {part}" for part in _unstated(caption, known, parts)]
    return "; ".join(dict.fromkeys(wrong)) or None


def _without_transcript(caption: str, transcript: str | None) -> str:
    """A transcript can hold quotation marks of its own, so the whole of it is taken out."""
    for opening, closing in ("''", '""', "“”", "‘’"):
        caption = caption.replace(f"{opening}{transcript}{closing}", "") if transcript else caption
    return caption


def _unstated(caption: str, known: Mapping[str, str | None], parts: Sequence[str]) -> list[str]:
    """Parts that are known and asked for, and that one cannot find in the caption."""
    stated = {claim.cue for claim in read_claims(caption)}
    emotion = known.get("emotion")
    if emotion is not None and read_words(caption, [emotion]):
        stated.add("emotion")
    return [part for part in parts if part in (*CUE_WORDS, "emotion") and known.get(part) and part not in stated]


def _misquoted(caption: str, known: Mapping[str, str | None]) -> list[str]:
    """Quotations that are no part of the transcript; case and punctuation do not count."""
    said = known.get("transcript") or ""
    return [quote for quote in read_quotes(caption) if not is_within(quote, said)]
