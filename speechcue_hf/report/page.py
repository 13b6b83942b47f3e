"""The page of a report: one HTML file that asks nobody for anything.

What a corpus or a model says goes in as JSON, from which the page's script makes text, never markup. The content
security policy lets run this script alone, known by its hash, and opens no address.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from speechcue_hf.records import with_nulls
from speechcue_hf.templates import own_templates, template_source

_FOLDER = "report/templates"
_SCRIPT, _STYLE = "report.js", "report.css"


def render_page(report: Mapping[str, Any], clips: Mapping[int, bytes]) -> str:
    """Write the page.

    Args:
        report: What :func:`speechcue_hf.report.build.describe_report` says; values for JSON.
        clips: Place of a turn → its clip as Opus in WebM.

    Returns:
        The HTML.
    """
    script, style = (template_source(_FOLDER, name) for name in (_SCRIPT, _STYLE))
    return (
        own_templates(_FOLDER)
        .get_template("report.html.jinja")
        .render(
            title=str(report["title"]),
            script=script,
            style=style,
            script_hash=_hash(script),
            style_hash=_hash(style),
            report=script_json(report),
            clips=script_json({str(place): b64encode(clip).decode() for place, clip in clips.items()}),
        )
    )


def script_json(values: Mapping[str, Any]) -> str:
    r"""JSON that stands in a script element: nothing in it can end the element or begin another.

    Example:
        >>> print(script_json({"text": "</script><b>"}))
        {"text":"\u003c/script\u003e\u003cb\u003e"}
    """
    text = json.dumps(with_nulls(values), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    # Half a surrogate pair, which no file can hold.
    return text.encode("utf-8", "replace").decode("utf-8")


def _hash(source: str) -> str:
    """As a content security policy names what may run."""
    return f"sha256-{b64encode(sha256(source.encode()).digest()).decode()}"
