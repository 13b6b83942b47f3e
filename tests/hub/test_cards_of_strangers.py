"""What a corpus, a model or a server says is text on our cards: nothing of it is markup."""

import json
import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from speechcue_hf.corpora.parquet import read_dataset
from speechcue_hf.errors import PublishingError, RecordError
from speechcue_hf.hub.card import model_card
from speechcue_hf.hub.dataset_card import dataset_card, describe_config, read_configs
from speechcue_hf.records import CorpusIdentity, find_record
from speechcue_hf.templates import as_block, as_code, as_text

HOSTILE = {
    "raw HTML": "<img src=x onerror=alert(1)><script>alert(1)</script>",
    "a heading": "fine\n# Endorsed by the Hub\n",
    "a heading below a line": "fine\n\nEndorsed\n========\n",
    "a second front matter": "fine\n---\nlicense: mit\n---\n",
    "a link": "[free tokens](https://example.org/steal)",
    "a picture": "![](https://example.org/pixel.png)",
    "the end of a fence": "```\n# Out\n```",
    "the end of code": "`` ` <b>out</b>",
    "cells of a table": "a | b |\n|---|---|\n| c",
    "a template": "{{ 7 * 7 }}{% for x in y %}",
    "an entity": "&lt;b&gt;",
    "line ends of other kinds": "a\u2028# b\u2029# c\x85# d\r# e\v# f",
    "text that runs the other way": "a\u202eb\u2066c",
    "a long text": "x" * 100_000,
}


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def prose(card: str) -> str:
    """A card without its front matter and without what stands in code, where nothing is markup."""
    body = card.split("\n---\n", 1)[1]
    body = re.sub(r"^(`{3,})[^\n]*\n.*?^\1$", "", body, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"(?<!\\)(`+)(?!`).*?(?<!`)\1(?!`)", "", body)


def assert_tame(card: str, expected: str) -> None:
    """Nothing is there that our template did not put there: headings, HTML, links and front matter are as expected."""
    told, tame = prose(card), prose(expected)
    assert re.findall(r"^#+ .*", told, re.MULTILINE) == re.findall(r"^#+ .*", tame, re.MULTILINE)
    assert re.findall(r"(?<!\\)<", told) == re.findall(r"(?<!\\)<", tame)
    assert re.findall(r"(?<!\\)\]\(", told) == re.findall(r"(?<!\\)\]\(", tame)
    assert re.findall(r"^ {0,3}(?:-{3,}|={3,})\s*$", told, re.MULTILINE) == []
    assert card.count("\n---\n") == expected.count("\n---\n")
    assert re.findall(r"^```", card, re.MULTILINE) == re.findall(r"^```", expected, re.MULTILINE)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u2028\u2029\x85\v]", card)
    assert len(card) < len(expected) + 60_000


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_the_records_of_a_run_say_is_text(run, text):
    plain = model_card(run).content
    corpus = dict.fromkeys(("config", "licence", "homepage", "citation", "revision", "joined"), text)
    for name in ("training.json", "results.json"):
        record = json.loads((run / name).read_text())
        change(run / name, corpus={**record["corpus"], **corpus})
    training = json.loads((run / "training.json").read_text())
    change(run / "training.json", libraries={**training["libraries"], text: text}, settings={"optim": text, text: "1"})
    change(run / "results.json", matching=text, decode="generate")
    card = model_card(run).content
    assert_tame(card, plain)
    assert ModelCard(card).data.to_dict().keys() == ModelCard(plain).data.to_dict().keys()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_the_records_of_a_dataset_say_is_text(described_conversations, tmp_path, text):
    dataset = read_dataset(described_conversations)
    identity = find_record(CorpusIdentity, described_conversations)
    held = describe_config(dataset, identity, described_conversations)
    plain = str(dataset_card("me/x", {"described": held}))
    told = json.loads(json.dumps(held))
    told["corpus"] |= dict.fromkeys(("name", "config", "licence", "homepage", "citation", "joined"), text)
    told["columns"][text] = text
    describer = told["records"]["describer.json"]
    describer["groups"][text] = describer["groups"]["overall"]
    describer["wording"] = describer["baseline"] = text
    assert_tame(str(dataset_card("me/x", {"described": told})), plain)


@pytest.mark.parametrize("name", ['x"); import os; os.system("x', "a b", "a\nb", "../x", "", "x" * 101])
@pytest.mark.parametrize("place", ["config", "split"])
def test_names_in_a_repository_cannot_become_a_program(name, place, described_conversations):
    dataset = read_dataset(described_conversations)
    held = describe_config(dataset, None, described_conversations)
    splits = {**held["splits"], name: {"rows": 1, "dialogues": 1}}
    configs = {name: held} if place == "config" else {"described": {**held, "splits": splits}}
    with pytest.raises(PublishingError, match=r"views\.json of me/x does not say"):
        read_configs(json.dumps(configs).encode(), "me/x")
    assert read_configs(json.dumps({"described": held}).encode(), "me/x")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b'{"a": 1}',
        b'{"a": {}}',
        b'{"a": {"splits": 1}}',
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"a": null}',
    ],
)
def test_a_damaged_list_of_configs_is_an_error_with_its_fix(content):
    with pytest.raises(PublishingError, match=r"views\.json of me/x .*publish all configs again"):
        read_configs(content, "me/x")


@pytest.mark.parametrize("wrong", [{"rows": {}}, {"rows": {"train": {"all": 1}}}, {"best": {}}, {"libraries": {}}])
def test_a_record_that_lacks_what_the_card_shows_is_an_error_with_its_folder(run, wrong):
    change(run / "training.json", **wrong)
    with pytest.raises(
        RecordError, match=r"my-run( does not have what its card shows|/training\.json has no 'best\.step')"
    ):
        model_card(run)


def test_texts_in_cards():
    assert as_text("plain f0_mean_hz, 5 %, https://x.org/a_b.") == "plain f0_mean_hz, 5 %, https://x.org/a_b."
    assert as_text(" after a blank, ") == " after a blank, "
    assert as_text("**bold** [a](b) <b>") == r"\*\*bold\*\* \[a\](b) \<b\>"
    assert as_text("# no heading") == r"\# no heading"
    assert as_code("a`b") == "`` a`b ``" and as_code("a|b") == r"`a\|b`"
    assert as_block("a\n```\nb") == "````text\na\n```\nb\n````"
