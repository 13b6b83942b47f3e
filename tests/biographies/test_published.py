import json

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from speechcue_hf.biographies.cleaning import NOTHING_WRITTEN
from speechcue_hf.biographies.published import (
    NOT_PUBLISHED,
    join_published,
    published_record,
    read_published,
    write_published,
)
from speechcue_hf.biographies.requests import plan_biographies
from speechcue_hf.biographies.settings import BiographySettings
from speechcue_hf.errors import CorpusError
from tests.biographies.dialogues import rows_of

LLM = "Llama-2-70b-chat-hf"


def split(*dialogues, gender=None):
    features = Features(
        {"dialogue_id": Value("string"), "turn": Value("int32"), "speaker": Value("string"), "text": Value("string")}
        | {"emotion": ClassLabel(names=["sad", "happy"]), "gender": Value("string")}
    )
    rows = [row | {"emotion": row["turn"] % 2, "gender": gender} for rows in dialogues for row in rows]
    return Dataset.from_list(rows, features=features)


def publish(folder, biographies, sentences, name="meld.train"):
    data = {dialogue: {"labels": [], "sentences": said, "genders": []} for dialogue, said in sentences.items()}
    (folder / f"{name}.json").write_text(json.dumps(data))
    path = folder / f"{name}_spdescV2_{LLM}.json"
    path.write_text(json.dumps(biographies))
    return path


CALL = [("Ann", "It\u2019s  me."), ("Ben", "Who?"), ("Ann", "Me!")]
TEXTS = ["Ann is warm.", "Ben is cold.", "Ann is warm."]


@pytest.mark.parametrize("name", ["train_dia7", "7", "another"])
def test_biographies_are_joined_by_dialogue_and_turn(tmp_path, name):
    rows = split(rows_of(CALL, "train_dia5"), rows_of([("Cid", "Who?")], "train_dia7"))
    first = {"train_dia7": "train_dia5", "7": "5", "another": "one"}[name]
    path = publish(
        tmp_path, {first: TEXTS, name: ["Cid asks."]}, {first: ["It\x92s me.", "Who?", "Me!"], name: ["Who?"]}
    )
    published = read_published(path)
    assert (published.split, published.llm) == ("train", LLM)
    joined = join_published(DatasetDict(train=rows), [published])["train"]
    assert joined["biography"][:] == [*TEXTS, "Cid asks."] and joined["biography_turns"][:] == [3, 3, 3, 1]
    assert set(joined["biography_scope"]) == {"dialogue"} and set(joined["biography_key"]) == {None}


def test_ids_count_and_not_the_order_of_the_file(tmp_path):
    rows = split(rows_of([("Ann", "Who?")], "train_dia1"), rows_of([("Ben", "Who?")], "train_dia2"))
    path = publish(tmp_path, {"2": ["Ben."], "1": ["Ann."]}, {"1": ["Who?"], "2": ["Who?"]})
    joined = join_published(DatasetDict(train=rows), [read_published(path)])
    assert joined["train"]["biography"][:] == ["Ann.", "Ben."]


def test_what_was_not_published_is_null_with_its_reason(tmp_path):
    train = split(rows_of(CALL, "a"), rows_of(CALL, "b"))
    path = publish(tmp_path, {"a": ["Ann.", "", "Ann."]}, {"a": [text for _, text in CALL]})
    published = [read_published(path)]
    joined = join_published(DatasetDict(train=train, test=split(rows_of(CALL, "c"))), published)
    missing = "no biographies were published for dialogue b"
    assert joined["train"]["biography"][:] == ["Ann.", None, "Ann.", None, None, None]
    assert joined["train"]["biography_note"][:] == [None, NOTHING_WRITTEN, None, *[missing] * 3]
    assert joined["test"]["biography_note"][:] == [NOT_PUBLISHED] * 3
    record = published_record(joined, published)
    assert record.sees_future is True and record.writer == {"model": LLM}
    assert record.rows["train"]["with_biography"] == 2


def test_a_prompt_that_was_left_in_is_taken_out(tmp_path):
    rows = rows_of(CALL, "a")
    asked = [plan.request.messages[0]["content"] for plan in plan_biographies(rows, BiographySettings.bioserc())]
    left = [asked[0] + "\n\nAnn is\n\nwarm.</s>", " ".join(asked[1].split()[9:]) + " Ben is cold.", asked[2]]
    path = publish(tmp_path, {"a": left}, {"a": [text for _, text in CALL]})
    joined = join_published(DatasetDict(train=split(rows)), [read_published(path)])["train"]
    assert joined["biography"][:] == ["Ann is warm.", "Ben is cold.", None]
    assert joined["biography_note"][:] == [None, None, NOTHING_WRITTEN]


def test_a_split_is_given_once(tmp_path):
    published = read_published(publish(tmp_path, {"a": TEXTS}, {"a": [text for _, text in CALL]}))
    with pytest.raises(CorpusError, match=rf"train by {LLM}, train by {LLM}"):
        join_published(DatasetDict(train=split(rows_of(CALL, "a"))), [published, published])


