import pytest
import torch
from transformers import CohereConfig, WavLMConfig, WavLMModel

from speechcue_hf.models.semollm.configuration_semollm import SEmoLLMConfig, count_frames, shortest_input


def test_defaults_are_the_papers() -> None:
    config = SEmoLLMConfig()
    assert config.speech_config.model_type == "wavlm"
    assert (config.num_query_tokens, config.classifier_proj_size, config.qformer_config.cross_attention_frequency) == (
        32,
        256,
        2,
    )
    assert (config.train_seconds, config.inference_seconds, config.sampling_rate) == (6.0, 12.0, 16_000)
    assert config.num_speech_layers == config.speech_config.num_hidden_layers + 1


def test_survives_being_written() -> None:
    config = SEmoLLMConfig(
        text_config={"model_type": "gpt2", "n_embd": 8}, speech_layers=[-1], classifier_proj_size=None
    )
    again = SEmoLLMConfig.from_dict(config.to_dict())
    assert again.to_dict() == config.to_dict()
    assert (again.text_config.n_embd, again.tie_word_embeddings) == (8, True)
    assert again.qformer_config.encoder_hidden_size == again.speech_config.hidden_size


def test_frames_are_those_the_encoder_makes() -> None:
    speech = WavLMConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=(8,) * 7
    )
    conv_layers = SEmoLLMConfig(speech_config=speech).conv_layers
    encoder = WavLMModel(speech).feature_extractor
    for samples in (400, 719, 720, 16_000):
        assert count_frames(samples, conv_layers) == encoder(torch.zeros(1, samples)).shape[-1]
    assert count_frames(torch.tensor([3, 399, 400]), conv_layers).tolist() == [0, 0, 1]
    assert shortest_input(conv_layers) == 400


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"projector": "perceiver"}, "projector must be"),
        ({"speech_layers": [13]}, "13 hidden states"),
        ({"speech_layers": []}, "speech_layers"),
        ({"speech_config": {"model_type": "bert"}}, "speech encoder must be one of"),
        ({"speech_config": {"model_type": "wavlm", "add_adapter": True}}, "add_adapter"),
        ({"text_config": CohereConfig()}, "logit_scale"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SEmoLLMConfig(**settings)
