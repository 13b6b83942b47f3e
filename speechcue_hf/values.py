"""Values from JSON, YAML and command lines, held against the type hints of what takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from textwrap import shorten
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin


def fitted(name: str, value: Any, hint: Any) -> Any:
    """Take a value as a type hint has it.

    JSON and YAML know lists and no tuples, write 1 for 1.0, and YAML takes ``1e-4`` for a text: these are converted.

    Args:
        name: What an error calls the value.
        value: The value.
        hint: The type, as ``typing.get_type_hints`` gives it.

    Returns:
        The value.

    Raises:
        TypeError: If it is of another type; the message names it and both types.

    Example:
        >>> fitted("speeds", [1, 0.9], tuple[float, ...]), fitted("rate", "1e-4", float)
        ((1.0, 0.9), 0.0001)
    """
    from huggingface_hub.dataclasses import type_validator

    converted = _converted(value, hint)
    try:
        type_validator(name, converted, _without_mappings(hint))
    except TypeError as error:
        shown = shorten(repr(value), 100, placeholder=" …")
        raise TypeError(f"{name} must be {_said(hint)}, got {shown}") from error
    return converted


def meant(name: str, known: Iterable[str]) -> str:
    """What to say of a name that does not exist: which one is near.

    Args:
        name: The name.
        known: Those that exist.

    Returns:
        The end of a sentence.

    Example:
        >>> "learning_rte " + meant("learning_rte", ["learning_rate", "seed"])
        'learning_rte does not exist: did you mean learning_rate?'
    """
    known = list(known)
    near = nearest(name, known)
    return f"does not exist: did you mean {near}?" if near else f"does not exist: there are {', '.join(known)}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The names that somebody may have meant: at most three that begin like this one, or the one that looks like it.

    Args:
        name: The name that does not exist.
        known: Those that exist.

    Returns:
        The names, as in a sentence; None where none is near.

    Example:
        >>> known = ["learning_rate", "seed"]
        >>> nearest("learn", known), nearest("sead", known), nearest("x", known)
        ('learning_rate', 'seed', None)
    """
    known = list(known)
    near = [it for it in known if name and it.startswith(name)][:3] or get_close_matches(name, known, n=1)
    return _either(near) if near else None


def _converted(value: Any, hint: Any) -> Any:
    kinds = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        # As the first of the types takes it that changes it at all.
        changed = (_converted(value, kind) for kind in kinds if type(value) not in kinds)
        return next((other for other in changed if type(other) is not type(value)), value)
    if isinstance(value, list) and get_origin(hint) is tuple:
        inner = kinds[:1] * len(value) if kinds[1:] == (Ellipsis,) else kinds
        return tuple(_converted(item, kind) for item, kind in zip(value, inner, strict=len(inner) == len(value)))
    if isinstance(value, list) and get_origin(hint) is list:
        return [_converted(item, kinds[0]) for item in value]
    return _number(value) if hint is float else value


def _number(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, int | str) and not isinstance(value, bool) else value
    except ValueError:
        return value


def _without_mappings(hint: Any) -> Any:
    """The hint with ``dict`` for ``Mapping``, which the validator does not know."""
    origin = get_origin(hint)
    if origin is None or origin is Literal:
        return hint
    inner = tuple(map(_without_mappings, get_args(hint)))
    if origin in (Union, UnionType):
        return Union[inner]  # noqa: UP007
    return (dict if origin is Mapping else origin)[inner]


def _said(hint: Any) -> str:
    """A type in words that a command line's user knows."""
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}
    kinds = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return _either(map(_said, kinds))
    if get_origin(hint) in (list, tuple):
        inner = {str: "texts", int: "whole numbers", float: "numbers"}
        return f"a list of {inner.get(kinds[0], 'values')}"
    if get_origin(hint) is not None and not isinstance(get_origin(hint), type):
        return _either(map(str, kinds))
    return words.get(hint, "a table" if get_origin(hint) or hint is dict else str(getattr(hint, "__name__", hint)))


def _either(choices: Iterable[str]) -> str:
    """``a, b or c``."""
    *others, last = choices
    return f"{', '.join(others)} or {last}" if others else last
