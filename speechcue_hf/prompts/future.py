"""Did a model see turns that come after the one in question? Whoever uses a model or compares scores must know."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from speechcue_hf.errors import PromptError
from speechcue_hf.prompts.specification import PromptSpecification


def future_record(specification: PromptSpecification, scopes: Iterable[str | None]) -> dict[str, Any]:
    """Say what prompts have of later turns, for the records of training and evaluation.

    Args:
        specification: The prompt.
        scopes: ``biography_scope`` of its rows, from :func:`speechcue_hf.prompts.build.build_prompts`.

    Returns:
        ``sees_future``, whether later turns were seen, by the prompt or by whoever wrote the biographies that it tells;
        ``future_turns``, how many the prompt shows at most; and ``biography_scope``, ``history``, ``dialogue`` or None.

    Raises:
        PromptError: If some biographies are of one scope and some of the other.

    Example:
        >>> future_record(load_prompt("bioserc"), ["dialogue", None])
        {'sees_future': True, 'future_turns': 5, 'biography_scope': 'dialogue'}
    """
    scopes_found = sorted({scope for scope in scopes if scope is not None})
    if len(scopes_found) > 1:
        raise PromptError(
            "some rows have a biography of scope dialogue, some of scope history: write them all with one "
            "`speechcue biographies --scope`, else nobody can say whether the model sees the future"
        )
    scope = scopes_found[0] if scopes_found else None
    return {
        "sees_future": specification.sees_future or scope == "dialogue",
        "future_turns": specification.future,
        "biography_scope": scope,
    }
