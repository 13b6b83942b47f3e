from __future__ import annotations

import builtins

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.texts import bert_score, transcript_error_rate


def test_word_errors_worked_by_hand():
    said = ["I like it.", "He's well-known!", "", None, "No."]
    heard = ["i like that thing", "hes well-known", "anything", "anything", None]
    # that for it, hes for He's; thing is one too many; No is not heard.
    assert transcript_error_rate(said, heard) == {
        "clips": 3,
        "words": 6,
        "substitutions": 2,
        "deletions": 1,
        "insertions": 1,
        "word_error_rate": 4 / 6,
    }


@pytest.mark.parametrize("heard", ["Don’t go -- 'now'", "don't, GO now?"])
def test_case_and_punctuation_do_not_count(heard):
    assert transcript_error_rate(["Don't go now."], [heard])["word_error_rate"] == 0


def test_nothing_to_judge():
    assert transcript_error_rate(["..."], ["yes"]) == {"clips": 0, "words": 0, "word_error_rate": None}


def test_without_jiwer_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "jiwer":
            raise ModuleNotFoundError("No module named 'jiwer'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EvaluationError, match=r"pip install 'speechcue_hf\[audio-model\]'"):
        transcript_error_rate(["yes"], ["yes"])


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> str:
    folder = str(tmp_path_factory.mktemp("encoder"))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "pitch", "is", "high", "low"]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(words), **sizes)).save_pretrained(folder)
    return folder


TEXTS = ["the pitch is high", "low", "is the low pitch"]
REFERENCES = ["the pitch is low", "the pitch is low high", "high"]


def literal(folder: str, text: str, reference: str, layer: int) -> tuple[float, float]:
    """BERTScore of one pair, token by token, without padding (equal to bert-score 0.3.13, checked by hand)."""
    model = BertModel.from_pretrained(folder).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    with torch.no_grad():
        states = [
            model(**tokenizer(side, return_tensors="pt"), output_hidden_states=True).hidden_states[layer][0]
            for side in (text, reference)
        ]
    cosine = torch.nn.functional.cosine_similarity
    best = [
        [max(cosine(token, other, dim=0).item() for other in others) for token in own[1:-1]]
        for own, others in (states, states[::-1])
    ]
    precision, recall = (sum(values) / len(values) for values in best)
    return precision, recall


@pytest.mark.parametrize("layer", [1, 2])
def test_bert_score_is_that_of_single_pairs(encoder, layer):
    pairs = [literal(encoder, text, reference, layer) for text, reference in zip(TEXTS, REFERENCES, strict=True)]
    scores = bert_score(REFERENCES, TEXTS, model=encoder, layer=layer, batch_size=2)
    assert scores["precision"] == pytest.approx(sum(pair[0] for pair in pairs) / 3, abs=1e-5)
    assert scores["recall"] == pytest.approx(sum(pair[1] for pair in pairs) / 3, abs=1e-5)
    assert scores["f1"] == pytest.approx(sum(2 * p * r / (p + r) for p, r in pairs) / 3, abs=1e-5)


def test_equal_texts_score_1_and_an_empty_one_0(encoder):
    assert bert_score(TEXTS, TEXTS, model=encoder, layer=2)["f1"] == pytest.approx(1, abs=1e-5)
    assert bert_score(["low"], [""], model=encoder, layer=2)["f1"] == 0


def test_a_layer_that_is_not_there_is_refused(encoder):
    with pytest.raises(ValueError, match="layer must lie between 0 and 2, got 3"):
        bert_score(TEXTS, TEXTS, model=encoder, layer=3)


def test_every_text_needs_a_reference(encoder):
    with pytest.raises(ValueError, match="got 1 and 0"):
        bert_score(["low"], [], model=encoder, layer=1)
    with pytest.raises(ValueError, match="got 1 and 0"):
        transcript_error_rate([], ["low"])
