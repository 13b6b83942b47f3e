"""What evaluation scored from the files of commands, a recognizer must score from raw clips and the model alone."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from transformers import pipeline

import speechcue_hf.inference.pipelines  # noqa: F401
from speechcue_hf.audio import decode
from speechcue_hf.cli import main
from speechcue_hf.errors import AudioError, CorpusError, EvaluationError
from speechcue_hf.hub.publish_model import publish_model
from speechcue_hf.inference.conversations import rows_of
from speechcue_hf.inference.recognizer import EmotionRecognizer
from speechcue_hf.models.loading import load_model
from speechcue_hf.models.tiny import build_tiny_model
from tests.inference.label_server import serving
from tests.media import as_wav, spoken
from tests.recognizer_runs import biographer

pytestmark = pytest.mark.slow

TASK = "conversation-emotion-recognition"


def scored(run: Path) -> dict[str, list[float]]:
    table = pq.read_table(run / "predictions.parquet").to_pylist()
    return {row["utterance_id"]: row["probabilities"] for row in table}


def assert_same(recognized, expected: dict[str, list[float]]) -> None:
    found = {it.utterance_id: list(it.probabilities.values()) for it in recognized if it.utterance_id in expected}
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[name] for name in expected], list(expected.values()), atol=1e-5)


def test_a_chat_model_predicts_from_raw_clips_what_evaluation_scored(hub, chat, conversations, described_conversations):
    publish_model(chat, "tester/chat")
    recognizer = EmotionRecognizer.from_pretrained("tester/chat", generator=biographer())
    recognized = recognizer(conversations)
    assert len(recognized) == 24
    assert_same(recognized, scored(chat))
    rows = {
        row["utterance_id"]: row
        for split in ("train", "validation", "test")
        for row in pq.read_table(described_conversations / f"{split}-00000-of-00001.parquet").to_pylist()
    }
    for it in recognized:
        assert it.description == rows[it.utterance_id]["speech_description"]
        assert (it.text, it.speaker) == (rows[it.utterance_id]["text"], rows[it.utterance_id]["speaker"])
        assert it.emotion == max(it.probabilities, key=it.probabilities.get)


def test_a_recognizer_of_a_server_tells_what_the_same_model_tells_here(conversations, tmp_path):
    model, tokenizer = build_tiny_model(["Which emotion? angry happy neutral"], vocabulary=300)
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "model")
    names = ["angry", "happy", "neutral"]
    turns = [
        {"audio": str(path), "text": "Well.", "speaker": "Ann"} for path in sorted(conversations.rglob("*.ogg"))[:3]
    ]
    expected = EmotionRecognizer.from_pretrained(tmp_path / "model", names=names)(turns)
    with serving(model, tokenizer, ["echo"]) as server:
        recognizer = EmotionRecognizer.from_server(
            "tiny", names, tokenizer=tmp_path / "model", base_url=server.base_url, store=tmp_path / "store.jsonl"
        )
        assert server.bodies == [] and recognizer.labels == tuple(names)
        found = recognizer(turns)
        asked = len(server.bodies)
        assert recognizer(turns) == found and len(server.bodies) == asked
    for one, other in zip(found, expected, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-3)
        assert one.description == other.description is not None


def test_biographies_that_are_given_are_taken_and_missing_ones_are_named(chat, told, conversations):
    recognizer = EmotionRecognizer.from_pretrained(chat)
    rows = pq.read_table(told / "test-00000-of-00001.parquet").to_pylist()
    turns = [
        {
            "audio": str(next(conversations.rglob(f"{row['utterance_id']}.ogg"))),
            **{key: row[key] for key in ("text", "speaker", "gender", "biography")},
        }
        for row in rows
    ]
    expected = scored(chat)
    found = [list(it.probabilities.values()) for it in recognizer(turns)]
    np.testing.assert_allclose(found, [expected[row["utterance_id"]] for row in rows], atol=1e-5)
    with pytest.raises(EvaluationError, match=r"trained on biographies.*scope history, by scripted.*generator="):
        recognizer(turns[0]["audio"], text="Yes.")
    with pytest.raises(EvaluationError, match="generator of biographies of run: the model was trained with"):
        EmotionRecognizer.from_pretrained(chat, generator=biographer(temperature=1.0))


def test_an_encoder_predicts_from_raw_clips_what_evaluation_scored(hub, encoder, conversations):
    publish_model(encoder, "tester/encoder")
    assert_same(EmotionRecognizer.from_pretrained("tester/encoder")(conversations), scored(encoder))


def test_a_model_that_hears_predicts_what_evaluation_scored(speech):
    recognizer = EmotionRecognizer.from_pretrained(speech / "runs" / "stage3")
    clips = sorted((speech / "corpus" / "audio").glob("*.wav"))[:3]
    recognized = recognizer([{"audio": str(clip)} for clip in [*clips, clips[0].with_name("nothing.wav")]])
    expected = list(scored(speech / "runs" / "stage3").values())
    found = [list(it.probabilities.values()) for it in recognized[:3]]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert recognized[3].emotion is None and recognized[3].note == "audio missing"
    assert recognizer(clips[0])[0].probabilities == pytest.approx(recognized[0].probabilities, abs=1e-5)


def test_what_cannot_be_measured_keeps_its_place(encoder, conversations, tmp_path):
    recognizer = EmotionRecognizer.from_pretrained(encoder)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF....")
    clip = next(conversations.rglob("*.ogg"))
    turns = [
        {"audio": broken, "text": "Well?"},
        {"text": "No."},
        {"audio": {"bytes": clip.read_bytes()}, "text": "Yes."},
    ]
    first, second, third = recognizer(turns)
    assert "broken.wav" in first.note and second.note == "audio missing" and third.note is None
    assert first.emotion and second.emotion and third.emotion


def test_what_is_not_whole_is_marked_whether_it_is_heard_or_told_of(encoder, speech, tmp_path):
    whole = as_wav(spoken())
    clips = {
        "half.wav": (whole[: len(whole) // 2], "the file ends early"),
        "silent.wav": (as_wav(np.zeros(16000)), "digital silence"),
        "playlist.wav": (b"#EXTM3U\n#EXTINF:5,\nother.wav\n", "cannot be decoded"),
        "rate.wav": (whole[:24] + b"\xff\xff\xff\x05" + whole[28:], "a sampling rate of 100,663,295 Hz"),
        "header.wav": (whole[:44], "no audio samples"),
    }
    for name, (content, _) in clips.items():
        (tmp_path / name).write_bytes(content)
    turns = [{"audio": tmp_path / name, "text": "Well?"} for name in clips]
    turns += [{"audio": {"bytes": content}, "text": "Well?"} for content, _ in clips.values()]
    for run in (encoder, speech / "runs" / "stage3"):
        for it, (_, cause) in zip(EmotionRecognizer.from_pretrained(run)(turns), [*clips.values()] * 2, strict=True):
            assert cause in it.note
            if run != encoder:
                assert (it.emotion is None) == (cause not in ("the file ends early", "digital silence"))


@pytest.mark.parametrize(
    ("conversation", "options", "kind", "message"),
    [
        ("nothing.wav", {}, AudioError, "no clip and no folder"),
        ([], {}, ValueError, "no turns"),
        ([{"text": "a", "emotion": "sad"}], {}, ValueError, "'emotion', which has no meaning"),
        ([{"text": "a"}], {"text": "b"}, ValueError, "text= goes with one clip"),
    ],
)
def test_what_is_no_conversation_is_refused(encoder, conversation, options, kind, message):
    with pytest.raises(kind, match=message):
        EmotionRecognizer.from_pretrained(encoder)(conversation, **options)


def test_a_folder_without_metadata_is_refused(encoder, tmp_path):
    with pytest.raises(CorpusError, match=r"metadata\.csv"):
        EmotionRecognizer.from_pretrained(encoder)(tmp_path)


def copy_of(run: Path, folder: Path) -> Path:
    shutil.copytree(run, folder / "copy", symlinks=True, ignore=shutil.ignore_patterns("checkpoint-*"))
    return folder / "copy"


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("kind", "name", "old", "new", "message"),
    [
        ("chat", "describer.json", '"levels": 5', '"levels": 5 ', None),
        (
            "chat",
            "describer.json",
            '"min_past": 3',
            '"min_past": 4',
            r"describer\.json of copy: the model was",
        ),
        (
            "encoder",
            "describer.json",
            '"min_past": 3',
            '"min_past": 4',
            r"describer\.json of copy: the model was",
        ),
        ("chat", "prompt.jinja", "emotion", "feeling", r"prompt\.json: the model was trained with"),
        (
            "encoder",
            "config.json",
            '"0": "angry"',
            '"0": "sad"',
            r"labels in config\.json of copy: the model was",
        ),
        ("chat", "training.json", '"words": [\n      "angry"', '"words": [\n      "sad"', r"labels in training\.json"),
    ],
)
def test_what_does_not_belong_together_is_refused(request, tmp_path, kind, name, old, new, message):
    folder = copy_of(request.getfixturevalue(kind), tmp_path)
    change(folder / name, old, new)
    if message is None:
        EmotionRecognizer.from_pretrained(folder)
        return
    with pytest.raises(EvaluationError, match=message):
        EmotionRecognizer.from_pretrained(folder)


def test_a_model_without_records_is_refused(chat):
    with pytest.raises(EvaluationError, match=r"base_model has no training\.json"):
        EmotionRecognizer.from_pretrained(chat / "base_model")


def test_the_pipeline_of_transformers_says_the_same(chat, encoder, conversations):
    clip = next(conversations.rglob("*.ogg"))
    turns = [{"speaker": "Ann", "text": "Yes.", "audio": str(clip)}, {"speaker": "Bob", "text": "No."}]
    expected = EmotionRecognizer.from_pretrained(encoder)(turns)
    assert pipeline(TASK, model=str(encoder))(turns) == [it.to_dict() for it in expected]
    model, tokenizer = load_model(chat)
    recognize = pipeline(TASK, model=model, tokenizer=tokenizer, source=chat, recognition={"generator": biographer()})
    expected = EmotionRecognizer.from_pretrained(chat, generator=biographer())(clip, text="Yes.")
    assert recognize(str(clip), text="Yes.") == [it.to_dict() for it in expected]


def test_predict_prints_a_table_and_writes_lines(hub, encoder, conversations, tmp_path, capsys):
    commit = publish_model(encoder, "tester/encoder")
    lines = tmp_path / "predictions.jsonl"
    arguments = ["predict", str(conversations), "--model", "tester/encoder", "--revision", commit, "-o", str(lines)]
    assert main(arguments) == 0
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    expected = EmotionRecognizer.from_pretrained(encoder)(conversations)
    assert rows == [it.to_dict() for it in expected]
    printed = capsys.readouterr().out
    first = expected[0]
    assert f"{first.dialogue_id}\n  {first.emotion}" in printed and f"{first.speaker}" in printed
    assert "24 predictions written to" in printed
    assert main(["predict", str(conversations), "--model", "tester/nothing"]) == 1
    assert "tester/nothing" in capsys.readouterr().err


def test_a_clip_is_heard_alike_in_every_form_and_several_conversations_at_once(encoder, conversations):
    recognizer = EmotionRecognizer.from_pretrained(encoder)
    path = next(conversations.rglob("*.ogg"))
    decoded = decode(path)
    samples = {"array": decoded.samples, "sampling_rate": decoded.rate}
    forms = [path, path.read_bytes(), {"path": str(path), "bytes": None}, samples]
    alone = [[(it.description, it.probabilities) for it in recognizer(form, text="Yes.")] for form in forms]
    assert alone == [alone[0]] * len(forms)
    assert recognizer([str(path), path.read_bytes()]) == [recognizer(path), recognizer(path)]
    turns = [{"audio": samples, "text": "Yes."}, {"text": "No."}]
    assert recognizer([turns, turns[:1]]) == [recognizer(turns), recognizer(turns[:1])]


@pytest.mark.parametrize(
    ("conversation", "message"),
    [
        (np.zeros(100), "a clip is a path.*this is a ndarray"),
        ({"text": "a", "audio": "a.wav"}, "a clip is a path.*this is a dict with text, audio"),
        ({"array": [0.0]}, "samples without sampling_rate"),
        ([{"audio": 3}], "a clip is a path.*this is a int"),
        ([{"text": "a"}, "b"], "a turn is a table.*this is a str"),
    ],
)
def test_what_is_no_clip_is_never_a_missing_one(conversation, message):
    with pytest.raises(ValueError, match=message):
        rows_of(conversation, ["sad", "happy"])


def test_turns_of_a_recording_are_heard_as_their_clips_are(encoder, conversations, tmp_path, capsys):
    recognizer = EmotionRecognizer.from_pretrained(encoder)
    with (conversations / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    turns = [
        {"text": row["text"], "speaker": row["speaker"], "audio": conversations / row["file_name"]} for row in rows
    ]
    samples = [soundfile.read(turn["audio"], dtype="int16") for turn in turns]
    rate = samples[0][1]
    silent = [np.zeros(len(clip), dtype="int16") for clip, _ in samples]
    joined = np.concatenate([np.stack([clip, still], axis=1) for (clip, _), still in zip(samples, silent, strict=True)])
    soundfile.write(tmp_path / "call.wav", joined, rate)
    ends = np.cumsum([len(clip) for clip, _ in samples]) / rate
    starts = [0.0, *ends[:-1]]
    of_recording = [
        {**turn, "audio": {"path": str(tmp_path / "call.wav"), "bytes": None}, "start": a, "end": b, "channel": "left"}
        for turn, a, b in zip(turns, starts, ends, strict=True)
    ]
    alone = [{**turn, "start": a, "end": b} for turn, a, b in zip(turns, starts, ends, strict=True)]
    expected, found = recognizer(alone), recognizer(of_recording)
    assert [it.description for it in found] == [it.description for it in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-3)
    part = {"path": str(tmp_path / "call.wav"), "start": starts[1], "end": ends[1], "channel": 0}
    assert recognizer(part, text=turns[1]["text"])[0].note == recognizer(turns[1:2])[0].note
    line = ["predict", tmp_path / "call.wav", "--start", starts[1], "--end", ends[1], "--channel", "left"]
    assert main([*map(str, line), "--model", str(encoder)]) == 0
    with pytest.raises(ValueError, match="turn 0, audio: this is the same clip as that of turn 1, without times"):
        recognizer([{"audio": tmp_path / "call.wav"}, {"audio": tmp_path / "call.wav"}])
    with pytest.raises(ValueError, match=r"turn 0, end: the file lasts .* as a recording it ends before"):
        recognizer([{"audio": tmp_path / "call.wav", "start": 900.0, "end": 901.0}])
