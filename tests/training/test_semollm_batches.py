from typing import Any

import pytest
import torch

from speechcue_hf.errors import TrainingError
from speechcue_hf.training.semollm_batches import AnswerCollator, CaptionCollator
from tests.models.semollm.tiny_model import build_tiny_semollm

ANSWERS = ("A high voice.", "Low.")
SECONDS = 6.0


def row(answer: str, frames: int) -> dict[str, Any]:
    asked = [{"type": "audio", "text": None}, {"type": "text", "text": "Describe the voice."}]
    said = [{"type": "text", "text": answer}]
    return {
        "utterance_id": answer,
        "caption": answer,
        "prompt": [{"role": "user", "content": asked}],
        "completion": [{"role": "assistant", "content": said}],
        "states": torch.full((3, frames, 2), float(frames), dtype=torch.float16),
    }


ROWS = [row(answer, frames) for answer, frames in zip(ANSWERS, (4, 7), strict=True)]


@pytest.fixture
def processor() -> Any:
    return build_tiny_semollm([*ANSWERS, "Describe the voice."])[1]


def test_answers_alone_have_a_loss_up_to_their_end(processor: Any) -> None:
    batch = AnswerCollator(processor, SECONDS)(ROWS)
    tokenizer = processor.tokenizer
    for place, answer in enumerate(ANSWERS):
        ids, labels = batch["input_ids"][place], batch["labels"][place]
        assert tokenizer.decode(labels[labels != -100]) == answer + tokenizer.eos_token
        assert torch.equal(ids[labels != -100], labels[labels != -100])
        before = ids[: int((labels != -100).nonzero()[0])]
        assert int((before == tokenizer.convert_tokens_to_ids(processor.audio_token)).sum()) == 4, (
            "a token for each query"
        )
        assert not (ids[batch["attention_mask"][place] == 0] != tokenizer.pad_token_id).any()


def test_speech_is_padded_to_the_longest_with_a_mask(processor: Any) -> None:
    batch = AnswerCollator(processor, SECONDS)(ROWS)
    assert batch["speech_states"].shape == (2, 3, 7, 2)
    assert batch["speech_states_mask"].sum(dim=1).tolist() == [4, 7]
    assert not batch["speech_states"][0, :, 4:].any() and (batch["speech_states"][0, :, :4] == 4).all()


def test_captions_begin_with_cls_to_be_read_and_with_dec_to_be_generated(processor: Any) -> None:
    processor.tokenizer.add_special_tokens({"cls_token": "[CLS]", "sep_token": "[SEP]", "bos_token": "[DEC]"})
    batch = CaptionCollator(processor, SECONDS, positions=32)(ROWS)
    for place, answer in enumerate(ANSWERS):
        mask = batch["caption_mask"][place] == 1
        assert processor.tokenizer.decode(batch["caption_ids"][place][mask]) == f"[CLS]{answer}[SEP]"
        assert processor.tokenizer.decode(batch["decoder_ids"][place][mask]) == f"[DEC]{answer}[SEP]"


UNCLOSED = (
    "{% for message in messages %}{% for part in message.content %}"
    "{{ '<|audio|>' if part.type == 'audio' else part.text }}"
    "{% endfor %}{% endfor %}"
)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ messages | length }}", "renders the prompt of A high voice. differently"),
        (UNCLOSED, "closes no answer with the tokenizer's end token"),
    ],
)
def test_chat_templates_that_do_not_tell_where_answers_end_are_refused(
    processor: Any, template: str, message: str
) -> None:
    processor.chat_template = template
    with pytest.raises(TrainingError, match=message):
        AnswerCollator(processor, SECONDS)(ROWS)
