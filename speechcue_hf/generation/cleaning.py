"""What a chat model wrote, down to its answer: without reasoning, marks of its format, and polite wrappings."""

from __future__ import annotations

import json
import re

STILL_REASONING = (
    "the model was still reasoning when its tokens ran out: allow it more, or choose one that does not reason"
)

_NAMES = r"(?:seed:|antml:|ant_)?(?:think|thinking|thoughts?|reasoning|reflection|analysis|scratchpad)"
_OPENING = re.compile(
    rf"<{_NAMES}>|\[THINK\]|◁think▷|<\|(?:begin_of_thought|START_THINKING|think)\|>|<\|channel>(?:thought|analysis)\b",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    rf"</{_NAMES}>|\[/THINK\]|◁/think▷|<\|(?:end_of_thought|END_THINKING|/think)\|>|<channel\|>", re.IGNORECASE
)
"""Where models put their reasoning: DeepSeek, Qwen, MiniMax and most others; Magistral; Kimi; OpenThinker, Command A,
Gemma 4. Some chat templates open it themselves, so that a text only closes it."""

_CHANNEL = re.compile(
    r"<\|channel\|>\s*(\w+)(?:[^<]|<\|constrain\|>)*<\|message\|>(.*?)(?=<\|(?:end|return|call|start|channel)\|>|\Z)",
    re.DOTALL,
)
"""gpt-oss writes in channels (the harmony format): ``analysis``, ``commentary``, and ``final`` for its answer."""
_BARE_CHANNELS = re.compile(r"\A(?:assistant)?analysis(?=[A-Z]).*?(?:assistantfinal|\Z)", re.DOTALL)
"""The same where a server took the special tokens out and left the words between them."""

_END_MARKS = re.compile(
    r"</s>|<\|(?:im_end|eot_id|end|endoftext|end_of_text|eom_id|return|END_RESPONSE|end_of_solution)\|>|<end_of_turn>"
    r"|<｜end▁of▁sentence｜>|<turn\|>"
)
_START_MARKS = re.compile(
    r"<s>|<bos>|<\|begin_of_text\|>|\[/?INST\]|<start_of_turn>(?:model|user)?|<\|im_start\|>(?:assistant|user|system)?"
    r"|<\|start_header_id\|>\w*<\|end_header_id\|>|<\|(?:START_RESPONSE|begin_of_solution)\|>|<\|turn>(?:model)?"
)

_KIND = (
    r"(?:biograph\w+|bio|profile|summary|caption|description|sentence|paragraph|answer|response|output|text|version)"
)
_ANSWER_TAG = re.compile(r"<(answer|response|output|final_answer|final|biography|caption)>(.*?)</\1>\s*\Z", re.DOTALL)
_FENCE = re.compile(r"\A```\w*[ \t]*\n(.*?)\n?```\Z", re.DOTALL)
_HEADING = re.compile(
    rf"\A(?:\#{{1,6}}\s*)?(?:\*\*|__)?(?:(?:short|brief|final|speaker) ){{0,2}}{_KIND}(?: of [^\n:*]{{1,40}})?"
    r":?(?:\*\*|__)?:?[ \t]*(?:\n|(?<=:)|(?<=:\*\*)|(?<=:__))\s*",
    re.IGNORECASE,
)
_CONSENT = r"(?:Sure(?: thing)?|Certainly|Of course|Absolutely|Okay|OK|Alright|Gladly|Great|No problem|Happy to help)"
_OPENER = re.compile(
    rf"\A(?:{_CONSENT}[!.,:]*\s*\n|(?:{_CONSENT}[!.,]*\s+)?(?:Here(?:['’]s| is| are)|Below is)\b[^\n:]{{0,80}}\b{_KIND}"
    r"\b[^\n:]{0,80}:(?:\*\*)?\s*)",
    re.IGNORECASE,
)
_OFFER = (
    r"(?:please )?(?:let me know|feel free to)|(?:I )?hope (?:this|that) helps|would you like me|do you want me"
    r"|is there anything else|if you(?:['’]d| would)? (?:like|need|want)\b[^\n]*\blet me know|\(?word count:"
)
_CLOSER = re.compile(
    rf"(?:(?<=[.!?…\"”*`])\s+|\n\s*)(?:-{{3,}}\s*)?(?:{_OFFER})[^\n]*\Z",
    re.IGNORECASE,
)


def answer_in(text: str) -> tuple[str, bool]:
    r"""Take out of a text what is not its answer.

    First goes reasoning, of which the last is taken to end before the answer, and what follows an end mark; then the
    marks of chat formats; then what is wrapped round the answer: tags, a fence, JSON with one string, a heading, the
    sentence that hands the answer over and the one that offers more.

    Args:
        text: As the model gave it.

    Returns:
        The answer, empty if there is none, and whether the model was still reasoning when the text ended.

    Example:
        >>> answer_in("<think>Ann laughs.</think>Sure! Here is a biography:\n\nAnn is warm.<|im_end|>")
        ('Ann is warm.', False)
    """
    answer, unfinished = without_reasoning(text)
    answer = answer.lstrip()
    while (mark := _END_MARKS.match(answer)) or (mark := _START_MARKS.match(answer)):
        answer = answer[mark.end() :].lstrip()
    answer = _START_MARKS.sub("", _END_MARKS.split(answer, maxsplit=1)[0]).strip()
    while (inner := _unwrapped(answer)) != answer:
        answer = inner
    return answer, unfinished


def without_reasoning(text: str) -> tuple[str, bool]:
    """Take out of a text what a model reasoned before its answer, and nothing else.

    Args:
        text: As the model gave it.

    Returns:
        The rest, and whether the model was still reasoning when the text ended.

    Example:
        >>> without_reasoning("<think>She laughs.</think>happy")
        ('happy', False)
    """
    channels: list[tuple[str, str]] = _CHANNEL.findall(text)
    if channels:
        finals = [message for name, message in channels if name == "final"]
        return (finals[-1], False) if finals else ("", True)
    if bare := _BARE_CHANNELS.match(text):
        return text[bare.end() :], bare.end() == len(text)
    *_, end = [0, *(mark.end() for mark in _CLOSING.finditer(text))]
    answer = text[end:]
    opening = _OPENING.search(answer)
    return (answer, False) if opening is None else (answer[: opening.start()], True)


def _unwrapped(text: str) -> str:
    """A text without its outermost wrapping; as it is where that would leave nothing."""
    inner = text
    if found := _ANSWER_TAG.search(text) or _FENCE.match(text):
        inner = found[found.lastindex or 0]
    elif text.startswith("{") and text.endswith("}"):
        inner = _only_string(text)
    elif opening := _HEADING.match(text) or _OPENER.match(text):
        inner = text[opening.end() :]
    elif closing := _CLOSER.search(text):
        inner = text[: closing.start()]
    return inner.strip() or text


def _only_string(text: str) -> str:
    """The value of a table in JSON that has one entry, a string."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return text
    match list(values.values()):
        case [str(value)]:
            return value
    return text
