import pytest
from datasets import Audio, ClassLabel, Dataset, DatasetDict, Features, Value

from speechcue_hf.corpora.catalogue import CORPORA, corpora
from speechcue_hf.errors import LicenceError
from speechcue_hf.hub.licence import check_columns, columns_that_may_leave, corpus_of
from speechcue_hf.records import CorpusIdentity

IEMOCAP, MELD = corpora()["iemocap"], corpora()["meld"]
TYPES = {
    "utterance_id": Value("string"),
    "turn": Value("int32"),
    "text": Value("string"),
    "emotion": ClassLabel(names=["sad"]),
    "f0_mean_hz": Value("float64"),
    "f0_mean_hz_level": Value("string"),
    "speech_description": Value("string"),
    "audio": Audio(decode=False),
}
CUES = ["utterance_id", "turn", "f0_mean_hz", "f0_mean_hz_level", "speech_description"]


def rows(**columns) -> DatasetDict:
    """One row of these columns, or of all."""
    types = Features({name: TYPES[name] for name in TYPES if not columns or name in columns})
    values = {name: [columns.get(name)] for name in types}
    return DatasetDict(train=Dataset.from_dict(values, features=types))


def of(*names: str) -> DatasetDict:
    return DatasetDict(train=rows()["train"].select_columns(list(names)))


def identity(corpus):
    return CorpusIdentity(corpus, "default", "", "", "", (), {}, "0" * 64, "", "0")


@pytest.mark.parametrize("column", ["text", "audio", "emotion"])
def test_nothing_but_cues_of_iemocap_goes_to_a_public_repository(column):
    with pytest.raises(LicenceError, match=rf"iemocap .*does not let {column} out .*--columns utterance_id f0_mean_hz"):
        check_columns(IEMOCAP, of("utterance_id", column, "f0_mean_hz"), restricted=False, agreed=True)


def test_a_restricted_repository_of_iemocap_asks_for_the_flag():
    with pytest.raises(LicenceError, match="--everybody-is-licensed"):
        check_columns(IEMOCAP, rows(), restricted=True)
    reason = check_columns(IEMOCAP, rows(), restricted=True, agreed=True)
    assert reason.endswith("does not let text, emotion, audio out")


def test_cues_of_iemocap_may_leave():
    assert columns_that_may_leave(IEMOCAP, rows()["train"].features) == CUES
    assert check_columns(IEMOCAP, of(*CUES), restricted=False) is None


@pytest.mark.parametrize("kind", ["string", "binary", "int64"])
def test_a_column_of_another_type_than_its_name_has_does_not_leave(kind):
    assert columns_that_may_leave(IEMOCAP, Features({"f0_mean_hz": Value(kind), "turn": Value("int64")})) == ["turn"]


def test_all_but_the_clips_of_meld_may_be_passed_on():
    free = [name for name in TYPES if name != "audio"]
    assert columns_that_may_leave(MELD, rows()["train"].features) == free
    assert check_columns(MELD, of(*free), restricted=False) is None
    with pytest.raises(LicenceError, match=r"does not let audio out to a public .*--clips-may-be-public"):
        check_columns(MELD, rows(), restricted=False)
    assert check_columns(MELD, rows(), restricted=False, clips=True) is None
    assert check_columns(MELD, rows(), restricted=True).endswith("does not let audio out")


@pytest.mark.parametrize("corpus", [it for it in CORPORA if it not in (IEMOCAP, MELD)], ids=lambda it: it.name)
def test_other_corpora_may_be_passed_on_whole(corpus):
    assert check_columns(corpus, rows(), restricted=False) is None


def test_licences_as_the_hub_names_them():
    assert {name: corpus.hub_licence for name, corpus in corpora().items()} == {
        "iemocap": "other",
        "meld": "gpl-3.0",
        "emorynlp": "apache-2.0",
        "dailydialog": "cc-by-nc-sa-4.0",
        "libritts": "cc-by-4.0",
        "ravdess": "cc-by-nc-sa-4.0",
        "crema_d": "odbl",
        "emodb": "cc0-1.0",
        "wav_list": "other",
        "demo": "cc0-1.0",
        "folder": "other",
    }


def test_iemocap_is_known_by_its_ids_whatever_the_record_says():
    assert corpus_of(identity("folder"), [rows(utterance_id="Ses03F_impro08_M012")]) == IEMOCAP
    assert corpus_of(None, [rows(utterance_id="a"), rows(utterance_id="Ses01M_script02_1_F003")]) == IEMOCAP
    assert corpus_of(identity("meld"), [rows(utterance_id="train_dia0_utt0")]) == MELD


def test_the_strictest_of_several_corpora_counts():
    both = [rows(utterance_id="train_dia0_utt0"), rows(utterance_id="Ses03F_impro08_M012")]
    assert corpus_of(identity("meld"), both) == IEMOCAP
    assert corpus_of(identity("demo"), both[:1]) == MELD


@pytest.mark.parametrize(
    "name", ["session_1", "impromptu", "script_of_a_play_F", "dialogue7_utterance3", "Ses_F", "mel_d"]
)
def test_ordinary_names_are_no_traces(name):
    assert corpus_of(identity("folder"), [rows(utterance_id=name, text=f"{name} said so.")]).name == "folder"


def test_rows_of_unknown_origin_stay_here():
    with pytest.raises(LicenceError, match=r"no corpus\.json .*prepare folder"):
        corpus_of(None, [rows(utterance_id="a")])
