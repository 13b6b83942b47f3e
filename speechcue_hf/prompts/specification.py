"""What a prompt is: a Jinja2 template and the settings it is rendered with, both read from files.

A prompt file is JSON with the settings below; what it leaves out comes from the prompt it ``extends``. The template
defines three macros, so that all prompts of a dialogue can share its turns: ``opening(target)`` stands before them,
``turn(turn, cued)`` renders one, with its cues where ``cued``, and ``question(target)`` stands after them. They see
``prompt`` (the settings) and ``labels`` (the label words in order); a turn has ``speaker``, ``text``, ``description``,
``impression``, ``biography``, ``pitch`` and ``variation`` (names of levels), each None where it is not to be told, and
``measured``, whether there was a clip to measure, where cues are told at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, Literal

from jinja2 import TemplateSyntaxError

from speechcue_hf.errors import PromptError, RecordError
from speechcue_hf.records import (
    PROMPT_FILE,
    PROMPT_TEMPLATE_FILE,
    Record,
    parse_record,
    write_record,
    write_whole,
)
from speechcue_hf.sandbox import ForeignTemplate, foreign_template
from speechcue_hf.values import meant, nearest

_PRESETS = files("speechcue_hf.prompts") / "presets"


@dataclass(frozen=True)
class PromptSpecification(Record):
    """A prompt: its template and settings.

    Args:
        name: Name of the preset, or of the prompt file without its suffix.
        template: Text of the Jinja2 template.
        history: Turns shown before the target; None shows all from the start of the dialogue.
        future: Turns shown after the target, which no model can have that follows a conversation as it happens.
        system_message: Tell opening and conversation in a system message, and the question alone in the user's.
        description: Tell the target's ``speech_description``.
        impression: Tell the target's ``speech_impression``.
        biography: Tell the ``biography`` of the target's speaker.
        shortest_clip: In s; clips that are not longer get neither description nor impression. None: all clips do.
        context_cues: How many of the last turns, the target included, are followed by their cues. The paper shows four
            and writes ``(none pitch with none variation)`` behind a clip without voice, and so does its preset.
        audio_only: Show no text, only what is heard.
        question: Wording for a fine-tuned model or for one that was not trained on the task.
        question_count: How often the question is asked.
        speakers: Call speakers by ``name``, by number in order of ``appearance`` in the dialogue, or by ``gender``
            (0 male, 1 female).
        speaker_names: Speaker → name in the prompt, for those who are called otherwise.
        demonstrations: How many solved rows of the training split are shown before the question (few-shot).
        demonstrations_drawn: ``balanced`` shows every label equally often, as far as their number allows; ``random``
            draws from all rows alike.
        demonstrations_seed: Makes the draw reproducible.
        label_words: Label name → word in prompt and answer, for labels that are not their own word.
        replacements: Character → what replaces it in the text of a turn.
    """

    name: str
    template: str
    history: int | None
    future: int
    system_message: bool
    description: bool
    impression: bool
    biography: bool
    shortest_clip: float | None
    context_cues: int
    audio_only: bool
    question: Literal["fine_tuned", "zero_shot"]
    question_count: int
    speakers: Literal["name", "appearance", "gender"]
    speaker_names: Mapping[str, str]
    demonstrations: int
    demonstrations_drawn: Literal["balanced", "random"]
    demonstrations_seed: int
    label_words: Mapping[str, str]
    replacements: Mapping[str, str]

    FILE: ClassVar[str] = PROMPT_FILE
    FIX: ClassVar[str] = "compare it with the presets of speechcue_hf.prompts, or take another copy of the run"

    def __post_init__(self) -> None:
        if self.history is not None and self.history < 0:
            raise ValueError(f"history must be 0 or more turns, or null for all, got {self.history}")
        if self.future < 0:
            raise ValueError(f"future must be 0 or more turns, got {self.future}")
        if self.demonstrations < 0:
            raise ValueError(f"demonstrations must be 0 or more, got {self.demonstrations}")
        if self.demonstrations and self.system_message:
            raise ValueError(
                "demonstrations are earlier questions of a chat, which has one system message: "
                "set system_message to false, and each tells its own conversation"
            )
        if self.audio_only and not self.heard:
            raise ValueError("a prompt of audio only needs the description, the impression or both")

    @property
    def heard(self) -> bool:
        """Whether the prompt tells anything of the target's voice."""
        return self.description or self.impression

    @property
    def includes_voice(self) -> bool:
        """Whether the prompt tells anything of the voice of the target or of turns before it."""
        return self.heard or self.context_cues > 0

    @property
    def sees_future(self) -> bool:
        """Whether the prompt shows turns after the target; the biographies it tells may have seen some as well."""
        return self.future > 0

    @staticmethod
    def _identity(values: Mapping[str, Any]) -> str:
        """Everything that shapes the prompt: template and settings, but not the name."""
        return json.dumps({key: value for key, value in values.items() if key != "name"}, sort_keys=True)

    @property
    def named(self) -> dict[str, str]:
        """Name and fingerprint, for records."""
        return {"name": self.name, "sha256": self.fingerprint}

    def words(self, names: Sequence[str]) -> tuple[str, ...]:
        """The words that stand for labels, in the order of their names."""
        return tuple(self.label_words.get(name, name) for name in names)

    def save(self, folder: Path) -> None:
        """Write ``prompt.json``, which :func:`load_prompt` reads, and ``prompt.jinja`` into the folder of a model."""
        write_whole(self.template, folder / PROMPT_TEMPLATE_FILE)
        write_record(replace(self, template=PROMPT_TEMPLATE_FILE), folder)


