"""Write what a store lacks: each text is asked for once and kept as soon as it is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from speechcue_hf.errors import GenerationError
from speechcue_hf.generation.request import GeneratedText, GenerationRequest, TextGenerator
from speechcue_hf.generation.store import TextStore
from speechcue_hf.progress import counting

EMPTY = "the model answered with an empty text"


def generate_missing(requests: Sequence[GenerationRequest], generator: TextGenerator, store: TextStore) -> None:
    """Ask a generator for the texts that a store lacks.

    A run that was killed goes on where it stood. A request that failed has its reason in the store and is asked again
    by the next run; so is one that was answered with an empty text.

    Args:
        requests: What is wanted; requests of one key are asked once.
        generator: Who writes.
        store: Where each answer goes as soon as it is there.

    Raises:
        GenerationError: If the generator answers what was not asked, or leaves a request without an answer.
    """
    distinct = {request.key: request for request in requests}
    missing = [request for key, request in distinct.items() if key not in store]
    open_keys = {request.key for request in missing}
    with counting("Writing", len(distinct), "texts", done=len(distinct) - len(missing)) as count:
        for answer in generator.generate(missing) if missing else ():
            if answer.key not in open_keys:
                raise GenerationError(f"the generator answered {answer.key}: not asked, or answered already")
            open_keys.remove(answer.key)
            store.append(_settled(answer))
            count(1)
    if open_keys:
        raise GenerationError(
            f"the generator left {len(open_keys)} of {len(missing)} requests without an answer: run again"
        )


def _settled(answer: GeneratedText) -> GeneratedText:
    """The answer as it is kept: white space is no text, and half a character, which no file can hold, becomes "?"."""
    text, reason = (part and part.encode(errors="replace").decode() for part in (answer.text, answer.reason))
    if text is not None and not text.strip():
        text, reason = None, EMPTY
    return replace(answer, text=text, reason=reason)
