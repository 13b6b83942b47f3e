"""What biographies are made from and how they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from jinja2 import TemplateRuntimeError, TemplateSyntaxError

from speechcue_hf.errors import PromptError
from speechcue_hf.sandbox import ForeignTemplate, foreign_template

_TEMPLATES = files("speechcue_hf.biographies") / "templates"


@dataclass(frozen=True)
class BiographyPrompt:
    """The question that is asked for a biography.

    Args:
        name: Name of a preset, or of the template file without its suffix.
        template: Text of a Jinja2 template. It sees ``turns`` (those that may be seen, in order), ``target`` (the last
            of them that is the speaker's in question) and ``word_limit``; a turn has ``speaker`` (a name or None),
            ``number`` (of the speaker, in order of appearance, from 0) and ``text``.
    """

    name: str
    template: str

    @property
    def identity(self) -> dict[str, str]:
        """Its name and the SHA-256 of its template, for stores and records."""
        return {"name": self.name, "sha256": sha256(self.template.encode()).hexdigest()}

    def messages(
        self, turns: Sequence[Mapping[str, Any]], target: Mapping[str, Any], word_limit: int
    ) -> tuple[dict[str, str], ...]:
        """Ask for a biography.

        Args:
            turns: The turns that may be seen.
            target: One of them, whose speaker is asked about.
            word_limit: Most words of the biography.

        Returns:
            The conversation that the model continues: one user message.

        Raises:
            PromptError: If the template asks for something else.
        """
        try:
            text = _compiled(self.template).render(turns=turns, target=target, word_limit=word_limit)
        except TemplateRuntimeError as error:
            raise PromptError(f"the template {self.name} cannot be filled in: {error.message}") from error
        return ({"role": "user", "content": text},)


def load_biography_prompt(source: str | Path) -> BiographyPrompt:
    """Read a prompt.

    Args:
        source: ``"speechcue"`` (ours), ``"bioserc"`` (the paper's, word for word), or the path of a Jinja2 template.

    Returns:
        The prompt.

    Raises:
        PromptError: If there is no such preset or file, or its template is not valid.
    """
    preset = _TEMPLATES / f"{source}.jinja"
    place = preset if preset.is_file() else Path(source)
    if not place.is_file():
        raise PromptError(f"{source} is neither a prompt for biographies (speechcue, bioserc) nor a template file")
    template = place.read_text(encoding="utf-8")
    try:
        _compiled(template)
    except TemplateSyntaxError as error:
        raise PromptError(f"{source}, line {error.lineno}: {error.message}") from error
    return BiographyPrompt(Path(source).stem, template)


@dataclass(frozen=True)
class BiographySettings:
    """What biographies are made from, and how long they may be.

    Args:
        scope: ``"history"``: the biography of a row is made from turns before that row only. ``"dialogue"``: from the
            whole dialogue, its future included, as in the paper; scores with it are not scores on live conversations.
        refresh: With ``"history"``: turns of the dialogue after which a speaker's biography is written again, so that
            a dialogue of n turns needs at most n / refresh of each speaker, rounded up.
        word_limit: Most words, or characters in languages without blanks between words; longer texts are cut at the end
            of a sentence.
        prompt: The question.

    Raises:
        ValueError: If a value is none of the above.
    """

    scope: Literal["history", "dialogue"] = "history"
    refresh: int = 8
    word_limit: int = 100
    prompt: BiographyPrompt = field(default_factory=lambda: load_biography_prompt("speechcue"))

    def __post_init__(self) -> None:
        if self.scope not in ("history", "dialogue"):
            raise ValueError(f"scope must be history or dialogue, got {self.scope!r}")
        if self.refresh < 1:
            raise ValueError(f"refresh must be 1 or more turns, got {self.refresh}")
        if self.word_limit < 1:
            raise ValueError(f"word_limit must be 1 or more, got {self.word_limit}")

    @classmethod
    def bioserc(cls) -> BiographySettings:
        """The paper's: its prompt, the whole dialogue, 250 words.

        Source: Xue et al. (2024), BiosERC, ICANN.
        """
        return cls(scope="dialogue", word_limit=250, prompt=load_biography_prompt("bioserc"))

    @property
    def sees_future(self) -> bool:
        """Whether a biography is made from turns after the row that it stands in."""
        return self.scope == "dialogue"


def _compiled(template: str) -> ForeignTemplate:
    return foreign_template(template.removesuffix("\n"))
