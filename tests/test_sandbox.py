"""Templates of somebody else's: each asks for what it must not have, or for more than a prompt needs."""

import pytest
from jinja2 import TemplateError, TemplateRuntimeError, TemplateSyntaxError

from speechcue_hf.sandbox import LONGEST_TEMPLATE, foreign_template

TOO_MUCH = {
    "loops in loops": "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "a long range": "{{ range(99999) | list }}",
    "loops that leave everything out": (
        "{% set r = range(9999) %}{% for a in r %}{% for b in r if false %}{% endfor %}{% endfor %}"
    ),
    "a text many times": "{{ 'a' * 9999999999 }}",
    "a list many times": "{{ [1] * 9999999999 }}",
    "doubled by ~": "{% set x = 'ab' %}" + "{% set x = x ~ x %}" * 40 + "{{ x }}",
    "doubled by +": "{% set x = 'ab' %}" + "{% set x = x + x %}" * 40 + "{{ x }}",
    "a list doubled": "{% set x = [1] %}" + "{% set x = x + x %}" * 40 + "{{ x }}",
    "a block doubled": "{% set x %}ab{% endset %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 40 + "{{ x }}",
    "doubled in a namespace": (
        "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}"
    ),
    "a power": "{{ 9 ** 999999999 }}",
    "a number squared again and again": (
        "{% set n = namespace(x=3) %}{% for i in range(999) %}{% set n.x = n.x * n.x %}{% endfor %}"
    ),
    "a wide format": "{{ '%9999999999d' % 1 }}",
    "a format of a width given": "{{ '%*d' % (999999999, 1) }}",
    "a wide format method": "{{ '{:9999999999}'.format(1) }}",
    "a format method of a width given": "{{ '{:{}}'.format(1, 9999999999) }}",
    "center": "{{ 'x' | center(999999999) }}",
    "the method center": "{{ 'x'.center(999999999) }}",
    "zfill": "{{ 'x'.zfill(999999999) }}",
    "expandtabs": "{{ ('\\t' * 9999).expandtabs(9999) }}",
    "replace": "{{ ('a' * 9999) | replace('a', 'b' * 9999) }}",
    "the method replace": "{{ ('a' * 9999).replace('a', 'b' * 9999) }}",
    "translate": "{{ 'aaaa'.translate({97: 'b' * 9999}) }}",
    "join": "{{ range(9999) | list | join('b' * 9999) }}",
    "join after map": "{{ range(9999) | map('string') | join('b' * 9999) }}",
    "the method join": "{{ ('b' * 9999).join(['a'] * 9999) }}",
    "indent": "{{ ('\\n' * 9999) | indent(9999) }}",
    "slices": "{{ 'a' | slice(99999999) | list }}",
    "batches": "{% for a in range(9999) %}{% set x = range(9) | batch(9999, 'a') | list %}{% endfor %}",
    "sorting in a loop": "{% set r = range(9999) | list %}{% for a in r %}{% set b = r | sort %}{% endfor %}",
    "JSON with an indent": "{{ ([[1] * 99] * 999) | tojson(indent=9999) }}",
    "a sum of lists": "{{ ([[1] * 999] * 999) | sum(start=[]) }}",
    "methods of numbers": "{{ (1).to_bytes(9999999999, 'big') }}",
    "a macro that calls itself": "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "a macro that calls itself twice": (
        "{% macro a(n) %}{% if n %}{{ a(n - 1) }}{{ a(n - 1) }}{% endif %}{% endmacro %}{{ a(40) }}"
    ),
    "a loop that calls itself": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "text in a loop": "{% for i in range(9999) %}" + "A" * 50_000 + "{% endfor %}",
    "blocks that call blocks": (
        "{% macro m() %}{{ caller() }}{{ caller() }}{% endmacro %}" + "{% call m() %}" * 18 + "x" * 999
    )
    + "{% endcall %}" * 18,
    "much text to begin with": "{{ lipsum(99999) }}",
}
FORBIDDEN = {
    "classes": "{{ ''.__class__.__mro__ }}",
    "attributes by a filter": "{{ '' | attr('__class__') }}",
    "another file": "{% include '/etc/passwd' %}",
    "a module": "{% import 'os' as o %}",
    "a template above it": "{% extends '/etc/passwd' %}",
    "what is not there": "{{ x.y }}",
    "a division by zero": "{{ 1 // 0 }}",
    "a sum of number and text": "{{ 1 + 'a' }}",
}
NO_TEMPLATES = {
    "too long": "a" * (LONGEST_TEMPLATE + 1),
    "parentheses": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "conditions": "{% if 1 %}" * 3000 + "{% endif %}" * 3000,
    "loops": "{% for a in [1] %}" * 30 + "{% endfor %}" * 30,
    "negations": "{{ " + "not " * 20_000 + "1 }}",
    "half of one": "{% for a in",
}


@pytest.mark.parametrize("template", {**TOO_MUCH, **FORBIDDEN}.values(), ids={**TOO_MUCH, **FORBIDDEN}.keys())
def test_what_a_prompt_does_not_need_is_refused(template):
    with pytest.raises(TemplateError):
        foreign_template(template).render()


@pytest.mark.parametrize("template", NO_TEMPLATES.values(), ids=NO_TEMPLATES.keys())
def test_what_cannot_be_compiled_is_refused(template):
    with pytest.raises(TemplateSyntaxError):
        foreign_template(template)


def test_each_filling_in_counts_from_the_start():
    template = foreign_template("{% macro m() %}{% for a in range(9000) %}a{% endfor %}{% endmacro %}")
    filled = template.macros()
    assert [len(filled("m")) for _ in range(20)] == [9000] * 20


def test_a_macro_that_is_missing_is_an_error_of_the_template():
    with pytest.raises(TemplateRuntimeError, match="no macro 'turn'"):
        foreign_template("{% macro opening() %}{% endmacro %}").macros()("turn")


def test_ordinary_templates_are_filled_in_as_jinja_does():
    text = (
        "{% for turn in turns if turn.text %}{{ loop.index }}. {{ turn.speaker or 'Somebody' }}: "
        "{{ turn.text.split() | join(' ') | upper }}{{ '\\n' if not loop.last }}{% endfor %}"
        "{{ ' (%d of %.1f)' % (1, 2) }}{{ '{:>4}'.format('x') ~ labels | sort | join(', ') }}"
    )
    turns = [{"speaker": None, "text": "a  b"}, {"speaker": "Ann", "text": ""}, {"speaker": "Ben", "text": "c"}]
    filled = foreign_template(text).render(turns=turns, labels=["sad", "happy"])
    assert filled == "1. Somebody: A B\n2. Ben: C (1 of 2.0)   xhappy, sad"
