import hashlib

import pytest

from speechcue_hf.biographies.settings import BiographyPrompt, BiographySettings, load_biography_prompt
from speechcue_hf.errors import PromptError

TURNS = [
    {"speaker": "Ann", "number": 0, "text": "Oh  no.\u2019"},
    {"speaker": "Ben", "number": 1, "text": ""},
    {"speaker": "Ann", "number": 0, "text": '<b>"Yes"</b> & no'},
]
BIOSERC = (
    '\nGiven this conversation between speakers: \n"\nSPEAKER_0: Oh  no.\u2019\nSPEAKER_1: \n'
    'SPEAKER_0: <b>"Yes"</b> & no\n"\nIn overall of above conversation, what do you think about the characteristics '
    "speaker SPEAKER_1? (Note: provide an answer within 250 words)"
)
IEMOCAP = (
    '\nGiven this conversation between speakers: \n"\nMARY: Hello.\nJAMES: Hi.\n"\nIn overall of above conversation, '
    "what do you think about the characteristics speaker MARY? (Note: provide an answer within 250 words)"
)


def content(prompt, turns, target, words):
    (message,) = prompt.messages(turns, target, words)
    assert message["role"] == "user"
    return message["content"]


def test_the_prompt_of_the_paper_to_the_letter():
    assert content(load_biography_prompt("bioserc"), TURNS, TURNS[1], 250) == BIOSERC


def test_the_paper_calls_the_actors_of_iemocap_by_name():
    turns = [{"speaker": "Ses01_F", "number": 0, "text": "Hello."}, {"speaker": "Ses01_M", "number": 1, "text": "Hi."}]
    assert content(load_biography_prompt("bioserc"), turns, turns[0], 250) == IEMOCAP
    others = [f"Ses0{session}_{gender}" for session in range(1, 6) for gender in "FM"]
    turns = [{"speaker": name, "number": 9, "text": ""} for name in others]
    names = ["MARY", "JAMES", "PATRICIA", "JOHN", "JENNIFER", "ROBERT", "LINDA", "MICHAEL", "ELIZABETH", "WILLIAM"]
    lines = content(load_biography_prompt("bioserc"), turns, turns[0], 250).splitlines()[3:13]
    assert lines == [f"{name}: " for name in names]


def test_our_prompt_tells_the_conversation_first_and_the_speaker_last():
    asked = [content(load_biography_prompt("speechcue"), TURNS, target, 80) for target in TURNS[:2]]
    shared = 'Ann: Oh  no.\u2019\nBen: \nAnn: <b>"Yes"</b> & no\n\nDescribe '
    assert [text.partition(shared)[0] for text in asked] == [asked[0][: asked[0].index("Ann: ")]] * 2
    assert asked[0].partition(shared)[2].startswith("Ann as a person")
    assert asked[1].partition(shared)[2].startswith("Ben as a person") and "at most 80 words" in asked[1]


def test_the_paper_s_settings():
    paper = BiographySettings.bioserc()
    assert (paper.scope, paper.sees_future, paper.word_limit, paper.prompt.name) == ("dialogue", True, 250, "bioserc")


def test_by_default_nothing_sees_the_future():
    assert BiographySettings().scope == "history" and not BiographySettings().sees_future


@pytest.mark.parametrize("wrong", [{"scope": "all"}, {"refresh": 0}, {"word_limit": 0}])
def test_wrong_settings_are_named(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        BiographySettings(**wrong)


def test_a_template_of_one_s_own(tmp_path):
    path = tmp_path / "short.jinja"
    path.write_text("{{ turns[0].text }} Who is {{ target.speaker }}?")
    prompt = load_biography_prompt(path)
    assert content(prompt, TURNS, TURNS[1], 5) == "Oh  no.\u2019 Who is Ben?"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert prompt.identity == {"name": "short", "sha256": digest}


def test_faulty_templates_are_named(tmp_path):
    path = tmp_path / "faulty.jinja"
    path.write_text("\n{{ turns ")
    with pytest.raises(PromptError, match=r"faulty\.jinja, line 2"):
        load_biography_prompt(path)
    with pytest.raises(PromptError, match="'emotion' is undefined"):
        BiographyPrompt("mine", "{{ emotion }}").messages(TURNS, TURNS[0], 5)
    with pytest.raises(PromptError, match="unsafe"):
        BiographyPrompt("mine", "{{ turns.__class__.__base__.__subclasses__() }}").messages(TURNS, TURNS[0], 5)
    with pytest.raises(PromptError, match="neither a prompt for biographies"):
        load_biography_prompt(tmp_path / "none")
