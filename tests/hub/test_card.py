"""Cards against the records that they are written from; every example is run."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from safetensors.torch import load_file

from speechcue_hf.cli import main
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.errors import DescriberError, EvaluationError, RecordError
from speechcue_hf.hub.card import example_prompt, model_card
from speechcue_hf.hub.publish_model import publish_model
from speechcue_hf.hub.run_records import read_run
from speechcue_hf.metrics.spread import spread_of
from speechcue_hf.prompts.build import needed_columns
from speechcue_hf.prompts.specification import load_prompt, presets

pytestmark = pytest.mark.slow


def read(path: Path):
    return json.loads(path.read_text())


def change(path, **values):
    path.write_text(json.dumps({**read(path), **values}))


def code(card: str) -> str:
    return re.search(r"```python\n(.*?)```", card, re.DOTALL).group(1)


def test_card_is_filled_from_the_records(run):
    assert main(["card", str(run)]) == 0
    card = ModelCard.load(run / "README.md")
    results, training = (read(run / name) for name in ("results.json", "training.json"))
    scores = {result.metric_name: result.metric_value for result in card.data.eval_results}
    assert scores["weighted F1"] == round(results["weighted_f1"], 4)
    assert scores["accuracy"] == round(results["accuracy"], 4)
    assert scores["mean recall (UA)"] == round(results["unweighted_accuracy"], 4)
    found = {
        (it.dataset_type, it.dataset_config, it.dataset_split, it.dataset_revision) for it in card.data.eval_results
    }
    assert found == {("speechcue/demo", "default", "test", results["corpus"]["revision"])}
    for text in (
        f"| weighted F1 | {100 * results['weighted_f1']:.2f} %",
        f"| answers that are no label | {100 * results['invalid_rate']:.2f} % |",
        f"Measured on {results['n']} labelled utterances in 2 dialogues: the split `test` of demo (task `demo-3-erc`).",
        f"Config `default`, revision `{results['corpus']['revision'][:12]}`",
        f"**{results['weighted_f1_interval']['warning']}**",
        f"`speechcue`, fingerprint `{training['prompt']['sha256']}`",
        f"(fingerprint `{training['describer_sha256']}`)",
        "| rows | 6 labelled of 6 (train), 6 of 6 (choice of the best epoch) |",
        "| seed | 3 |",
        "| lora_r | 16 |",
        "licence: CC0-1.0",
        "**History only.**",
        "](confusion_matrix.png)",
        "by the preset `default` of speechcue_hf",
        "fitted on 20 rows of the train split only",
        "One run: how much its scores change with the seed is not known.",
        "Its base model is tiny and random",
        "## Intended use and limits",
        f"torch {training['libraries']['torch']}",
    ):
        assert text in card.content, text


def test_thresholds_are_the_describers(run):
    thresholds = SpeechDescriber.from_pretrained(run).groups["overall"].cues["f0_mean_hz"].thresholds
    assert f"| `f0_mean_hz` | {', '.join(f'{bound:.4g}' for bound in thresholds)} |" in model_card(run).content


def test_prompt_is_shown_as_the_model_gets_it(run):
    card = model_card(run).content
    shown = re.search(r"```text\n(.*?)\n```", card, re.DOTALL).group(1)
    assert "Sam: Have you seen my keys anywhere?\nNora: They were on the shelf this morning.\n" in shown
    assert "labels and nothing else: angry, happy, neutral." in shown


@pytest.mark.parametrize("prompt", presets())
def test_every_preset_can_be_shown(prompt):
    specification = load_prompt(prompt)
    text = "\n".join(message["content"] for message in example_prompt(specification, ["joy", "anger"]))
    assert "They were on the shelf" in text or specification.audio_only
    assert ("louder and faster" in text) == ("speech_description" in needed_columns(specification))
    assert ("Nora keeps the flat tidy" in text) == specification.biography


def test_card_without_results_shows_no_score(run):
    (run / "results.json").unlink()
    card = model_card(run)
    assert "This model has not been evaluated" in card.content
    assert card.data.eval_results is None and "model-index" not in card.content
    assert not re.search(r"\d %|F1", card.content)


def test_nothing_of_this_machine_or_left_empty_reaches_the_card(run, dataset_folder):
    content = model_card(run).content
    for trace in (str(run.parent), str(dataset_folder), "/tmp", "/root", "/home", "base_model:", "None |", "undefined"):
        assert trace not in content, trace
    assert not re.search(r"\{\{|\{%|TODO|\[More Information", content)
    assert "\n\n\n" not in content and not re.search(r"[^\n]\n## ", content)


def test_no_record_holds_a_path_or_a_token(run, dataset_folder):
    assert main(["card", str(run)]) == 0
    records = [*run.glob("*.json"), run / "README.md"]
    assert {"training.json", "results.json", "adapter_config.json"} <= {path.name for path in records}
    for path in records:
        content = path.read_text() if path.name != "tokenizer.json" else ""
        for trace in (str(run.parent), str(dataset_folder), "/tmp", "/root", "/home"):
            assert trace not in content, f"{trace} in {path.name}"
        assert not re.search(r"hf_[A-Za-z0-9]{20,}", content), path.name


def test_a_card_leads_nowhere_that_does_not_exist(run):
    (run / "distributions.png").write_bytes(b"picture")
    links = re.findall(r"\]\(([^)]+)\)", model_card(run).content)
    assert links == ["confusion_matrix.png", "distributions.png"]
    assert all((run / link).is_file() for link in links)
    (run / "distributions.png").unlink()
    assert "distributions.png" not in model_card(run).content


def test_a_card_made_inside_the_folder_has_its_name(run, monkeypatch):
    monkeypatch.chdir(run)
    assert "\n# my-run\n" in model_card(Path(".")).content


def test_a_base_model_on_the_hub_is_linked(run):
    change(run / "training.json", base_model="HuggingFaceTB/SmolLM2-135M-Instruct", base_model_revision="c" * 40)
    card = model_card(run, repo_id="someone/speechcue-demo", licence="apache-2.0")
    assert card.data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert f"| base model | `HuggingFaceTB/SmolLM2-135M-Instruct`, commit `{'c' * 40}` |" in card.content
    assert card.data.license == "apache-2.0"
    assert 'EmotionRecognizer.from_pretrained("someone/speechcue-demo")\n' in card.content
    files = [run / "base_model" / "model.safetensors", run / "adapter_model.safetensors"]
    every = sum(weight.numel() for file in files for weight in load_file(file).values())
    assert f"It is tiny, {every:,} parameters in all" in card.content


def test_corpora_that_an_encoder_was_trained_on_before_are_named_with_their_licence(run):
    corpus = {**read(run / "training.json")["corpus"], "name": "iemocap", "task": "iemocap-6-erc", "licence": "theirs"}
    earlier = {"corpus": corpus, "rows": 5810, "training_sha256": "a" * 64}
    unknown = {"corpus": None, "rows": 7, "training_sha256": "b" * 64}
    change(run / "training.json", trained_before=[unknown, earlier])
    card = model_card(run).content
    assert f"on iemocap, 5,810 rows, by a run whose record is `{'a' * 64}` |" in card
    assert "| trained before | on a corpus that its records do not name, 7 rows, by a run whose" in card
    licences = card.split("## Data and licence")[1]
    assert licences.index("Trained before on iemocap (task `iemocap-6-erc`") < licences.index("\nTrained on ")
    assert ", licence: theirs." in licences


def test_a_large_model_is_not_called_tiny(run):
    change(run / "training.json", base_model="some/model", parameters={"all": 10**9, "trained": 10**6})
    assert "tiny" not in model_card(run).content


def test_example_runs_as_it_stands(run, monkeypatch, capsys):
    program = code(model_card(run).content)
    monkeypatch.chdir(run)
    exec(program, {})
    answers = re.findall(r"^(.*) -> (?:angry|happy|neutral) \(0\.\d\d\)$", capsys.readouterr().out, re.MULTILINE)
    assert answers == ["Have you seen my keys anywhere?", "They were on the shelf this morning."]


@pytest.mark.parametrize("kind", ["chat", "encoder", "speech"])
def test_example_of_a_published_model_runs_by_its_id(hub, kind, request, tmp_path, monkeypatch, capsys):
    folder = request.getfixturevalue(kind)
    publish_model(folder / "runs" / "stage2" if kind == "speech" else folder, "tester/model")
    card = ModelCard.load("tester/model")
    assert 'EmotionRecognizer.from_pretrained("tester/model")\n' in card.content
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    exec(code(card.content), {})
    assert len(re.findall(r"^.* -> \w+ \(0\.\d\d\)$", capsys.readouterr().out, re.MULTILINE)) == 2


def test_example_of_a_few_shot_model_runs_beside_its_corpus(run, dataset_folder, monkeypatch, capsys):
    prompt = load_prompt({"extends": "speechcue", "demonstrations": 3})
    prompt.save(run)
    (run / "results.json").unlink()
    change(run / "training.json", prompt={"name": prompt.name, "sha256": prompt.fingerprint})
    (run / "data").mkdir()
    (run / "data" / "described").symlink_to(dataset_folder)
    card = model_card(run).content
    assert "3 solved rows of the training split before the question" in card
    monkeypatch.chdir(run)
    exec(code(card), {})
    assert "They were on the shelf this morning. -> " in capsys.readouterr().out


def test_mean_and_deviation_over_seeds_stand_beside_the_run(run, tmp_path):
    """In the folder of all seeds, and in a repository, where their summaries lie beside the model."""
    scores = [
        {"weighted_f1": 0.5, "accuracy": 0.6},
        {"weighted_f1": 0.6, "accuracy": 0.6},
        {"weighted_f1": 0.7, "accuracy": 0.6},
    ]
    summaries = {
        "seeds.json": {"seeds": [1, 2, 3], **spread_of([{"eval_loss": value} for value in (1.0, 2.0, 3.0)])},
        "seeds-test.json": {"seeds": [1, 2, 3], "split": "test", **spread_of(scores)},
    }
    seeds = tmp_path / "seeds"
    shutil.copytree(run, seeds / "seed-3", symlinks=True)
    for folder in (seeds, run):
        for name, summary in summaries.items():
            (folder / name).write_text(json.dumps(summary))
    for place in (seeds / "seed-3", run):
        card = " ".join(model_card(place).content.split())
        assert "This run has the seed 3, one of 1, 2, 3." in card and "One run" not in card
        assert "on the split that chose the best epoch: loss 2.0000 ± 1.0000." in card
        assert "on the split `test`: weighted F1 60.00 % ± 10.00 %, accuracy 60.00 % ± 0.00 %." in card
    change(run / "training.json", seed=7)
    assert "± 10.00" not in model_card(run).content, "these are the seeds of other runs"


@pytest.mark.parametrize(
    ("read_by", "said"),
    [
        (
            {"decode": "score", "normalisation": "contextual"},
            "content left blank (contextual calibration, Zhao et al. 2021); the one that gains most is the prediction.",
        ),
        (
            {"decode": "score", "normalisation": "prior", "prior": {"angry": 0.25, "happy": 0.75}},
            "(contextual calibration, Zhao et al. 2021) and multiplied by its share of the training split (angry 25.00 "
            "%, happy 75.00 %); the most likely one is the prediction.",
        ),
        (
            {"decode": "first-token", "normalisation": "sum"},
            "likeliest first tokens of the answer; a label of which none is among them counts as unlikely, without",
        ),
        (
            {"decode": "first-token", "normalisation": "contextual"},
            "of the answer, divided by those after a blank prompt (contextual calibration); a label of which none",
        ),
        (
            {"decode": "first-token", "normalisation": "prior", "prior": {"angry": 1.0}},
            "(contextual calibration) and multiplied by their shares of the training split (angry 100.00 %); a label",
        ),
        (
            {"decode": "constrained", "normalisation": None},
            "let the model write nothing but a label; how likely each label was is not known.",
        ),
        (
            {"decode": "generate", "normalisation": None, "matching": "strict"},
            "Answers were generated and matched to labels by the rule `strict`.",
        ),
    ],
)
def test_a_card_says_how_a_server_s_labels_were_read(run, read_by, said):
    server = {"writer": "server", "model": "me/model", "provider": "together", "form": None, "requests": 12}
    change(run / "results.json", **read_by, server=server | {"adapted": []}, unanswered=0)
    card = " ".join(model_card(run).content.split())
    assert said in card
    assert "A server was asked for `me/model` (provider `together`): 12 requests." in card
    assert "no answer" not in card


def test_a_card_counts_what_a_server_did_not_answer_and_did_not_take(run):
    server = {"writer": "server", "model": "me/model", "requests": 24, "adapted": ["no temperature", "no system"]}
    vllm = {"writer": "vllm", "model": "me/model", "revision": None, "form": "prompt_logprobs", "requests": 6}
    for unanswered, said in ((1, "1 utterance had no answer and counts"), (3, "3 utterances had no answer and count")):
        change(run / "results.json", decode="generate", matching="strict", server=server, unanswered=unanswered)
        card = " ".join(model_card(run).content.split())
        assert f"`me/model`: 24 requests. {said} as wrong. Sent with no temperature, no system." in card
    change(run / "results.json", decode="score", server=vllm)
    assert "A model in vLLM was asked for `me/model`: 6 requests" in " ".join(model_card(run).content.split())


def test_published_figures_stand_beside_ours_for_the_same_corpus_and_task_only(run):
    results = read(run / "results.json")
    corpus = {**results["corpus"], "name": "meld", "task": "meld-7-erc"}
    change(run / "results.json", corpus=corpus)
    card = model_card(run).content
    table = card.split("### Published figures")[1].split("## Use")[0]
    ours = f"**{100 * results['weighted_f1']:.2f} %** | turns before only | a split that is not the test split |"
    assert f"| **this model** | {ours}" in table
    assert "| BiosERC, Llama-2-7B | 68.72 % | later turns too | the validation split | paper, ICANN 2024 |" in table
    assert "| InstructERC | 69.15 % | – | – |" in table
    assert "SpeechCueLLM" not in table and "SEmoLLM" not in table
    for other in ({"task": "meld-3-erc"}, {"name": "folder"}):
        change(run / "results.json", corpus={**corpus, **other})
        assert "Published figures" not in model_card(run).content
    change(run / "results.json", corpus=corpus, split="validation")
    assert "Published figures" not in model_card(run).content


def test_a_task_of_speech_emotion_recognition_is_compared_by_its_measures(run):
    results = read(run / "results.json")
    change(run / "results.json", corpus={**results["corpus"], "name": "iemocap", "task": "iemocap-4-ser"})
    table = model_card(run).content.split("### Published figures")[1].split("## Use")[0]
    assert "| model | accuracy | mean recall (UA) | sees |" in table
    assert "| SEmoLLM, stage 3 | 71.00 % |  | the clip alone |" in table
    assert "| SEmoLLM, stage 3 |  | 73.05 % | the clip alone |" in table


def test_results_of_another_prompt_are_refused(run):
    change(run / "results.json", prompt={"name": "speechcuellm", "sha256": "0" * 64})
    with pytest.raises(EvaluationError, match=r"results\.json was scored with prompt .*speechcuellm.*speechcue"):
        model_card(run)


def test_another_describer_is_refused(run):
    change(run / "describer.json", min_past=9)
    with pytest.raises(EvaluationError, match=r"describer\.json is not the describer of the training"):
        model_card(run)


def test_a_folder_without_training_record_is_refused(tmp_path):
    with pytest.raises(RecordError, match=r"holds no training\.json"):
        model_card(tmp_path)


@pytest.fixture(scope="session")
def stages(speech):
    """Folders ``stage1`` to ``stage3``, the last with its results."""
    return speech / "runs"


@pytest.mark.parametrize(
    ("stage", "says", "tag", "prints"),
    [
        (1, "pretrained on captions of clips by matching, contrast and generation", "feature-extraction", "parameters"),
        (2, "joined to the frozen language model `tiny`", "audio-text-to-text", "turn 0 -> "),
        (3, "a LoRA adapter, with its speech adapter, for `stage2`", "audio-text-to-text", "turn 0 -> "),
    ],
)
def test_each_stage_of_a_model_that_hears_has_a_card_whose_example_runs(
    stages, stage, says, tag, prints, monkeypatch, capsys
):
    folder = stages / f"stage{stage}"
    card = model_card(folder)
    text = " ".join(card.content.split())
    assert says in text and card.data.pipeline_tag == tag
    assert "**Hears one clip at a time.**" in text and " tiny" in text
    assert "| `explanation` | gender, pitch, speed, volume, transcript, emotion |" in text
    assert "Captions: train 16 of 18 rows." in text
    assert "licence: CC0-1.0" in text and "3 levels, compared with the baseline `overall`" in text
    assert ("It knows 3 emotions: angry, happy, sad." in text) == (stage > 1)
    assert ("has not been evaluated" in text) == (stage < 3)
    assert str(stages) not in text and "\n\n\n" not in card.content and "None |" not in text
    monkeypatch.chdir(folder)
    capsys.readouterr()
    exec(code(card.content), {})
    assert prints in capsys.readouterr().out


def test_faithfulness_of_explanations_is_on_the_card(run):
    pitch = {"claims": 5, "unmeasured": 1, "agree": 3, "faithfulness": 0.75, "stated": 1.0}
    speed = {"claims": 0, "unmeasured": 0, "agree": 0, "faithfulness": None, "stated": 0.0}
    transcript = {"word_error_rate": 0.125, "words": 40}
    explanations = {"faithfulness": {"captions": 5, "pitch": pitch, "speed": speed}, "transcript": transcript}
    change(run / "results.json", explanations=explanations)
    card = model_card(run).content
    assert "| pitch | 75.00 % | 4 |" in card and "| speed |" not in card
    assert "Words of its transcripts that are wrong: 12.50 % of 40." in card


def test_a_model_taught_no_emotions_is_asked_for_captions(stages, tmp_path, monkeypatch, capsys):
    shutil.copytree(stages / "stage2", tmp_path / "stage2", ignore=shutil.ignore_patterns("checkpoint-*"))
    captions = read(tmp_path / "stage2" / "captions.json")
    style = {"parts": ["pitch", "volume"], "question": "Please describe the pitch and volume in the audio."}
    change(tmp_path / "stage2" / "captions.json", tasks={"pitch+volume": style}, **{"emotions": captions["emotions"]})
    card = model_card(tmp_path / "stage2").content
    assert read_run(tmp_path / "stage2").labels == [] and "It knows" not in card
    monkeypatch.chdir(tmp_path / "stage2")
    capsys.readouterr()
    exec(code(card), {})
    assert 'answer(clip, "pitch+volume")' in card and capsys.readouterr().out


def test_a_base_model_that_was_published_later_is_named_by_its_id(run):
    assert model_card(run).data.base_model is None
    change(run / "adapter_config.json", base_model_name_or_path="me/base")
    assert model_card(run).data.base_model == "me/base"


def test_a_run_that_was_started_from_python_has_a_card(run, dataset_folder, monkeypatch, capsys):
    """Nobody told it how its rows were made, so no describer lies beside it."""
    (run / "describer.json").unlink()
    change(run / "training.json", describer_sha256=None)
    (run / "results.json").unlink()
    (run / "data").mkdir()
    (run / "data" / "described").symlink_to(dataset_folder)
    assert main(["card", str(run)]) == 0
    card = model_card(run).content
    assert "No record of this model says how the voice was measured" in card
    assert "`describer.save_pretrained(folder)` puts it there" in card and "EmotionRecognizer" not in card
    monkeypatch.chdir(run)
    capsys.readouterr()
    exec(code(card), {})
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 6 and all(re.fullmatch(r".+ -> (angry|happy|neutral)", line) for line in said)


def test_a_describer_that_the_training_names_must_be_there(run):
    (run / "describer.json").unlink()
    with pytest.raises(DescriberError, match=r"holds no describer\.json"):
        model_card(run)


def test_without_a_choice_of_the_best_step_none_is_named(run):
    change(run / "training.json", best={"step": None})
    assert "| steps | 2 |" in model_card(run).content
