import pytest
import torch

from speechcue_hf.inference.answers import edit_distance, generate_answers, match_as_instructerc, match_exactly
from tests.tiny_chat import LABELS, make_model

MELD_LABELS = ["neutral", "surprise", "fear", "sad", "joyful", "disgust", "angry"]


def test_batched_generation_equals_greedy_decoding_by_hand(tokenizer, prompts):
    model = make_model().eval()
    answers = generate_answers(model, tokenizer, prompts, LABELS, batch_size=4)
    for messages, answer in zip(prompts, answers, strict=True):
        assert answer == greedy(model, tokenizer, messages)


def greedy(model, tokenizer, messages):
    """Whole forward passes, one token at a time, as many as the longest label and its end token."""
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    longest = max(len(tokenizer(f"{label}<|im_end|>")["input_ids"]) for label in LABELS)
    new = []
    while len(new) < longest and tokenizer.eos_token_id not in new:
        with torch.no_grad():
            new.append(model(input_ids=torch.tensor([ids + new])).logits[0, -1].argmax().item())
    return tokenizer.decode(new, skip_special_tokens=True)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("sad", "sad"),
        (" sad\n", "sad"),
        ("Sad", None),
        ("sad.", None),
        ("sadness", None),
        ("happy, sad", None),
        ("", None),
    ],
)
def test_strict_matching_takes_exactly_one_label(output, expected):
    assert match_exactly(output, LABELS) == (None if expected is None else LABELS.index(expected))


@pytest.mark.parametrize(
    ("output", "labels", "expected"),
    [
        ("", LABELS, "sad"),
        ("unhappy", LABELS, "happy"),
        ("The speaker is sad, not happy", LABELS, "sad"),
        ("sadness", LABELS, "sad"),
        ("angr", LABELS, "angry"),
        ("joy", MELD_LABELS, "sad"),
        ("xxxx", ["dull", "mild"], "dull"),
        ("saddened", ["sad", "saddened"], "saddened"),
    ],
)
def test_published_rule(output, labels, expected):
    assert labels[match_as_instructerc(output, labels)] == expected


@pytest.mark.parametrize(("first", "second", "distance"), [("kitten", "sitting", 3), ("", "sad", 3), ("a", "a", 0)])
def test_edit_distance(first, second, distance):
    assert edit_distance(first, second) == edit_distance(second, first) == distance
