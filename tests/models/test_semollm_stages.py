from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from speechcue_hf.errors import ModelError
from speechcue_hf.models.semollm_stages import start_stage1
from speechcue_hf.models.tiny_parts import build_tiny_parts


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts") / "tiny"
    build_tiny_parts(folder, ["A high voice."], hidden_size=16)
    return folder


def test_stage_1_starts_as_the_speech_encoder_and_the_bert(parts: Path) -> None:
    model, processor = start_stage1(str(parts / "speech_encoder"), str(parts / "qformer"), num_query_tokens=3)
    encoder, bert = (AutoModel.from_pretrained(parts / name) for name in ("speech_encoder", "qformer"))
    for name, value in encoder.state_dict().items():
        assert torch.equal(model.speech_encoder.encoder.state_dict()[name], value)
    ids = torch.tensor([[3, 5, 4]])
    with torch.no_grad():
        expected = bert.eval()(ids).last_hidden_state
        assert torch.allclose(model.eval().qformer(input_ids=ids), expected, atol=1e-5)
    assert model.temperature.item() == pytest.approx(0.07)
    assert model.speech_projection.out_features == model.text_projection.out_features == 256
    assert processor.tokenizer.bos_token == "[DEC]"
    assert len(model.qformer.word_embeddings.weight) >= len(processor.tokenizer)


def test_a_qformer_that_is_to_start_as_no_bert_is_refused(parts: Path) -> None:
    with pytest.raises(ModelError, match=r"the Q-Former starts as a BERT, but .* is a llama"):
        start_stage1(str(parts / "speech_encoder"), str(parts / "language_model"))
