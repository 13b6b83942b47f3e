"""All settings of the paper on both corpora, against its prompt put together by hand, one part after the other."""

from itertools import product
from typing import Any

import pytest
from datasets import Dataset

from speechcue_hf.prompts.build import build_prompts

LABELS = {
    "iemocap": "happy, sad, neutral, angry, excited, frustrated",
    "meld": "neutral, surprise, fear, sad, joyful, disgust, angry",
}
REPAIRS = {
    "\x92": "'",
    "\x85": " ",
    "\x97": " ",
    "\x91": "",
    "\x93": "",
    "\x94": "",
    "’": "'",
    "—": " ",
    "“": "",
    "”": "",
}
SWITCHES = ("description", "impression", "context_cues", "zero_shot", "audio_only")
# Without text there must be a description or an impression to go by.
SETTINGS = [on for on in product([True, False], repeat=5) if on[0] or on[1] or not on[4]]


def literal_turn(row: dict[str, Any], corpus: str, speakers: list[str]) -> str:
    number = {"male": 0, "female": 1}[row["gender"]] if corpus == "iemocap" else speakers.index(row["speaker"])
    text = row["text"]
    for wrong, right in REPAIRS.items():
        text = text.replace(wrong, right)
    return f' Speaker_{number}:"{text}"'


def literal_prompt(rows: list[dict[str, Any]], corpus: str, used: dict[str, bool]) -> str:
    """The prompt of the last of some rows."""
    speakers = list(dict.fromkeys(row["speaker"] for row in rows))
    target = rows[-1]
    told = corpus == "iemocap" or target["duration_s"] > 0.5
    heard = used["description"] or used["impression"]
    if used["audio_only"]:
        prompt = "Now you are expert of sentiment and emotional analysis using only audio features."
    else:
        prompt = "Now you are expert of sentiment and emotional analysis."
        prompt += "The following conversation noted between '### ###' involves several speakers. "
        prompt += (
            "The last three utterances are followed by its speech features. ### " if used["context_cues"] else " ### "
        )
        for place, row in enumerate(rows[-13:]):
            prompt += "\t" + literal_turn(row, corpus, speakers)
            variation = row["f0_sd_hz_level"] or row["f0_range_hz_level"]
            if used["context_cues"] and place >= len(rows[-13:]) - 3:
                prompt += f" ({row['f0_mean_hz_level'] or 'none'} pitch with {variation or 'none'} variation)"
        prompt += " ###"
    prompt += f" {target['speech_description']}" if used["description"] and told else ""
    prompt += f" {target['speech_impression']}" if used["impression"] and told else ""
    return prompt + literal_question(literal_turn(target, corpus, speakers), LABELS[corpus], heard, used)


def literal_question(turn: str, labels: str, heard: bool, used: dict[str, bool]) -> str:
    if used["audio_only"] and used["zero_shot"]:
        asked = " Please select the emotional label based on the audio features. "
        return 2 * (asked + f"Please ONLY output only one label from <{labels}> without any other words: ")
    if used["audio_only"]:
        asked = f" Please select the emotional label from <{labels}> based on the audio features."
        return asked + " Respond with just one label:"
    basis = "based on both the context and audio features." if heard else "based on the context."
    if not used["zero_shot"]:
        asked = f" Please select the emotional label of <{turn}> from <{labels}> {basis}"
        return asked + " Respond with just one label:"
    asked = f" Please select the emotional label of <{turn}> {basis} Please output ONLY ONE label from <{labels}> "
    asked += "as the first word without any other words: "
    return asked + (asked if heard else asked[:-1])


@pytest.mark.parametrize("corpus", ["iemocap", "meld"])
@pytest.mark.parametrize("on", SETTINGS, ids=lambda on: "".join("01"[each] for each in on))
def test_whole_prompts(corpus: str, on: tuple[bool, ...], request: pytest.FixtureRequest) -> None:
    used = dict(zip(SWITCHES, on, strict=True))
    dataset: Dataset = request.getfixturevalue(corpus)
    prompt = {
        "extends": f"speechcuellm_{corpus}",
        **{name: used[name] for name in ("description", "impression", "audio_only")},
        "context_cues": 3 if used["context_cues"] else 0,
        **({"question": "zero_shot", "question_count": 2} if used["zero_shot"] else {}),
    }
    rows = dataset.to_list()
    built = [messages[0]["content"] for messages in build_prompts(dataset, prompt)["prompt"]]
    assert built == [literal_prompt(rows[: turn + 1], corpus, used) for turn in range(len(rows))]
