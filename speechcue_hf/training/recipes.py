"""Recipes: YAML files with every setting of a run, found by path or by name, and what a command line sets instead."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml  # type: ignore[import-untyped]

from speechcue_hf.errors import PromptError, TrainingError
from speechcue_hf.metrics.spread import spread_of
from speechcue_hf.records import SeedsRecord, TrainingRecord, read_record, write_record
from speechcue_hf.values import fitted, meant, nearest

Kind = Literal["chat", "encoder", "speech"]

_KIND_OF = {"encoder": "encoder", "stage": "speech"}
"""Setting that only recipes of a kind have → kind; all others fine-tune a chat model."""

_NAMES: dict[Kind, str] = {
    "chat": "a chat model, which names neither encoder nor stage",
    "encoder": "an encoder classifier, which names its encoder",
    "speech": "a stage of SEmoLLM, which names its stage",
}
"""Kind → what its recipes are of."""

_COMMAND_LINE = "on the command line"


@dataclass(frozen=True)
class Recipe:
    """A run that is to be made: the kind of model, and the settings of data, model and training."""

    kind: Kind
    data: Any
    model: Any
    training: Any


def parse_recipe(arguments: Sequence[str]) -> Recipe:
    """Read a recipe and the settings that stand after it, and hold each against its type before anything is loaded.

    Args:
        arguments: The dataset folder, ``--config`` with a recipe's name or path, ``--resume``, and settings as
            ``setting=value`` or ``--setting value``; values are YAML, such as ``seeds=[1,11,42]``.

    Returns:
        The recipe.

    Raises:
        TrainingError: If there is no such recipe, a setting does not exist or is given twice, or a value is of another
            type, none of the choices or out of range; the message says where the setting stands.

    Example:
        >>> parse_recipe(["--config", "quickstart", "seeds=[1,2]"]).data.seeds
        [1, 2]
    """
    given: dict[str, str] = {}
    for name, value in _pairs(arguments):
        if name in given:
            raise TrainingError(f"{name} is given twice, as {given[name]!r} and {value!r}: leave one out")
        given[name] = value
    config = given.pop("config", None)
    settings = {} if config is None else _read_recipe(config)
    kind: Any = next((_KIND_OF[name] for name in _KIND_OF if name in {**settings, **given}), "chat")
    places = {**dict.fromkeys(settings, f"in {config}"), **dict.fromkeys(given, _COMMAND_LINE)}
    return _filled(kind, _values(kind, settings, given, places), places)


def train_recipe(recipe: Recipe) -> Path:
    """Train on the dataset folder that a recipe names, once or with several seeds.

    Args:
        recipe: What is to be trained; its dataset must be named, and for SEmoLLM its captions.

    Returns:
        The output folder. With ``seeds`` it holds a folder for each, ``seed-1`` and so on, and ``seeds.json`` with mean
        and standard deviation of their scores on the selection split.

    Raises:
        TrainingError: If a folder is not named, or as the training of that kind of model says.
        CorpusError: If a folder holds no dataset.
    """
    if recipe.data.dataset is None:
        raise TrainingError("no dataset is named: give --dataset the folder of the rows, or of the clips of a SEmoLLM")
    run = _run(recipe, Path(recipe.data.dataset))
    seeds, training = recipe.data.seeds, recipe.training
    if seeds is None:
        return run(training)
    output = Path(training.output_dir)
    runs = [run(replace(training, seed=seed, output_dir=str(output / f"seed-{seed}"))) for seed in seeds]
    if training.process_index == 0:
        best = [read_record(TrainingRecord, folder).best for folder in runs]
        scores = [{name: value for name, value in scores.items() if name != "step"} for scores in best]
        write_record(SeedsRecord(tuple(seeds), spread_of(scores)), output)
    return output


def _run(recipe: Recipe, folder: Path) -> Callable[[Any], Path]:
    """What trains with the settings it is given."""
    from speechcue_hf.corpora.parquet import read_dataset
    from speechcue_hf.cues.measure import tell_unmeasured
    from speechcue_hf.provenance import Provenance

    data, model = recipe.data, recipe.model
    if recipe.kind == "speech":
        from speechcue_hf.training.semollm import check_stage, train_stage

        if model.captions is None:
            raise TrainingError("no captions are named: give --captions the folder that `speechcue caption` wrote")
        check_stage(model)
        return partial(train_stage, read_dataset(folder), read_dataset(Path(model.captions)), data, model)
    train: Callable[..., Path]
    if recipe.kind == "encoder":
        from speechcue_hf.training.encoder import train_encoder as train
    else:
        from speechcue_hf.training.sft import fine_tune as train
    dataset = read_dataset(folder)
    tell_unmeasured(dataset, folder)
    return partial(train, dataset, data, model, provenance=Provenance.of(folder))


def _read_recipe(name: str) -> dict[str, Any]:
    """Read the settings of a recipe."""
    known = packaged_recipes()
    path = known.get(name) or Path(name)
    if not path.is_file():
        raise TrainingError(f"there is no recipe file {name!r}, and a recipe of that name {meant(name, known)}")
    try:
        settings: Any = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise TrainingError(f"{name} is no YAML ({' '.join(str(error).split())}): correct it") from error
    if not isinstance(settings, dict):
        raise TrainingError(f"{name} holds a {type(settings).__name__} and no table of settings: correct it")
    return settings


def _classes(kind: Kind) -> tuple[type, type, type]:
    """Classes of the settings of data, model and training."""
    from speechcue_hf.training import arguments

    return {
        "chat": (arguments.FineTuning, arguments.ModelSettings, arguments.TrainingSettings),
        "encoder": (arguments.DataSettings, arguments.EncoderSettings, arguments.EncoderTraining),
        "speech": (arguments.DataSettings, arguments.StageSettings, arguments.StageTraining),
    }[kind]


@cache
def packaged_recipes() -> dict[str, Path]:
    """The recipes of this package: name → file, in order."""
    folder = Path(str(files("speechcue_hf"))) / "recipes"
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.yaml"))}


def _pairs(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Settings on a command line and their values as they stand there: ``a=1``, ``--a 1``, ``--a=1``, ``--a``."""
    words, named = deque(arguments), False
    while words:
        name, equals, value = words.popleft().partition("=")
        if not equals and not name.startswith("-"):
            if named:
                raise TrainingError(f"{name!r} is not of the form setting=value, such as learning_rate=1e-4")
            name, equals, value, named = "dataset", "=", name, True
        elif name.startswith("-") and not name.startswith("--"):
            raise TrainingError(f"{name!r} is no setting: settings are written setting=value or --setting value")
        name = name.removeprefix("--").replace("-", "_")
        if not equals:
            values = [words.popleft()] if words and not words[0].startswith("--") else []
            while values and _is_list(name) and words and not re.match(r"--|\w+=", words[0]):
                values.append(words.popleft())
            # Several are a list, and none is a switch that is turned on.
            value = f"[{', '.join(values)}]" if len(values) > 1 else values[0] if values else "true"
        yield ("resume_from_checkpoint" if name == "resume" else name), value


