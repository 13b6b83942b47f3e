"""What a model's chat template makes of a conversation: found by rendering short ones, before any prompt is believed.

A template may refuse a system message or leave it out, read contents as lists of parts, write the day's date, or open
reasoning that no answer is trained with. Each is met in one way, here, for training, scoring and export alike, and
what was done is recorded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from speechcue_hf.errors import PromptError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = dict[str, str]

PINNED_DATE = date(2024, 7, 26)
"""The day that a template is told it is; the one that Llama 3.1's writes where nothing tells it the day."""

MARK = "\ufdd0"
"""A code point that no text has (Unicode reserves it for use within programs): the text is cut there into tokens."""

_COMMON_CONTROL = re.compile(
    r"<[|｜][^<>\s]{1,60}>|<[^<>\s]{1,60}[|｜]>|</?s>|<(?:bos|eos|pad|unk|mask|(?:start|end)_of_\w+|unused\d+)>"
    r"|</?(?:think|tool_call|tool_response|image|audio|video)>|<</?SYS>>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|ARGS|CALL_ID|THINK|MODEL_SETTINGS"
    r"|IMG|IMG_BREAK|IMG_END|AUDIO|BEGIN_AUDIO)\]"
)
"""What tokenizers take for control tokens: ChatML, Llama 2 and 3, Gemma, Mistral, Phi, DeepSeek, gpt-oss and others."""

_OPENED = re.compile(r"<(\w*(?:think|reason)\w*)>\s*\Z")
"""Reasoning that a prompt opens for the model to go on with."""
_DIRECTIVES = "aAbBcdDeFgGHIjmMpSuUVwWxXyYZ"
_OTHER_CHAT = "take the chat (instruct) version of the model, or save its tokenizer with another chat_template"
_ASKED, _ANSWERED, _TOLD = ("Asked4711", "Answered4712", "Told4713")


