"""Where somebody else's templates are filled in: they run no code, and are bounded in time and size.

Bounds are counts and not seconds, so that a template is refused on every machine or on none: rounds of loops, calls and
filters are steps, weighted by how much they look at, and what is written is counted as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sized
from functools import cache, wraps
from inspect import unwrap
from threading import local
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateRuntimeError, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

MOST_CHARACTERS = 1_000_000
"""Of a value, and of what one filling-in writes; a prompt of a long dialogue has some ten thousand."""

MOST_STEPS = 100_000
"""Of one filling-in."""

LONGEST_TEMPLATE = 100_000
"""Characters."""

_MOST_CALLS_WITHIN_CALLS = 50
_LARGEST_NUMBER = 10_000
"""That a call or filter takes, such as the width of a text or the length of a range."""

_MOST_BITS = 4096
_CHARACTERS_A_STEP = 100
_WIDE = re.compile(r"\d{4}|\*|\{[^{}]*\{")
"""In a format: a width of four digits, or one that is given from outside."""

_WITHOUT = frozenset({"attr", "format", "pprint", "random", "urlize", "wordwrap", "xmlattr"})
"""Filters that a prompt has no use for, and whose size nothing bounds."""

_FAILURES = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError, SyntaxError)


class _Used(local):
    """What the filling-in that is going on has used."""

    steps = 0
    written = 0
    depth = 0


_used = _Used()


class ForeignTemplate:
    """A template of somebody else's, compiled."""

    def __init__(self, template: Template) -> None:
        self._template = template

    def render(self, **variables: Any) -> str:
        """Fill it in.

        Raises:
            TemplateRuntimeError: If it asks for what is not there, or for more time or space than a prompt needs.
        """
        return str(_bounded(self._template.render, **variables))

    def macros(self, **variables: Any) -> Callable[..., str]:
        """Its macros, as a function of a macro's name and its arguments; each call is one filling-in."""
        module = _bounded(self._template.make_module, variables)

        def fill_in(name: str, *arguments: Any) -> str:
            if not callable(getattr(module, name, None)):
                raise TemplateRuntimeError(f"it has no macro {name!r}")
            return str(_bounded(getattr(module, name), *arguments))

        return fill_in


@cache
def foreign_template(text: str) -> ForeignTemplate:
    """Compile a template that may come with somebody's model or dataset, as transformers does with chat templates.

    It can look at nothing but what it is given.

    Raises:
        jinja2.TemplateSyntaxError: If it is not valid Jinja2, or too long.
    """
    if len(text) > LONGEST_TEMPLATE:
        raise TemplateSyntaxError(f"it is longer than {LONGEST_TEMPLATE:,} characters", 1)
    try:
        return ForeignTemplate(_environment().from_string(text))
    except TemplateSyntaxError:
        raise
    except (*_FAILURES, TemplateError, MemoryError) as error:
        raise TemplateSyntaxError(f"it cannot be compiled ({type(error).__name__}: {error})", 1) from error


def _bounded(fill_in: Callable[..., Any], *arguments: Any, **variables: Any) -> Any:
    """Fill in from the start of the count; whatever goes wrong in a template is an error of it."""
    _used.steps = _used.written = _used.depth = 0
    try:
        return fill_in(*arguments, **variables)
    except TemplateError:
        raise
    except _FAILURES as error:
        raise TemplateRuntimeError(f"{type(error).__name__}: {error}") from error


@cache
def _environment() -> _Bounded:
    return _Bounded(undefined=StrictUndefined, keep_trailing_newline=True, finalize=_written)


