import numpy as np
import pytest
from transformers import Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

from speechcue_hf.errors import TranscriptionError
from speechcue_hf.transcription.recognition import RATE, SpeechRecognizer, Window, Word, _in_recording, windows_of
from speechcue_hf.transcription.voice_activity import Span
from tests.transcription.spoken import recording
from tests.transcription.tiny_whisper import LANGUAGES, tiny_whisper


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    return tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def windows():
    sound, placed = recording([0.8, 1.5, 0.9, 0.7])
    spans = [Span(it.start, it.end) for it in placed]
    cut = [sound[round(span.start * RATE) : round(span.end * RATE), 0].astype(np.float32) for span in spans]
    return [Window("a", spans[:2], cut[:2]), Window("a", spans[2:4], cut[2:4]), Window("b", spans[4:], cut[4:])]


def test_words_have_times_within_their_window(whisper, windows):
    recognizer = SpeechRecognizer.from_pretrained(whisper, language="en")
    heard = list(recognizer(windows, batch_size=2))
    assert [it.key for it in heard] == ["a", "a", "b"]
    assert all(it.language == "en" for it in heard)
    assert any(it.words for it in heard)
    for window, it in zip(windows, heard, strict=True):
        for word in it.words:
            assert any(span.start - 1e-3 <= word.start <= word.end <= span.end + 1e-3 for span in window.spans)


def test_batches_change_no_word(whisper, windows):
    recognizer = SpeechRecognizer.from_pretrained(whisper, language="en")
    assert list(recognizer(windows, batch_size=1)) == list(recognizer(windows, batch_size=3))


def test_a_language_is_found_once_for_a_recording(whisper, windows, monkeypatch):
    recognizer = SpeechRecognizer.from_pretrained(whisper)
    model, asked = recognizer.pipeline.model, []
    plain = model.detect_language
    monkeypatch.setattr(model, "detect_language", lambda *given: asked.append(1) or plain(*given))
    found = [it.language for it in recognizer(windows, batch_size=2)]
    assert len(asked) == 2
    assert found[0] == found[1]
    assert set(found) <= set(LANGUAGES)


def test_the_language_that_is_given_is_what_the_model_is_told(whisper, windows, monkeypatch):
    recognizer = SpeechRecognizer.from_pretrained(whisper, language="zh")
    told = []
    plain = recognizer.pipeline.model.generate
    monkeypatch.setattr(
        recognizer.pipeline.model, "generate", lambda *a, **given: told.append(given["language"]) or plain(*a, **given)
    )
    list(recognizer(windows[:1]))
    assert told == ["zh"]


def test_a_language_that_the_model_does_not_know_is_refused(whisper):
    with pytest.raises(TranscriptionError, match=r"no language 'xx', only de, en, zh"):
        SpeechRecognizer.from_pretrained(whisper, language="xx")


def test_without_word_times_each_stretch_is_one_word(tmp_path, windows):
    recognizer = SpeechRecognizer.from_pretrained(tiny_whisper(tmp_path, word_times=False), language="en")
    assert not recognizer.times
    spans = [Span(0.0, 3.0), Span(4.0, 6.0)]
    assert recognizer.windows_of(spans) == [[spans[0]], [spans[1]]]
    (heard,) = recognizer([Window("a", windows[0].spans[:1], windows[0].samples[:1])])
    assert [(word.start, word.end) for word in heard.words] in ([], [tuple(windows[0].spans[0])])


def test_a_ctc_model_gives_words_with_blanks(tmp_path, windows):
    (tmp_path / "vocab.json").write_text('{"<pad>": 0, "|": 1, "a": 2, "b": 3, "<unk>": 4}')
    Wav2Vec2CTCTokenizer(str(tmp_path / "vocab.json")).save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    sizes = {"conv_dim": (8,) * 7, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Wav2Vec2Config(
        vocab_size=5, intermediate_size=8, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, **sizes
    )
    model = Wav2Vec2ForCTC(config)
    # It hears "a" in every frame.
    model.lm_head.weight.data.zero_()
    model.lm_head.bias.data = model.lm_head.bias.data.new_tensor([0.0, 0.0, 9.0, 0.0, 0.0])
    model.save_pretrained(tmp_path)
    recognizer = SpeechRecognizer.from_pretrained(tmp_path, language="en")
    (heard,) = recognizer(windows[2:])
    assert [word.text for word in heard.words] == [" a"]
    assert heard.language == "en"
    assert heard.words[0].start == pytest.approx(windows[2].spans[0].start, abs=1e-3)


def test_what_is_no_recognizer_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    with pytest.raises((TranscriptionError, OSError), match=tmp_path.name):
        SpeechRecognizer.from_pretrained(tmp_path)


def test_windows_hold_no_more_than_is_heard_at_once():
    spans = [
        Span(float(start), start + length) for start, length in zip(range(0, 400, 20), [1, 5, 14, 19] * 5, strict=True)
    ]
    windows = windows_of(spans)
    assert [span for window in windows for span in window] == spans
    assert all(sum(span.end - span.start for span in window) + 0.4 * (len(window) - 1) <= 28.0 for window in windows)
    assert len(windows) < len(spans)


def test_times_in_a_window_are_those_of_the_recording():
    samples = [np.zeros(2 * RATE, np.float32), np.zeros(3 * RATE, np.float32)]
    window = Window("a", [Span(10.0, 12.0), Span(50.0, 53.0)], samples)
    assert _in_recording(0.5, 1.0, window) == (10.5, 11.0)
    assert _in_recording(2.5, 3.4, window) == (50.1, 51.0)
    # Of a word that reaches over the edge the larger part tells.
    assert _in_recording(1.8, 2.3, window) == (11.8, 12.0)
    assert _in_recording(2.3, 2.8, window) == (50.0, 50.4)
    assert _in_recording(5.0, 29.0, window) == (52.6, 53.0)
    assert Word(" a", 1.0, 2.0).text == " a"
