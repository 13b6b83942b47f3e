import pytest

from speechcue_hf.words import first_words, is_within, spoken_words, words


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("The bus is here.", 4),
        ("Über die Brücke, schnell!", 4),
        ("버스가 왔어요.", 2),
        ("今天天气很好。", 6),
        ("「バスが来た」", 5),
        ("我用 iPhone 打电话。", 6),
        ("รถเมล์มาแล้ว", 10),
        ("", 0),
        ("  \n ", 0),
    ],
)
def test_words_are_counted_in_any_language(text, count):
    assert len(words(text)) == count
    assert "".join(words(text)) == "".join(text.split())


def test_text_with_blanks_is_split_as_python_splits_it():
    text = "Well -- I said: 'no', didn't I?  (He-he…) naïve café\u00a0x\n\tΑθήνα Привет שלום مرحبا नमस्ते दुनिया"
    assert words(text) == text.split()


def test_a_beginning_keeps_what_stands_in_it():
    assert first_words("one  two three", 2) == "one  two"
    assert first_words("今天 天气很好", 3) == "今天 天"
    assert first_words("one", 5) == "one"
    assert first_words("one", 0) == ""


def test_combining_signs_stay_with_their_letter():
    assert spoken_words("नमस्ते, दुनिया!") == ["नमस्ते", "दुनिया"]
    assert len(spoken_words("รถเมล์")) == 5


def test_a_part_is_found_word_for_word():
    assert is_within("the bus", "Here is the bus!")
    assert not is_within("the us", "Here is the bus!")
    assert is_within("很好", "今天天气很好。")
    assert not is_within("很坏", "今天天气很好。")