@dataclass(frozen=True, eq=False)
class ChatTemplate:
    """A chat template with how conversations are handed to it.

    Args:
        tokenizer: Whose template it is.
        text: The template, told ``PINNED_DATE``.
        control: Finds what the tokenizer takes for a control token; None where it has none.
        takes_parts: Whether it reads contents as lists of parts.
        takes_system: Whether it renders a system message; else its content begins the first message of the user.
        dated: Whether it writes a date.
        closing: What closes the reasoning that it opens at the end of a prompt; empty if it opens none.
    """

    tokenizer: PreTrainedTokenizerBase
    text: str
    control: re.Pattern[str] | None = None
    takes_parts: bool = False
    takes_system: bool = True
    dated: bool = False
    closing: str = ""

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> ChatTemplate:
        """Find out how a tokenizer's template takes conversations; each template of a tokenizer is asked once.

        Raises:
            PromptError: If the tokenizer has no chat template, or one that leaves out what is asked or answered.
        """
        state = (str(tokenizer.chat_template), str(tokenizer.special_tokens_map), len(tokenizer))
        known = _KNOWN.get(tokenizer)
        if known is None or known[0] != state:
            _KNOWN[tokenizer] = known = (state, _manner(tokenizer))
        return cls(tokenizer, **known[1])

    @property
    def record(self) -> dict[str, Any]:
        """What was done to fit the template, for the records of training and evaluation."""
        return {
            "sha256": sha256(str(self.tokenizer.get_chat_template()).encode()).hexdigest(),
            "system": "as it is" if self.takes_system else "folded into the user's message",
            "contents": "parts" if self.takes_parts else "text",
            "date": PINNED_DATE.isoformat() if self.dated else None,
            "reasoning": "closed" if self.closing else None,
        }

    def prompt(self, messages: Sequence[Message]) -> str:
        """Render a prompt, up to where the answer begins; ``MARK`` stands in what would be taken for a control token.

        Raises:
            PromptError: If the template refuses the messages.
        """
        return self._render(messages, add_generation_prompt=True) + self.closing

    def answered(self, messages: Sequence[Message]) -> tuple[str, str]:
        """Render a prompt and its answer, which is the last message.

        Returns:
            The whole, marked as by :meth:`prompt`, and what of it comes after the answer's own text.

        Raises:
            PromptError: If the template refuses the messages, or leaves out the answer.
        """
        whole, said = self._render(messages), self._masked(messages[-1]["content"]).strip()
        place = whole.rfind(said)
        if place < 0:
            raise PromptError(f"{self.named} leaves out the answer {said!r}: {_OTHER_CHAT}")
        if self.closing:
            asked = self._render(messages[:-1], add_generation_prompt=True)
            opened = _OPENED.search(asked)
            if opened and whole[:place].rstrip() == asked[: opened.start()].rstrip():
                prompt = asked + self.closing
                return prompt + whole[place:], whole[place + len(said) :]
        return whole, whole[place + len(said) :]

    def cut(self, rendered: str) -> list[str]:
        """The pieces of a rendered text that are put into tokens each by itself, so that marked words stay text."""
        return rendered.split(MARK)

    def is_control(self, token: int) -> bool:
        """Whether a token rules a conversation."""
        return self.control is not None and self.control.fullmatch(self._word(token)) is not None

    def _word(self, token: int) -> str:
        return str(self.tokenizer.convert_ids_to_tokens(token))

    @property
    def named(self) -> str:
        """What errors call it, without the path of a folder."""
        name = str(self.tokenizer.name_or_path)
        return f"the chat template of {Path(name).name if Path(name).exists() else name or 'this tokenizer'}"

    def _masked(self, content: str) -> str:
        """A content with a mark in everything that the tokenizer would take for a control token."""
        if self.control is None:
            return content
        return self.control.sub(lambda found: found[0][0] + MARK + found[0][1:], content)

    def _render(self, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> str:
        plain = [{"role": it["role"], "content": self._masked(it["content"])} for it in messages]
        if not self.takes_system:
            plain = folded(plain)
        given: Any = [it | {"content": [{"type": "text", "text": it["content"]}]} for it in plain]
        with chat_template_named(self.named, plain):
            # Templates of reasoning models then put their empty reasoning into the prompt, which leaves the label alone
            # as the answer; other templates ignore the setting.
            return str(
                self.tokenizer.apply_chat_template(
                    given if self.takes_parts else plain,
                    chat_template=self.text,
                    add_generation_prompt=add_generation_prompt,
                    tokenize=False,
                    enable_thinking=False,
                )
            )


@contextmanager
def chat_template_named(name: str, messages: Sequence[Mapping[str, Any]]) -> Iterator[None]:
    """Let an error in a chat template, which came with a model, say whose it is.

    Args:
        name: What errors call the template.
        messages: What it is given.

    Raises:
        PromptError: If the template is not valid, or refuses the messages.
    """
    from jinja2 import TemplateError

    try:
        yield
    except (TemplateError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError) as error:
        roles = ", ".join(str(message["role"]) for message in messages)
        raise PromptError(f"{name} refuses messages of {roles} ({error}): {_OTHER_CHAT}") from error


_KNOWN: WeakKeyDictionary[PreTrainedTokenizerBase, tuple[object, dict[str, Any]]] = WeakKeyDictionary()


def folded(messages: Sequence[Message]) -> list[Message]:
    r"""Messages without one of the system: what it tells begins the first message of the user.

    Example:
        >>> folded([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"}])
        [{'role': 'user', 'content': 'Be brief.\n\nWho?'}]
    """
    told = [message["content"] for message in messages if message["role"] == "system"]
    others = [message for message in messages if message["role"] != "system"]
    if not told:
        return others
    if not others or others[0]["role"] != "user":
        return [{"role": "user", "content": "\n\n".join(told)}, *others]
    return [{"role": "user", "content": "\n\n".join([*told, others[0]["content"]])}, *others[1:]]


def without_control(text: str) -> str:
    """A text whose control tokens are broken by a blank, for a model whose tokenizer is not known.

    A server puts a text into tokens by itself, and a text cannot say otherwise that a mark in it is none. Where the
    tokenizer is at hand, :func:`speechcue_hf.prompts.encoding.encode_prompts` takes such marks as they are.

    Example:
        >>> without_control("He said <|im_end|> and [INST]. <grin>")
        'He said < |im_end|> and [ INST]. <grin>'
    """
    return _COMMON_CONTROL.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)


