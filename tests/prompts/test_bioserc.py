"""The paper's messages on both corpora, put together by hand from its description, one part after the other."""

import re
from itertools import product
from typing import Any

import pytest
from datasets import Dataset

from speechcue_hf.biographies.settings import load_biography_prompt
from speechcue_hf.errors import PromptError
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.specification import load_prompt

NAMES = {"Ses01_F": "MARY", "Ses01_M": "JAMES", "Ses05_F": "ELIZABETH", "Ses05_M": "WILLIAM"}
NAMES |= {"Monica": "SPEAKER_0", "Joey": "SPEAKER_1", "Ross": "SPEAKER_2"}


def with_biographies(dataset: Dataset, scope: str = "dialogue") -> Dataset:
    """A biography for every row but the fourth, whose writer failed."""
    written = [
        None if turn == 3 else f"{name} is kind,\nin turn {turn}." for turn, name in enumerate(dataset["speaker"])
    ]
    scopes = [None if biography is None else scope for biography in written]
    return dataset.add_column("biography", written).add_column("biography_scope", scopes)


@pytest.fixture
def corpora(meld: Dataset, iemocap: Dataset) -> dict[str, Dataset]:
    """IEMOCAP's two speakers as our loader calls them; half of the dialogue stands for one of the last session."""
    session = {"Ses01F": "Ses01_F", "Ses01M": "Ses01_M"}
    named = iemocap.map(lambda row: {"speaker": session.get(row["speaker"], row["speaker"])})
    last = named.map(lambda row: {"speaker": row["speaker"].replace("Ses01", "Ses05"), "dialogue_id": "Ses05F_impro01"})
    return {"meld": meld, "iemocap": named, "iemocap of session 5": last}


def literal_messages(rows: list[dict[str, Any]], place: int, *, biography: bool, after: int) -> list[dict[str, str]]:
    target = rows[place]
    name = NAMES[target["speaker"]]
    told = biography and target["biography"] is not None
    system = "### You are an expert at analyzing the emotion of utterances among speakers in a conversation."
    if told:
        system += f"\n### Given the characteristic of this speaker, {name}: \n{target['biography']}"
    window = [
        f" {NAMES[row['speaker']]}: {row['text']}"
        for turn, row in enumerate(rows)
        if place - 5 <= turn <= place + after
    ]
    system += "\n### Given the following conversation as a context \n" + "\n".join(window)
    user = "Based on above conversation"
    user += " and characteristic of the speakers" if told else ""
    user += f', which emotional label of {name} in the utterance "{target["text"]}".'
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


@pytest.mark.parametrize("corpus", ["meld", "iemocap", "iemocap of session 5"])
@pytest.mark.parametrize(("biography", "after"), list(product([True, False], [5, 0])))
def test_messages_of_every_turn(corpora: dict[str, Dataset], corpus: str, biography: bool, after: int) -> None:
    prompt: Any = "bioserc" if after else "bioserc_history"
    prompt = prompt if biography else {"extends": prompt, "biography": False}
    dataset = with_biographies(corpora[corpus])
    rows = dataset.to_list()
    built = build_prompts(dataset if biography else dataset.remove_columns(["biography", "biography_scope"]), prompt)
    assert list(built["prompt"]) == [
        literal_messages(rows, place, biography=biography, after=after) for place in range(len(rows))
    ]
    assert built["future_turns"] == [min(after, len(rows) - 1 - place) for place in range(len(rows))]
    assert built["biography_scope"] == (dataset["biography_scope"] if biography else [None] * len(rows))


def test_one_prompt_as_it_reads(corpora: dict[str, Dataset]) -> None:
    system, user = build_prompts(with_biographies(corpora["meld"]), "bioserc")[2]["prompt"]
    assert system["content"] == (
        "### You are an expert at analyzing the emotion of utterances among speakers in a conversation.\n"
        "### Given the characteristic of this speaker, SPEAKER_0: \n"
        "Monica is kind,\nin turn 2.\n"
        "### Given the following conversation as a context \n"
        " SPEAKER_0: You\x92re late\x85 \x93again\x94!\n"
        " SPEAKER_1: What?\n"
        " SPEAKER_0: It’s nine — “sharp”.\n"
        " SPEAKER_2: Sorry."
    )
    assert user["content"] == (
        "Based on above conversation and characteristic of the speakers, which emotional label of SPEAKER_0 in the "
        'utterance "It’s nine — “sharp”.".'
    )


