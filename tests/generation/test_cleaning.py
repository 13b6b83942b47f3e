import pytest

from speechcue_hf.generation.cleaning import answer_in

ANN = "Ann is warm and quick to laugh."


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("<think>", "</think>"),
        ("<thinking>", "</thinking>"),
        ("<THINK>", "</THINK>"),
        ("<thought>", "</thought>"),
        ("<reasoning>", "</reasoning>"),
        ("<reflection>", "</reflection>"),
        ("<analysis>", "</analysis>"),
        ("<seed:think>", "</seed:think>"),
        ("[THINK]", "[/THINK]"),
        ("◁think▷", "◁/think▷"),
        ("<|begin_of_thought|>", "<|end_of_thought|>"),
        ("<|START_THINKING|>", "<|END_THINKING|>"),
        ("<|channel>thought\n", "<channel|>"),
    ],
)
def test_reasoning_is_no_part_of_an_answer(opening, closing):
    hidden = "The user wants a biography: 1. warm."
    assert answer_in(f"{opening}\n{hidden}\n{closing}\n\n{ANN}") == (ANN, False)
    # The template opened it.
    assert answer_in(f"{hidden}{closing}{ANN}") == (ANN, False)
    assert answer_in(f"{opening}a{closing}Hm.{opening}b{closing}{ANN}") == (ANN, False)
    assert answer_in(f"{opening}\n{hidden}") == ("", True)
    assert answer_in(f"{ANN}{opening}But") == (ANN, True)


@pytest.mark.parametrize(
    ("text", "answer", "unfinished"),
    [
        (f"<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>final<|message|>{ANN}", ANN, False),
        (f"<|channel|>analysis<|message|>Hm<|end|><|channel|>final<|message|>{ANN}<|return|>", ANN, False),
        (f"<|channel|>commentary to=x<|message|>a<|call|><|channel|>final<|message|>{ANN}", ANN, False),
        (
            f'<|channel|>analysis<|message|>Hm<|end|><|channel|>final <|constrain|>json<|message|>{{"b": "{ANN}"}}',
            ANN,
            False,
        ),
        ("<|channel|>analysis<|message|>The user", "", True),
        ("<|channel|>analysis<|message|>Hm<|end|><|start|>assistant", "", True),
        (f"analysisThe user asks.assistantfinal{ANN}", ANN, False),
        ("analysisThe user asks", "", True),
        ("analysis of Ann: she is warm", "analysis of Ann: she is warm", False),
    ],
)
def test_of_channels_the_final_one_is_the_answer(text, answer, unfinished):
    assert answer_in(text) == (answer, unfinished)


@pytest.mark.parametrize(
    "text",
    [
        f"**Biography:**\n\nSure! Here's a short biography of Ann:\n\n{ANN}\n\nLet me know if you'd like changes!",
        f"Sure! Here is a brief description of Ann:\n\n{ANN}",
        f"Here’s the caption: {ANN}",
        f"Certainly!\n{ANN}",
        f"Of course. Below is a summary of the speaker:\n{ANN}",
        f"Biography: {ANN}",
        f"**Short biography of Ann**\n{ANN}",
        f"## Biography of Ann\n\n{ANN}",
        f"{ANN} Let me know if you need anything else.",
        f"{ANN}\n\n---\n\nWould you like me to change it?",
        f"{ANN}\nIf you'd like more, let me know!",
        f"{ANN}\n\n(Word count: 7 words)",
        f'```json\n{{"biography": "{ANN}"}}\n```',
        f"```\n{ANN}\n```",
        f'{{"text": "{ANN}"}}',
        f"Sure!\n```markdown\n{ANN}\n```\nI hope this helps!",
        f"<answer>\n{ANN}\n</answer>",
        f"Let me see. <answer>{ANN}</answer>",
        f"<think>a</think><|begin_of_solution|>{ANN}<|end_of_solution|>",
        f"<|START_RESPONSE|>{ANN}<|END_RESPONSE|>",
    ],
)
def test_wrappings_are_no_part_of_an_answer(text):
    assert answer_in(text) == (ANN, False)


@pytest.mark.parametrize(
    "text",
    [
        "Sure of herself, Ann likes two things: cats and dogs.",
        "Here is where Ann feels at home: on stage.",
        'Ann says "Let me know!" and leaves.',
        "Ann is a writer. Biography is her field.",
        "Great minds meet Ann gladly.",
        "Ann:\n1. Warm\n2. Kind",
        '{"name": "Ann", "mood": "warm"}',
        '{"ages": [1, 2]}',
        "{Ann}",
        "Okay",
        "Biography:",
        "```\n```",
    ],
)
def test_a_plain_answer_stays_as_it_is(text):
    assert answer_in(text) == (text, False)


@pytest.mark.parametrize(
    "text", ["<think>" * 20_000, "{" * 50_000, "```\n" * 5_000, "Sure!\n" * 5_000, "</s>" * 20_000]
)
def test_a_hostile_text_ends(text):
    answer_in(text)