class _Bounded(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "-", "*", "**", "%", "//"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.globals = {name: self.globals[name] for name in ("dict", "namespace", "cycler", "joiner")} | {
            "range": _range
        }
        self.filters = {name: _counted(it, name) for name, it in self.filters.items() if name not in _WITHOUT}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = _Counting().visit(super()._parse(source, name, filename))
        return tree

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        for text, other in ((left, right), (right, left)):
            if isinstance(text, Sized):
                if operator == "*" and isinstance(other, int):
                    _check_size(len(text) * other)
                elif operator == "+" and isinstance(other, Sized):
                    _check_size(len(text) + len(other))
        if operator == "%" and isinstance(left, str | bytes) and _WIDE.search(str(left)):
            raise SecurityError("it asks for a width beyond that of a prompt")
        if operator == "**" and (not isinstance(right, int | float) or abs(right) > 64 or _is_long(left)):
            raise SecurityError("it asks for a power beyond that of a prompt")
        return _checked(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __callable: Any, *arguments: Any, **options: Any) -> Any:
        _step(1)
        _check_call(__callable, arguments, options)
        _used.depth += 1
        if _used.depth > _MOST_CALLS_WITHIN_CALLS:
            raise SecurityError("its macros call each other without an end")
        try:
            return _checked(super().call(__context, __callable, *arguments, **options))
        finally:
            _used.depth -= 1

    def look_through(self, values: Any) -> Any:
        """Count what a loop goes through, whatever it leaves out."""
        values = list(values) if isinstance(values, Iterator) else values
        _step(len(values) if isinstance(values, Sized) else 1)
        return values

    def take_round(self, characters: int) -> str:
        """Count a round of a loop, with the characters that stand in it."""
        _written_characters(characters)
        return ""

    def put_together(self, *parts: Any) -> str:
        """What ``~`` does."""
        texts = list(map(str, parts))
        _check_size(sum(map(len, texts)))
        return str(_checked("".join(texts)))


class _Counting(NodeTransformer):
    """Puts a count into each round of a loop, and the check of its size before a text is put together."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        characters = sum(len(data.data) for part in node.body for data in part.find_all(nodes.TemplateData))
        called = nodes.Call(nodes.EnvironmentAttribute("take_round"), [nodes.Const(characters)], [], None, None)
        node.iter = nodes.Call(nodes.EnvironmentAttribute("look_through"), [node.iter], [], None, None)
        node.body.insert(0, nodes.ExprStmt(called, lineno=node.lineno))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Call:
        self.generic_visit(node)
        return nodes.Call(nodes.EnvironmentAttribute("put_together"), node.nodes, [], None, None, lineno=node.lineno)


def _range(*bounds: int) -> range:
    values = range(*bounds)
    if len(values) > _LARGEST_NUMBER:
        raise SecurityError(f"a range has more than {_LARGEST_NUMBER:,} numbers")
    _step(len(values))
    return values


def _counted(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A filter that counts as many steps as it looks at values."""

    @wraps(function)
    def filtered(*arguments: Any, **options: Any) -> Any:
        place = 1 if hasattr(function, "jinja_pass_arg") else 0
        value, rest = arguments[place], arguments[place + 1 :]
        if isinstance(value, Iterator):
            value = list(value)
        _step(1 + (len(value) if isinstance(value, Sized) and not isinstance(value, str) else 0))
        _check_numbers([*rest, *options.values()])
        _check_filter(name, value, rest, options)
        return _checked(function(*arguments[:place], value, *rest, **options))

    return filtered


def _check_filter(name: str, value: Any, rest: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """Refuse a filter that would make much of little."""
    given = [*rest, *options.values()]
    longest = max((len(it) for it in given if isinstance(it, str)), default=0)
    if name == "join":
        _check_size(sum(len(str(it)) + longest for it in value) if isinstance(value, Collection) else 0)
    elif name == "replace":
        _check_size((len(str(value)) + 1) * (longest + 1))
    elif name == "indent":
        width = max((it for it in given if isinstance(it, int)), default=4)
        _check_size((str(value).count("\n") + 1) * (width + longest) + len(str(value)))
    elif name in ("sum", "tojson") and any(isinstance(it, Sized) for it in given):
        raise SecurityError(f"the filter {name} takes numbers only")
    elif name == "tojson" and given:
        raise SecurityError("the filter tojson takes no indent")


def _check_call(called: Any, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """Refuse a method that would make much of little."""
    called = unwrap(called)  # The sandbox wraps format.
    given, owner, name = (
        [*arguments, *options.values()],
        getattr(called, "__self__", None),
        getattr(called, "__name__", ""),
    )
    if isinstance(owner, int | float):
        raise SecurityError("numbers have no methods in a prompt")
    if not isinstance(owner, str | bytes):
        return
    _check_numbers(given)
    if name in ("format", "format_map") and _WIDE.search(str(owner)):
        raise SecurityError("it asks for a width beyond that of a prompt")
    if name == "translate":
        raise SecurityError("the method translate is not for prompts")
    if name == "join" and arguments:
        _check_size(
            sum(len(str(it)) + len(owner) for it in arguments[0]) if isinstance(arguments[0], Collection) else 0
        )
    if name in ("replace", "expandtabs"):
        longest = max(
            (len(it) if isinstance(it, Sized) else it for it in given if isinstance(it, Sized | int)), default=8
        )
        _check_size((len(owner) + 1) * (longest + 1))


def _check_numbers(values: list[Any]) -> None:
    for value in values:
        if isinstance(value, int | float) and not abs(value) <= _LARGEST_NUMBER:
            raise SecurityError(f"{value:.0f} is larger than {_LARGEST_NUMBER:,}")


def _checked(value: Any) -> Any:
    """A value that was made, if it is not too large."""
    if isinstance(value, str | bytes):
        _check_size(len(value))
        _step(len(value) // _CHARACTERS_A_STEP)
    elif isinstance(value, list | tuple | dict | set):
        _check_size(len(value) * 10)
        _step(len(value) // 10)
    elif _is_long(value):
        raise SecurityError("a number is too long")
    return value


def _is_long(value: Any) -> bool:
    return isinstance(value, int) and value.bit_length() > _MOST_BITS


def _check_size(characters: int) -> None:
    if characters > MOST_CHARACTERS:
        raise SecurityError(f"a text is longer than {MOST_CHARACTERS:,} characters")


def _written(value: Any) -> Any:
    """Count what is written."""
    _written_characters(len(value) if isinstance(value, str) else 20)
    return value


def _written_characters(characters: int) -> None:
    _used.written += characters
    if _used.written > MOST_CHARACTERS:
        raise SecurityError(f"more than {MOST_CHARACTERS:,} characters are written")


def _step(count: int) -> None:
    _used.steps += count
    if _used.steps > MOST_STEPS:
        raise SecurityError(f"it takes more than {MOST_STEPS:,} steps")