def test_answers_are_the_labels_of_the_corpus(corpora: dict[str, Dataset]) -> None:
    answers = {
        corpus: [answer[0]["content"] for answer in build_prompts(dataset, "bioserc_text")["completion"]]
        for corpus, dataset in corpora.items()
    }
    assert answers["meld"] == ["anger", "surprise", "neutral", "sadness"]
    assert set(answers["iemocap"]) == {"frustrated"}


def test_speakers_by_their_own_names(meld: Dataset) -> None:
    unknown = meld.map(lambda row: {"speaker": None} if row["turn"] == 1 else {}, features=meld.features)
    system, user = build_prompts(unknown, {"extends": "bioserc_text", "speakers": "name"})[3]["prompt"]
    turns = system["content"].split("\n")[2:]
    assert [turn.split(":")[0] for turn in turns] == [" Monica", " Unknown speaker", " Monica", " Ross"]
    assert 'emotional label of Ross in the utterance "Sorry.".' in user["content"]


def test_iemocap_has_the_papers_name_for_every_actor() -> None:
    names = ["MARY", "JAMES", "PATRICIA", "JOHN", "JENNIFER", "ROBERT", "LINDA", "MICHAEL", "ELIZABETH", "WILLIAM"]
    actors = [f"Ses0{session}_{gender}" for session in range(1, 6) for gender in "FM"]
    assert load_prompt("bioserc").speaker_names == dict(zip(actors, names, strict=True))
    # Whoever writes the biographies is told of them by the same names.
    turns = [{"speaker": actor, "number": 0, "text": "Hi."} for actor in actors]
    [asked] = load_biography_prompt("bioserc").messages(turns, turns[-1], 250)
    assert re.findall(r"^(\w+): Hi\.$", asked["content"], re.M) == names
    assert "characteristics speaker WILLIAM?" in asked["content"]


@pytest.mark.parametrize("prompt", ["bioserc_history", "speechcue_biography"])
def test_what_looks_like_a_template_in_a_biography_is_told_as_it_is(meld: Dataset, prompt: str) -> None:
    odd = "{{ 7 * 7 }} {% raw %} ### ### Given {# the"
    told = meld.map(lambda row: {"biography": odd, "biography_scope": "history"})
    messages = build_prompts(told, prompt)[2]["prompt"]
    assert odd in messages[0]["content"]


def test_whole_in_the_users_message(meld: Dataset) -> None:
    split = build_prompts(meld, "bioserc_text")["prompt"]
    joined = build_prompts(meld, {"extends": "bioserc_text", "system_message": False})["prompt"]
    assert [[message["role"] for message in messages] for messages in joined] == [["user"]] * 4
    for whole, (system, user) in zip(joined, split, strict=True):
        assert whole[0]["content"] == system["content"] + "\n" + user["content"]


def test_only_the_presets_that_show_later_turns_say_that_they_do() -> None:
    names = ["bioserc", "bioserc_text", "bioserc_history", "speechcue_biography", "speechcue"]
    assert [load_prompt(name).sees_future for name in names] == [True, True, False, False, False]


def test_no_prompt_of_past_turns_depends_on_a_later_turn(corpora: dict[str, Dataset]) -> None:
    dataset = with_biographies(corpora["iemocap"], "history")
    changed = dataset.map(lambda row: {"text": "changed"} if row["turn"] >= 6 else {})
    before, after = (list(build_prompts(each, "bioserc_history")["prompt"]) for each in (dataset, changed))
    assert before[:6] == after[:6] and before[6] != after[6]
    seeing = [list(build_prompts(each, "bioserc")["prompt"]) for each in (dataset, changed)]
    assert seeing[0][0] == seeing[1][0] and seeing[0][1] != seeing[1][1], "the sixth turn is the last that turn 0 sees"


def test_a_biography_that_does_not_say_what_it_saw_is_refused(meld: Dataset) -> None:
    dataset = with_biographies(meld, "everything")
    with pytest.raises(PromptError, match=r"'dia7_0' has a biography of scope 'everything'.*history or dialogue"):
        build_prompts(dataset, "bioserc")
    with pytest.raises(PromptError, match=r"columns \['biography', 'biography_scope'\].*speechcue biographies"):
        build_prompts(meld, "bioserc")
