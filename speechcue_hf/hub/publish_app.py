"""The app goes to the Hub as a Space: this package as it is here, and the command that starts it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import speechcue_hf
from speechcue_hf.environment import extra_requirements
from speechcue_hf.errors import PublishingError
from speechcue_hf.hub.upload import commit_files, repository
from speechcue_hf.models.base import HUB_ID
from speechcue_hf.templates import own_templates

PACKAGE = Path(speechcue_hf.__file__).parent
EXTRAS = (None, "app", "train", "transcribe")
"""What the app uses of this package: its page, models, and recognizers of speech."""


def publish_app(
    repo_id: str,
    *,
    models: Sequence[str] = (),
    describers: Sequence[str] = (),
    labels: Sequence[str] = (),
    private: bool = False,
    licence: str | None = None,
) -> str:
    """Publish the app as a Space, which starts it by the same command as ``speechcue app`` does here.

    This package goes along as it is installed here, so that the Space shows what was tried.

    Args:
        repo_id: ``user/name``; it is made if need be.
        models: Hub ids of the models that can be chosen.
        describers: Hub ids of the describers that can be chosen.
        labels: The emotions, for models that were not trained on the task.
        private: Whether a Space that is made now is private.
        licence: Of the Space, as the Hub names it; None states none.

    Returns:
        The commit, 40 hexadecimal digits.

    Raises:
        PublishingError: If a model or describer is on this machine only, or the Hub does not take the commit.
    """
    if here := [name for name in (*models, *describers) if not HUB_ID.fullmatch(name) or Path(name).exists()]:
        raise PublishingError(f"{here[0]} is no id on the Hub, so that the Space could not load it: publish it first")
    words = ["app"]
    for option, values in (("--model", models), ("--describer", describers), ("--labels", labels)):
        words += [option, *values] if values else []
    made = {
        "app.py": _filled("space_app.py.jinja", words=words),
        "requirements.txt": "\n".join(_requirements()) + "\n",
        "README.md": _filled(
            "space_card.md.jinja",
            title=repo_id.rpartition("/")[2],
            gradio=version("gradio"),
            python=".".join(map(str, sys.version_info[:2])),
            models=models,
            licence=licence,
            package_version=speechcue_hf.__version__,
        ),
    }
    repository(repo_id, "space", private=private)
    content = {name: text.encode() for name, text in made.items()} | dict(_package_files())
    return commit_files(repo_id, "space", content, "Publish the app", replaces=[f"{PACKAGE.name}/"])


def _filled(name: str, **variables: object) -> str:
    return own_templates("hub/templates", documents=True).get_template(name).render(**variables)


def _requirements() -> list[str]:
    """What this package and the extras of the app need, at the versions that are installed here."""
    names = dict.fromkeys(name for extra in EXTRAS for name in extra_requirements(extra))
    # A Space installs gradio itself, as its card says.
    return [_pinned(name) for name in names if name != "gradio"]


def _pinned(name: str) -> str:
    try:
        # What comes after a plus names the build of one machine, such as +cpu.
        return f"{name}=={version(name).partition('+')[0]}"
    except PackageNotFoundError:
        return name


def _package_files() -> Iterator[tuple[str, bytes]]:
    """The files of this package, but for hidden ones and what Python keeps: path in the Space → content."""
    for path in sorted(PACKAGE.rglob("*")):
        inside = path.relative_to(PACKAGE.parent)
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in inside.parts):
            yield inside.as_posix(), path.read_bytes()