def presets() -> list[str]:
    """Names of the prompts in this package, such as ``speechcue`` and ``speechcuellm``."""
    return sorted(entry.name.removesuffix(".json") for entry in _PRESETS.iterdir() if entry.name.endswith(".json"))


def load_prompt(prompt: str | Path | Mapping[str, Any] | PromptSpecification) -> PromptSpecification:
    """Find a prompt.

    Args:
        prompt: Name of a preset, path of a prompt file (``.json``), settings as in such a file (a mapping, or JSON, as
            on a command line), or a prompt.

    Returns:
        The prompt, with the settings of those it extends.

    Raises:
        PromptError: If there is no such prompt, a setting is missing, does not exist or has no such value, its template
            is not valid, or its file is of a newer release.

    Example:
        >>> load_prompt({"extends": "speechcuellm", "impression": True}).impression
        True
    """
    if isinstance(prompt, PromptSpecification):
        return prompt
    settings = _settings(prompt)
    if "format_version" not in settings:
        # What a person wrote, unlike a record of another release, is a mistake where it does not exist.
        known = [field.name for field in fields(PromptSpecification) if field.name != "unknown"]
        if wrong := [name for name in settings if name not in known]:
            fix = meant(wrong[0], known)
            raise PromptError(f"prompt {settings['name']!r} has a setting {wrong[0]!r}, which {fix}")
    try:
        specification = parse_record(PromptSpecification, settings, f"prompt {settings['name']!r}")
    except RecordError as error:
        raise PromptError(str(error)) from error
    compile_template(specification.template)
    return specification


def compile_template(template: str) -> ForeignTemplate:
    """Compile the text of a prompt template; a name that it uses and that does not exist is an error in rendering.

    Raises:
        PromptError: If it is not valid Jinja2.
    """
    try:
        return foreign_template(template)
    except TemplateSyntaxError as error:
        raise PromptError(f"the prompt's template is not valid in line {error.lineno}: {error.message}") from error


def _settings(prompt: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """All settings of a prompt, the text of its template included."""
    chain: list[dict[str, Any]] = []
    seen: list[str] = []
    base: Any = prompt
    while base is not None:
        own, folder = _own_settings(base)
        if "template" in own:
            own["template"] = _read(_beside(folder, own["template"], "template"))
        chain.append(own)
        base = own.pop("extends", None)
        if base is not None and base not in presets():
            base = _beside(folder, base, "extends")
            if str(base) in seen:
                raise PromptError(
                    f"prompt {own['name']!r} extends itself, by way of {base}: let one of them extend a preset"
                )
            seen.append(str(base))
    return {name: value for own in reversed(chain) for name, value in own.items()}


def _own_settings(prompt: str | Path | Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Settings as they stand in one file, and the folder in which the files lie that they name."""
    if isinstance(prompt, str) and prompt.startswith("{"):
        prompt = _parse(prompt, "the prompt")
    if isinstance(prompt, Mapping):
        return {"name": f"{prompt.get('extends', 'own')} with changes", **prompt}, None
    preset = str(prompt) in presets()
    path: Any = _PRESETS / f"{prompt}.json" if preset else Path(prompt)
    if not path.name.endswith(".json"):
        near = nearest(str(prompt), presets())
        fix = f"did you mean {near}?" if near else f"give the path of a .json file, or one of {presets()}"
        raise PromptError(f"there is no prompt {str(prompt)!r}: {fix}")
    settings = _parse(_read(path), str(path))
    return {"name": path.name.removesuffix(".json"), **settings}, _PRESETS if preset else path.parent


def _beside(folder: Any, name: Any, setting: str) -> Any:
    """The file that a prompt names, which lies in its own folder: a prompt of somebody else's leads nowhere else.

    What the user typed, which lies in no folder, may lead anywhere.
    """
    if folder is None and isinstance(name, str | Path):
        return Path(name)
    if not isinstance(name, str) or not re.fullmatch(r"[\w-][\w .-]*", name):
        raise PromptError(
            f"{setting} names {name!r}: a prompt names a file in its own folder by its name alone, so put it there"
        )
    path = folder / name
    if isinstance(path, Path) and path.is_symlink() and not _is_of_cache(path, folder):
        raise PromptError(f"{path} is a link out of its folder, which is not followed: put the file itself there")
    return path


def _is_of_cache(path: Path, folder: Path) -> bool:
    """Whether a link leads to what the Hub's cache keeps for the repository that its folder is of."""
    snapshots = next((place for place in folder.absolute().parents if place.name == "snapshots"), None)
    return snapshots is not None and path.resolve().is_relative_to(snapshots.parent.resolve() / "blobs")


def _parse(text: str, what: str) -> dict[str, Any]:
    try:
        settings: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PromptError(f"{what} is not valid JSON: {error}") from error
    if not isinstance(settings, dict):
        raise PromptError(f"{what} holds a {type(settings).__name__} and no table of settings")
    return settings


def _read(path: Any) -> str:
    try:
        return str(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise PromptError(f"there is no file {path}, which a prompt needs") from error
    except UnicodeDecodeError as error:
        raise PromptError(f"{path} is not utf-8 ({error})") from error