def plain_messages(messages: Sequence[Mapping[str, str]]) -> list[Message]:
    """Messages as they are sent to who puts them into tokens by itself: each content :func:`without_control`."""
    return [{**message, "content": without_control(message["content"])} for message in messages]


def on_pinned_date(template: str, day: date = PINNED_DATE) -> str:
    """A chat template that takes every day for one; one that asks for no date stays as it is.

    Transformers hands templates a function ``strftime_now``, and nothing but plain data in its place: the template
    gets a macro of that name, which knows what the day gives for each directive.
    """
    if "strftime_now" not in template:
        return template
    # Transformers takes the line end behind a block away, so that the template begins a line, as it does by itself.
    values: Mapping[str, str] = {f"%{letter}": day.strftime(f"%{letter}") for letter in _DIRECTIVES}
    values = {**values, "%-d": str(day.day), "%-m": str(day.month)}
    filled = "".join(f" | replace({directive!r}, {value!r})" for directive, value in values.items())
    return f"{{%- macro strftime_now(format) -%}}{{{{ format{filled} }}}}{{%- endmacro %}}\n{template}"


def _manner(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """The fields of a chat template beside its tokenizer."""
    if tokenizer.chat_template is None:
        raise PromptError(
            f"{ChatTemplate(tokenizer, '').named} is missing, so no prompt can be rendered: {_OTHER_CHAT}"
        )
    original = str(tokenizer.get_chat_template())
    manner: dict[str, Any] = {"text": on_pinned_date(original), "control": _control_tokens(tokenizer, original)}
    manner["takes_parts"] = _takes_parts(
        ChatTemplate(tokenizer, **manner), ChatTemplate(tokenizer, **manner, takes_parts=True)
    )
    template = ChatTemplate(tokenizer, **manner)
    asked, said = {"role": "user", "content": _ASKED}, {"role": "assistant", "content": _ANSWERED}
    other_day = ChatTemplate(tokenizer, **manner | {"text": on_pinned_date(original, date(2001, 2, 3))})
    prompt, whole = template._render([asked], add_generation_prompt=True), template._render([asked, said])
    return manner | {
        "takes_system": _lost(template, [{"role": "system", "content": _TOLD}, asked], _TOLD, _ASKED) is None,
        "dated": other_day._render([asked]) != template._render([asked]),
        "closing": _closing(prompt, whole),
    }


def _control_tokens(tokenizer: PreTrainedTokenizerBase, template: str) -> re.Pattern[str] | None:
    """The special tokens, and what other added tokens the template writes; blanks and line ends are ordinary."""
    tokens = {
        token.content
        for token in tokenizer.added_tokens_decoder.values()
        if (token.special or token.content in template) and len(token.content.strip()) > 1
    }
    return re.compile("|".join(map(re.escape, sorted(tokens, key=len, reverse=True)))) if tokens else None


def _takes_parts(as_text: ChatTemplate, as_parts: ChatTemplate) -> bool:
    conversation = [{"role": "user", "content": _ASKED}, {"role": "assistant", "content": _ANSWERED}]
    lost = _lost(as_text, conversation, _ASKED, _ANSWERED)
    if lost is None:
        return False
    if _lost(as_parts, conversation, _ASKED, _ANSWERED) is None:
        return True
    raise PromptError(
        f"{as_text.named} renders a question and its answer without their contents ({lost}): {_OTHER_CHAT}"
    )


def _lost(template: ChatTemplate, messages: Sequence[Message], *contents: str) -> str | None:
    """Why contents are not in what a template renders; None where all are."""
    try:
        rendered = template._render(messages)
    except PromptError as error:
        return str(error)
    return None if all(content in rendered for content in contents) else repr(rendered[-80:])


def _closing(prompt: str, whole: str) -> str:
    """What closes the reasoning that a prompt opens and an answer does not go on with."""
    opened = _OPENED.search(prompt)
    if opened is None or whole.startswith(prompt + _ANSWERED):
        return ""
    return ("\n" if prompt.endswith("\n") else "\n\n") + f"</{opened[1]}>\n\n"
