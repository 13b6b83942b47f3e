"""Docstrings as the site shows them: examples as code, and what is marked up as reStructuredText as Markdown."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

ROLE = re.compile(r":\w+:`~?([\w.]+)`")


class AsMarkdown(Extension):
    """Changes the docstring of everything that is loaded."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Change one docstring."""
        if obj.docstring:
            text = ROLE.sub(r"`\1`", obj.docstring.value).replace("``", "`")
            obj.docstring.value = re.sub(r"^( *)Example:$", r"\1Examples:", text, flags=re.MULTILINE)
