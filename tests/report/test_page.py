"""The page by itself: what is in it comes as text, and it asks nobody for anything."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from speechcue_hf.report.page import render_page, script_json

NASTY = "</script><script>alert(1)</script><img src=x onerror=alert(2)><!-- \u2028 \x00 & {{ 7*7 }}"


class Parsed(HTMLParser):
    """Elements with their attributes, and the text of each script and style."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.texts, self._inside = [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._inside = tag
        if tag in ("script", "style"):
            self.texts.append("")

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside in ("script", "style"):
            self.texts[-1] += data


def report(**changes):
    return {"title": "mine", "turns": {"count": 0, "columns": {}}, "runs": [], **changes}


@pytest.fixture(scope="module")
def nasty():
    return Parsed(render_page(report(title=NASTY, text=NASTY), {3: b"clip"}))


def test_nothing_that_a_corpus_says_becomes_markup(nasty):
    plain = Parsed(render_page(report(), {}))
    assert [tag for tag, _ in nasty.elements] == [tag for tag, _ in plain.elements]
    _, data, clips, script = nasty.texts
    assert json.loads(data)["text"] == NASTY and json.loads(clips) == {"3": b64encode(b"clip").decode()}
    assert "<" not in data and "alert" not in script


def test_only_its_own_script_and_style_may_run_and_no_address_is_opened(nasty):
    [policy] = [it["content"] for tag, it in nasty.elements if it.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    style, _, _, script = nasty.texts
    for kind, source in (("script-src", script), ("style-src", style)):
        assert rules.pop(kind) == f"'sha256-{b64encode(sha256(source.encode()).digest()).decode()}'"
    assert set(rules.values()) == {"'none'", "data:"} and rules["default-src"] == "'none'"


def test_it_names_no_other_host(nasty):
    page = render_page(report(), {})
    assert re.findall(r"https?://[^\s\"']+", page) == ["http://www.w3.org/2000/svg"], "the name space of drawings"
    links = {value for _, it in nasty.elements for name, value in it.items() if name in ("href", "src", "action")}
    assert links == {"#turns", "data:,"}


def test_numbers_that_are_none_and_broken_text_are_written(tmp_path):
    text = script_json({"value": float("nan"), "text": "half \ud83d a pair"})
    assert json.loads(text) == {"value": None, "text": "half ? a pair"}
    (tmp_path / "page.html").write_text(text, encoding="utf-8")


def test_the_script_makes_no_markup_of_texts():
    script = render_page(report(), {})
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "fetch("):
        assert way not in script
