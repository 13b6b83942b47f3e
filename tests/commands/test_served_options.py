"""Commands that ask a server for emotions, as a user types them."""

import json
from collections import Counter

import pytest
from datasets import Dataset

from speechcue_hf.cli import main
from speechcue_hf.models.tiny import build_tiny_model
from tests.inference.label_server import serving
from tests.killing import killed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A model, its tokenizer, and the folder of both."""
    folder = tmp_path_factory.mktemp("model")
    model, tokenizer = build_tiny_model(["Which emotion? angry happy neutral"], vocabulary=300)
    for part in (model, tokenizer):
        part.save_pretrained(folder)
    return model, tokenizer, folder


def command(*line):
    return main([str(word) for word in line])


def results_of(folder):
    return json.loads((folder / "results.json").read_text())


def test_evaluate_over_a_server_is_evaluate_here(tiny, described_folder, tmp_path, capsys):
    *parts, folder = tiny
    data = ("evaluate", described_folder, "--split", "validation")
    assert command(*data, "--model", folder, "-o", tmp_path / "here") == 0
    with serving(*parts, ["prompt_logprobs"]) as server:
        asked = ("--server", server.base_url, "--model", "tiny", "--tokenizer", folder)
        assert command(*data, *asked, "--estimate", "--price", 1, 2, "-o", tmp_path / "there") == 0
        estimate = capsys.readouterr().out
        assert server.bodies == [] and not (tmp_path / "there").exists()
        assert command(*data, *asked, "-o", tmp_path / "there") == 0
        paid = len(server.bodies)
        assert command(*data, *asked, "-o", tmp_path / "there") == 0
        assert len(server.bodies) == paid
    assert "12 requests, 12 of them to make" in estimate and "for a million tokens" in estimate
    printed = capsys.readouterr().out
    assert "12 requests, 0 of them to make" in printed
    assert "labels read by score (prompt_logprobs): 12 requests, " in printed
    here, there = results_of(tmp_path / "here"), results_of(tmp_path / "there")
    assert (here["weighted_f1"], here["decode"], here["normalisation"]) == pytest.approx(
        (there["weighted_f1"], there["decode"], there["normalisation"])
    )
    assert there["server"]["model"] == "tiny" and there["unanswered"] == 0 and here["server"] is None
    tables = [Dataset.from_parquet(str(tmp_path / run / "predictions.parquet")) for run in ("here", "there")]
    for first, second in zip(*(table["probabilities"] for table in tables), strict=True):
        assert first == pytest.approx(second, abs=1e-3)
    assert command("compare", tmp_path / "here", tmp_path / "there") == 0
    assert "were read by" not in capsys.readouterr().out


def test_compare_says_that_labels_were_read_in_two_ways(tiny, described_folder, tmp_path, capsys):
    *parts, folder = tiny
    assert command("evaluate", described_folder, "--model", folder, "-o", tmp_path / "here") == 0
    with serving(*parts, says=lambda question: "happy") as server:
        line = ("evaluate", described_folder, "--server", server.base_url, "--model", "tiny", "-o", tmp_path / "there")
        assert command(*line) == 0
    assert "labels read by generate; how likely they are is not known" in capsys.readouterr().out
    assert command("compare", tmp_path / "here", tmp_path / "there", "-o", tmp_path / "comparison.json") == 0
    said = capsys.readouterr().out
    assert f"The labels of {tmp_path / 'here'} were read by score sum, those of" in said
    assert json.loads((tmp_path / "comparison.json").read_text())["read_by"] == ["score sum", "generate strict"]


@pytest.mark.parametrize("times", [8, 13])
def test_a_run_that_was_killed_while_it_asked_pays_for_nothing_twice(tiny, described_folder, tmp_path, times):
    """Killed just before an answer reaches the store: that one may be asked for again, and one that was in flight."""
    *parts, folder = tiny
    assert command("evaluate", described_folder, "--model", folder, "-o", tmp_path / "here") == 0
    with serving(*parts, ["prompt_logprobs"]) as server:
        asked = ("--server", server.base_url, "--model", "tiny", "--tokenizer", folder, "--concurrency", 1)
        line = ("evaluate", described_folder, *asked, "-o", tmp_path / "there")
        killed("open", "answers-store.jsonl", *line, times=times)
        store = tmp_path / "there" / "answers-store.jsonl"
        before = store.read_bytes()
        stored = before.count(b"\n") - 1
        assert 0 < stored < 12 and not (tmp_path / "there" / "results.json").exists()
        first = len(server.bodies)
        assert command(*line) == 0
        assert len(server.bodies) - first == 12 - stored
        prompts = Counter(json.dumps(body["prompt"]) for body in server.bodies if "prompt" in body)
    assert store.read_bytes().startswith(before)
    assert len(prompts) == 12 and prompts.total() - 12 <= 2
    tables = [Dataset.from_parquet(str(tmp_path / run / "predictions.parquet")) for run in ("here", "there")]
    for one, other in zip(*(table["probabilities"] for table in tables), strict=True):
        assert one == pytest.approx(other, abs=1e-3)
    assert results_of(tmp_path / "there")["server"]["requests"] == 12


@pytest.mark.parametrize("normalisation", ["contextual", "prior"])
def test_calibration_is_named_recorded_and_the_same_over_a_server(tiny, described_folder, tmp_path, normalisation):
    *parts, folder = tiny
    line = ("evaluate", described_folder, "--normalisation", normalisation)
    assert command(*line, "--model", folder, "-o", tmp_path / "here") == 0
    with serving(*parts, ["echo"]) as server:
        asked = ("--server", server.base_url, "--model", "tiny", "--tokenizer", folder)
        assert command(*line, *asked, "-o", tmp_path / "there") == 0
    here, there = results_of(tmp_path / "here"), results_of(tmp_path / "there")
    assert here["normalisation"] == there["normalisation"] == normalisation
    # The training split has eight rows of each of three labels.
    shares = {"angry": 1 / 3, "happy": 1 / 3, "neutral": 1 / 3} if normalisation == "prior" else None
    assert here["prior"] == there["prior"] == (shares and pytest.approx(shares))
    assert here["confusion_matrix"] == there["confusion_matrix"]


def test_intervene_over_a_server(tiny, described_conversations, tmp_path, capsys):
    *parts, folder = tiny
    with serving(*parts, ["prompt_logprobs"]) as server:
        asked = ("--server", server.base_url, "--model", "tiny", "--tokenizer", folder)
        assert command("intervene", described_conversations, *asked, "-o", tmp_path) == 0
    assert "without cues" in capsys.readouterr().out
    report = json.loads((tmp_path / "intervention.json").read_text())
    assert report["variants"]["shuffled cues"]["probability_shift"]
    with serving(*parts, says=lambda question: "happy") as server:
        asked = ("--server", server.base_url, "--model", "tiny", "-o", tmp_path / "written")
        assert command("intervene", described_conversations, *asked) == 1
    assert "let labels be scored" in capsys.readouterr().err


def test_predict_asks_any_chat_model_about_recordings(tiny, conversations, tmp_path, capsys, caplog):
    *parts, folder = tiny
    labels = ("--labels", "angry", "happy", "neutral")
    assert command("predict", conversations, "--model", folder, *labels, "-o", tmp_path / "here.jsonl") == 0
    assert "No describer is given: voices are compared with each other" in caplog.text
    with serving(*parts, ["prompt_logprobs"]) as server:
        asked = ("--server", server.base_url, "--model", "tiny", "--tokenizer", folder)
        assert command("predict", conversations, *asked, *labels, "-o", tmp_path / "there.jsonl") == 0
        paid = len(server.bodies)
        assert command("predict", conversations, *asked, *labels, "-o", tmp_path / "there.jsonl") == 0
        assert len(server.bodies) == paid
    found = [
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("here.jsonl", "there.jsonl")
    ]
    assert len(found[0]) == len(found[1]) == 24
    for here, there in zip(*found, strict=True):
        assert here["emotion"] == there["emotion"] and here["description"] == there["description"]
        assert list(here["probabilities"].values()) == pytest.approx(list(there["probabilities"].values()), abs=1e-3)
    assert any(here["description"] for here in found[0])
    assert "24 predictions written" in capsys.readouterr().out


def test_predict_takes_labels_of_a_corpus_and_a_describer(tiny, conversations, described_conversations, tmp_path):
    *_, folder = tiny
    line = ("predict", conversations, "--model", folder, "--labels", "emorynlp")
    assert command(*line, "--describer", described_conversations, "-o", tmp_path / "found.jsonl") == 0
    found = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert list(found[0]["probabilities"]) == ["Joyful", "Mad", "Peaceful", "Neutral", "Sad", "Powerful", "Scared"]
    rows = Dataset.from_parquet(str(described_conversations / "test-00000-of-00001.parquet"))
    described = dict(zip(rows["utterance_id"], rows["speech_description"], strict=True))
    assert [it["description"] for it in found if it["utterance_id"] in described] == list(described.values())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["--server", "http://localhost:1/v1"], "--labels is missing"),
        (["--labels", "happy"], "names fewer than two emotions"),
        (["--labels", "happy", "sad", "--decode", "constrained"], "is a way of asking servers"),
        (["--vllm", "--provider", "auto", "--labels", "happy", "sad"], "exclude each other"),
        ([], "or name the emotions that a chat model is to tell apart"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_fix(tiny, conversations, line, said, capsys):
    assert command("predict", conversations, "--model", tiny[2], *line) != 0
    assert said in capsys.readouterr().err


def test_a_trained_model_keeps_its_labels(chat, conversations, capsys):
    assert command("predict", conversations, "--model", chat, "--labels", "happy", "sad") == 1
    assert "leave labels and describer out" in capsys.readouterr().err