def _is_list(name: str) -> bool:
    """Whether a setting of any kind of recipe takes several values."""
    found = (_hints_of(kind).get(name) for kind in _NAMES)
    return any(get_origin(hint) is list for it in found for hint in (it, *get_args(it)))


def _values(
    kind: Kind, settings: Mapping[str, Any], given: Mapping[str, str], places: Mapping[str, str]
) -> dict[str, Any]:
    """Every setting in its type: those of the recipe, and those of the command line, which come as text."""
    hints, values = _hints_of(kind), {}
    for name, place in places.items():
        if name not in hints:
            raise TrainingError(f"the setting {str(name)!r} {_fix(str(name), kind)} ({place})")
        hint = hints[name]
        try:
            values[name] = _parsed(name, given[name], hint) if name in given else fitted(name, settings[name], hint)
            _check_choice(name, values[name], hint)
        except (TypeError, ValueError) as error:
            raise TrainingError(f"{error} ({place})") from error
    return values


def _filled(kind: Kind, values: Mapping[str, Any], places: Mapping[str, str]) -> Recipe:
    """The recipe with all its settings, which must fit each other."""
    from speechcue_hf.training.arguments import check_settings

    try:
        parts = [
            each(**{name: value for name, value in values.items() if name in _hints(each)}) for each in _classes(kind)
        ]
        check_settings(*parts)
        recipe = Recipe(kind, *parts)
        _check_tables(recipe)
    except (TypeError, ValueError, PromptError) as error:
        message = " ".join(str(error).split())
        meant_ones = dict.fromkeys(places[name] for name in places if re.search(rf"\b{name}\b", message))
        raise TrainingError(f"{message} ({' and '.join(meant_ones) or 'with the other settings'})") from error
    return recipe


def _check_tables(recipe: Recipe) -> None:
    """Read those settings that are tables of others: a prompt, an augmentation."""
    if recipe.kind == "chat" and recipe.data.prompt is not None:
        from speechcue_hf.prompts.specification import load_prompt

        load_prompt(recipe.data.prompt)
    if recipe.kind == "speech" and recipe.model.augmentation is not None:
        from speechcue_hf.training.augmentation import Augmentation

        Augmentation.of(recipe.model.augmentation)


def _check_choice(name: str, value: Any, hint: Any) -> None:
    """Refuse a text that is no member of an enumeration; transformers' own error does not name the setting."""
    for kind in get_args(hint):
        if isinstance(kind, type) and issubclass(kind, Enum) and isinstance(value, str):
            choices = [str(choice.value) for choice in kind]
            if value not in choices:
                raise ValueError(f"{name}: {value!r} {meant(value, choices)}")


def _fix(name: str, kind: Kind) -> str:
    """What to say of a setting that recipes of a kind do not have."""
    if others := [other for other in _NAMES if name in _hints_of(other)]:
        return f"is one of recipes of {_NAMES[others[0]]}; this one is of {_NAMES[kind]}"
    for other in (kind, *_NAMES):
        if near := nearest(name, _hints_of(other)):
            return f"does not exist: did you mean {near}?"
    return "does not exist: `speechcue recipes NAME` prints a recipe with its settings"


def _parsed(name: str, text: str, hint: Any) -> Any:
    """A value as YAML reads it, or, where it is another type that is wanted, as the text that it is or as a list."""
    kinds = (hint, *get_args(hint))
    lists = any(get_origin(kind) is list for kind in kinds)
    for written in (text, f"[{text}]")[: 2 if lists and str not in kinds else 1]:
        try:
            return fitted(name, yaml.safe_load(written), hint)
        except (TypeError, yaml.YAMLError):
            continue
    return fitted(name, text, hint)


def _hints_of(kind: Kind) -> dict[str, Any]:
    """Setting of recipes of a kind → type."""
    return {name: hint for each in _classes(kind) for name, hint in _hints(each).items()}


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Setting → type."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind) if field.init}
