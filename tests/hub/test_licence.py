import pytest

from speechcue_hf.corpora.catalogue import CORPORA, corpora
from speechcue_hf.errors import LicenceError
from speechcue_hf.hub.licence import check_columns, columns_that_may_leave, corpus_of
from speechcue_hf.records import CorpusIdentity

IEMOCAP = corpora()["iemocap"]
DESCRIBED = ["utterance_id", "turn", "text", "emotion", "f0_mean_hz", "f0_mean_hz_level", "speech_description", "audio"]
CUES = ["utterance_id", "turn", "f0_mean_hz", "f0_mean_hz_level", "speech_description"]


def identity(corpus):
    return CorpusIdentity(corpus, "default", "", "", "", (), {}, "0" * 64, "", "0")


@pytest.mark.parametrize(
    "column", ["text", "audio", "emotion", "prompt", "biography", "caption", "annotator_categories"]
)
def test_nothing_but_cues_of_iemocap_goes_to_a_public_repository(column):
    with pytest.raises(LicenceError, match=rf"iemocap .*does not let {column} out .*--columns utterance_id f0_mean_hz"):
        check_columns(IEMOCAP, ["utterance_id", column, "f0_mean_hz"], restricted=False, agreed=True)


def test_a_restricted_repository_of_iemocap_asks_for_the_flag():
    with pytest.raises(LicenceError, match="--everybody-is-licensed"):
        check_columns(IEMOCAP, DESCRIBED, restricted=True, agreed=False)
    check_columns(IEMOCAP, DESCRIBED, restricted=True, agreed=True)


def test_cues_of_iemocap_may_leave():
    assert columns_that_may_leave(IEMOCAP, DESCRIBED) == CUES
    check_columns(IEMOCAP, CUES, restricted=False, agreed=False)


@pytest.mark.parametrize("corpus", [corpus for corpus in CORPORA if corpus != IEMOCAP], ids=lambda it: it.name)
def test_other_corpora_may_be_passed_on_whole(corpus):
    check_columns(corpus, DESCRIBED, restricted=False, agreed=False)


def test_licences_as_the_hub_names_them():
    assert {name: corpus.hub_licence for name, corpus in corpora().items()} == {
        "iemocap": "other",
        "meld": "gpl-3.0",
        "emorynlp": "apache-2.0",
        "dailydialog": "cc-by-nc-sa-4.0",
        "libritts": "cc-by-4.0",
        "wav_list": "other",
        "demo": "cc0-1.0",
        "folder": "other",
    }


def test_iemocap_is_known_by_its_ids_whatever_the_record_says():
    assert corpus_of(identity("folder"), ["a", "Ses03F_impro08_M012"]) == IEMOCAP
    assert corpus_of(None, ["Ses01M_script02_1_F003"]) == IEMOCAP
    assert corpus_of(identity("meld"), ["train_dia0_utt0"]).name == "meld"


def test_rows_of_unknown_origin_stay_here():
    with pytest.raises(LicenceError, match=r"no corpus\.json .*prepare folder"):
        corpus_of(None, ["a", "b"])
