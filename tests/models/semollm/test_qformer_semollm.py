import pytest
import torch
from transformers import BertConfig, BertModel

from speechcue_hf.models.semollm.assembly import qformer_settings, start_from_bert
from speechcue_hf.models.semollm.configuration_semollm import SEmoLLMConfig
from speechcue_hf.models.semollm.qformer_semollm import SEmoLLMQFormer
from tests.models.semollm.reference import qformer_queries, qformer_text_after_queries, released_names

BERT = BertConfig(
    vocab_size=40, hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=24,
    max_position_embeddings=16,
)  # fmt: skip
TOKENS = torch.tensor([[5, 6, 7, 8, 9]])


@pytest.fixture(scope="module")
def qformer() -> SEmoLLMQFormer:
    config = SEmoLLMConfig(qformer_config=qformer_settings(BERT), num_query_tokens=3, classifier_proj_size=12)
    qformer = SEmoLLMQFormer(config).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for parameter in qformer.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return qformer


@pytest.fixture(scope="module")
def speech() -> torch.Tensor:
    return torch.randn(1, 7, 12, generator=torch.Generator().manual_seed(0))


def _weights(qformer: SEmoLLMQFormer) -> dict[str, torch.Tensor]:
    return released_names({f"projector.qformer.{name}": value for name, value in qformer.state_dict().items()})


@torch.no_grad()
def test_queries_equal_an_independent_computation(qformer: SEmoLLMQFormer, speech: torch.Tensor) -> None:
    expected = qformer_queries(_weights(qformer), speech[0], heads=2)[-1]
    assert torch.allclose(qformer(speech)[0], expected, atol=1e-5)


@torch.no_grad()
def test_generation_equals_decoding_over_the_queries_cached_keys(qformer: SEmoLLMQFormer, speech: torch.Tensor) -> None:
    states = qformer(speech, input_ids=TOKENS, causal=True)[0]
    weights = _weights(qformer)
    assert torch.allclose(states[:3], qformer_queries(weights, speech[0], heads=2)[-1], atol=1e-5)
    expected = qformer_text_after_queries(weights, speech[0], TOKENS[0], heads=2)
    assert torch.allclose(states[3:], expected, atol=1e-5)


@torch.no_grad()
def test_text_alone_is_the_bert_it_started_as(qformer: SEmoLLMQFormer) -> None:
    bert = BertModel(BERT).eval()
    bert.embeddings.token_type_embeddings.weight.normal_()
    started = SEmoLLMQFormer(SEmoLLMConfig(qformer_config=qformer_settings(BERT), num_query_tokens=3)).eval()
    start_from_bert(started, bert.state_dict())
    mask = torch.tensor([[1, 1, 1, 0, 0]])
    expected = bert(TOKENS, attention_mask=mask).last_hidden_state
    assert torch.allclose(started(input_ids=TOKENS, attention_mask=mask)[:, :3], expected[:, :3], atol=1e-5)
    first = started.layers.encoder.layer[0]
    assert torch.equal(first.intermediate_query.dense.weight, bert.encoder.layer[0].intermediate.dense.weight)
    with pytest.raises(ValueError, match="the BERT"):
        start_from_bert(started, {"encoder.layer.0.output.dense.weight": torch.zeros(16, 25)})


@torch.no_grad()
def test_padding_is_not_seen(qformer: SEmoLLMQFormer, speech: torch.Tensor) -> None:
    padded = torch.cat([speech, torch.full((1, 4, 12), 9.0)], dim=1)
    mask = torch.arange(11)[None] < 7
    for causal in (False, True):
        alone = qformer(speech, input_ids=TOKENS[:, :3], causal=causal)
        text_mask = torch.tensor([[1, 1, 1, 0, 0]])
        beside = qformer(padded, mask, input_ids=TOKENS, attention_mask=text_mask, causal=causal)
        assert torch.allclose(alone, beside[:, :6], atol=1e-5)


@torch.no_grad()
def test_matching_lets_text_reach_the_queries_and_generation_does_not(
    qformer: SEmoLLMQFormer, speech: torch.Tensor
) -> None:
    other = TOKENS + 1
    assert not torch.allclose(
        qformer(speech, input_ids=TOKENS)[:, :3], qformer(speech, input_ids=other)[:, :3], atol=1e-4
    )
    last_changed = TOKENS.clone()
    last_changed[0, -1] = 30
    before = qformer(speech, input_ids=TOKENS, causal=True)
    after = qformer(speech, input_ids=last_changed, causal=True)
    assert torch.allclose(before[:, :-1], after[:, :-1], atol=1e-6)
    assert not torch.allclose(before[:, -1], after[:, -1], atol=1e-4)


def test_what_it_cannot_do_is_said(speech: torch.Tensor) -> None:
    silent = SEmoLLMQFormer(SEmoLLMConfig(qformer_config=qformer_settings(BERT) | {"use_qformer_text_input": False}))
    with pytest.raises(ValueError, match="reads no text"):
        silent(speech, input_ids=TOKENS)
    with pytest.raises(ValueError, match="speech, text or both"):
        silent()