@pytest.mark.parametrize(
    ("biographies", "sentences"),
    [
        ([TEXTS], {"a": ["x"]}),
        ({"a": "text"}, {"a": ["x"]}),
        ({"a": [None]}, {"a": ["x"]}),
        ({"a": ["x"]}, {"a": [3]}),
        ({"a": ["x"]}, {"a": None}),
    ],
)
def test_json_of_another_shape_is_named(tmp_path, biographies, sentences):
    with pytest.raises(CorpusError, match=r"meld\.train.*download it again"):
        read_published(publish(tmp_path, biographies, sentences))


@pytest.mark.parametrize(
    ("sentences", "says"),
    [
        (["It's me.", "Whom?", "Me!"], "turn 1 of dialogue 'a' is 'Who\\?', but the published sentence"),
        (["It's me.", "Who?"], "3 biographies and 2 sentences"),
        (None, "dialogue a has 3 biographies and 0 sentences"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, sentences, says):
    path = publish(tmp_path, {"a": TEXTS}, {} if sentences is None else {"a": sentences})
    with pytest.raises(CorpusError, match=says):
        join_published(DatasetDict(train=split(rows_of(CALL, "a"))), [read_published(path)])


def test_other_dialogues_are_refused(tmp_path):
    said = [text for _, text in CALL]
    path = publish(tmp_path, {"x": TEXTS, "y": TEXTS}, {"x": said, "y": said})
    with pytest.raises(CorpusError, match="the 2 dialogues of the published biographies"):
        join_published(DatasetDict(train=split(rows_of(CALL, "a"))), [read_published(path)])
    path = publish(tmp_path, {"a": TEXTS}, {"a": said})
    with pytest.raises(CorpusError, match="'a' has 2 turns, its published one"):
        join_published(DatasetDict(train=split(rows_of(CALL[:2], "a"))), [read_published(path)])
    with pytest.raises(CorpusError, match="split 'train', which the dataset does not have"):
        join_published(DatasetDict(test=split(rows_of(CALL, "a"))), [read_published(path)])


def test_files_are_named_in_errors(tmp_path):
    path = publish(tmp_path, {"a": TEXTS}, {"a": []})
    path.write_text("{")
    with pytest.raises(CorpusError, match="is no JSON"):
        read_published(path)
    (tmp_path / "meld.train.json").unlink()
    path.write_text("{}")
    with pytest.raises(CorpusError, match=r"needs meld\.train\.json beside it"):
        read_published(path)
    with pytest.raises(CorpusError, match=r"not of the form <corpus>"):
        read_published(tmp_path / "meld.json")


def test_the_data_file_may_lie_in_the_folder_above(tmp_path):
    path = publish(tmp_path, {"a": TEXTS}, {"a": [text for _, text in CALL]})
    (tmp_path / "llm_vectors").mkdir()
    assert read_published(path.rename(tmp_path / "llm_vectors" / path.name)).dialogues["a"][1] == ("Who?", TEXTS[1])


def with_biographies(rows):
    return rows.add_column("biography", [f"{row['speaker']} is warm." for row in rows])


def test_written_files_are_those_of_bioserc_and_read_again(tmp_path):
    splits = DatasetDict(
        train=with_biographies(split(rows_of(CALL, "a"), rows_of([("Cid", "No."), ("Ann", "Oh.")], "b"))),
        validation=with_biographies(split(rows_of(CALL, "c"))),
    )
    files = write_published(splits, tmp_path / "out", corpus="meld", llm="tiny")
    assert [path.name for path in files] == [
        "meld.train.json",
        "meld.train_spdescV2_tiny.json",
        "meld.valid.json",
        "meld.valid_spdescV2_tiny.json",
    ]
    assert json.loads(files[0].read_text()) == {
        "a": {
            "labels": [0, 1, 0],
            "sentences": ["It\u2019s  me.", "Who?", "Me!"],
            "genders": [[1, 0], [0, 1], [1, 0]],
        },
        "b": {"labels": [0, 1], "sentences": ["No.", "Oh."], "genders": [[1, 0], [0, 1]]},
    }
    assert json.loads(files[1].read_text())["b"] == ["Cid is warm.", "Ann is warm."]
    joined = join_published(splits, [read_published(files[1]), read_published(files[3])])
    assert all(joined[name]["biography"][:] == splits[name]["biography"][:] for name in splits)


def test_the_speakers_of_iemocap_are_told_by_gender(tmp_path):
    rows = with_biographies(split(rows_of(CALL, "a"), gender="female"))
    files = write_published(DatasetDict(test=rows), tmp_path, corpus="iemocap", llm="tiny")
    assert json.loads(files[0].read_text())["a"]["genders"] == ["F", "F", "F"]
    with pytest.raises(CorpusError, match="turn 0 of dialogue 'a' has no gender"):
        write_published(
            DatasetDict(test=with_biographies(split(rows_of(CALL, "a")))), tmp_path, corpus="iemocap", llm="tiny"
        )
    with pytest.raises(CorpusError, match="has no biography"):
        write_published(DatasetDict(test=split(rows_of(CALL, "a"))), tmp_path, corpus="meld", llm="tiny")
    with pytest.raises(CorpusError, match="no split 'dev'"):
        write_published(DatasetDict(dev=rows), tmp_path, corpus="meld", llm="tiny")
