import random

import pytest

from speechcue_hf.biographies.cleaning import NOTHING_WRITTEN, clean_biography
from speechcue_hf.biographies.settings import load_biography_prompt
from speechcue_hf.generation.cleaning import STILL_REASONING

TURNS = [{"speaker": "Ann", "number": 0, "text": "Hi.  (Really?) [sighs]"}]
PROMPT = load_biography_prompt("bioserc").messages(TURNS, TURNS[0], 250)[0]["content"]


@pytest.mark.parametrize(
    ("text", "biography"),
    [
        ("Ann is warm.", "Ann is warm."),
        ("  Ann\n\nis \t warm. \n", "Ann is warm."),
        ("<s> Ann is warm.</s></s> Ben is", "Ann is warm."),
        ("Ann is warm.<|im_end|>\n<|im_start|>user\nMore", "Ann is warm."),
        ("<|start_header_id|>assistant<|end_header_id|>\n\nAnn is warm.<|eot_id|>", "Ann is warm."),
        ("Ann is warm.<end_of_turn>", "Ann is warm."),
        ("<|im_end|>\n<|im_start|>assistant\nAnn is warm.", "Ann is warm."),
        ("<think>\nWho is Ann? - a\n</think>\n\nAnn is warm.", "Ann is warm."),
        ("Who is Ann? - a\n</think>\n\nAnn is warm.", "Ann is warm."),
        ("<think>a</think>Hm.<think>b</think>Ann is warm.", "Ann is warm."),
        ("Ann is warm. <think>But", "Ann is warm."),
        (PROMPT + "Ann is warm.", "Ann is warm."),
        (PROMPT[70:] + " Ann is warm.", "Ann is warm."),
        ("ions?\n(Note: provide an answer within 250 words)Ann is warm.", "Ann is warm."),
        (f"<s>[INST] {PROMPT} [/INST] Ann is warm. </s>", "Ann is warm."),
        ("user " + " ".join(PROMPT.split()) + "\nAnn is warm.", "Ann is warm."),
        ("Ann:\n1. Warm\n2) quick to laugh;\n- **Loyal**\n\n* Tired.", "Ann: Warm. quick to laugh; Loyal. Tired."),
        ("# Ann\nAnn is **warm** and __kind__.", "Ann. Ann is warm and kind."),
        ("In 1990 Ann left - alone. 3. was her number.", "In 1990 Ann left - alone. 3. was her number."),
    ],
)
def test_what_models_leave_is_taken_out(text, biography):
    assert clean_biography(text, PROMPT, 250) == (biography, None)


@pytest.mark.parametrize("text", ["", " \n", "</s>", PROMPT, f"{PROMPT}</s>", "<think>Hm</think>", "-", "**"])
def test_nothing_is_null_with_its_reason(text):
    biography, note = clean_biography(text, PROMPT, 250)
    assert biography is None and note == NOTHING_WRITTEN


@pytest.mark.parametrize("text", ["<think>Hm", f"{PROMPT}\n<think>\nAnn is", "<think>a</think> <think>"])
def test_unfinished_reasoning_is_null_with_its_reason(text):
    assert clean_biography(text, PROMPT, 250) == (None, STILL_REASONING)


def test_the_limit_is_in_words_and_at_the_end_of_a_sentence():
    text = 'Ann is warm. She said "No!" Then Ms. Green left for good'
    assert clean_biography(text, "", 12) == (text, None)
    assert clean_biography(text, "", 7) == ('Ann is warm. She said "No!"', "cut from 12 to 6 words")
    assert clean_biography(text, "", 6) == ('Ann is warm. She said "No!"', "cut from 12 to 6 words")
    assert clean_biography(text, "", 5) == ("Ann is warm.", "cut from 12 to 3 words")
    assert clean_biography(text, "", 2) == ("Ann is", "cut from 12 to 2 words")


def test_a_text_whose_tokens_ran_out_ends_with_its_last_whole_sentence():
    text = "Ann is warm. She laughs. Then she"
    assert clean_biography(text, "", 20, ran_out=True) == (
        "Ann is warm. She laughs.",
        "its tokens ran out: cut from 7 to 5 words",
    )
    assert clean_biography(text, "", 4, ran_out=True) == ("Ann is warm.", "cut from 7 to 3 words")
    assert clean_biography("Ann is", "", 4, ran_out=True)[0] == "Ann is"


@pytest.mark.parametrize("seed", range(30))
def test_no_biography_is_longer_than_its_limit_nor_has_a_line_end(seed):
    state = random.Random(seed)
    pieces = ["Ann", "laughs.", "- ", "\n", "2. ", "  ", "</s>", "<s>", "**", "(so", "it", "seems)!", PROMPT]
    text = " ".join(state.choices(pieces, weights=[9, 3, *[1] * 7, 9, 9, 9, 1], k=state.randint(1, 200)))
    limit = state.randint(1, 60)
    biography, note = clean_biography(text, PROMPT, limit)
    if biography is None:
        assert note == NOTHING_WRITTEN
    else:
        assert len(biography.split()) <= limit and biography == " ".join(biography.split())
        assert PROMPT.split()[0] not in biography and "<s>" not in biography and "</s>" not in biography


def test_the_backslash_before_a_meant_mark_goes():
    assert clean_biography(r"SPEAKER\_0 is **warm** to SPEAKER\_1.", "", 100) == (
        "SPEAKER_0 is warm to SPEAKER_1.",
        None,
    )
