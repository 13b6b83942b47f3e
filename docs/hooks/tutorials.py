"""Tutorials: notebooks become pages, with what they print when SPEECHCUE_DOCS_RUN is set.

The manifest, ``docs/tutorials/manifest.yaml``, names each notebook with its time limit. Two run at a time, each in a
folder of its own; a cell that fails, or takes too long, fails the build.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import nbformat
import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient
from nbconvert import MarkdownExporter
from nbformat import NotebookNode

logger = logging.getLogger("mkdocs.hooks.tutorials")

FOLDER = Path(__file__).parents[1] / "tutorials"
ROOT = FOLDER.parents[1]
COLAB = "https://colab.research.google.com/github/{repository}/blob/main/docs/tutorials/{name}.ipynb"
BADGE = "[Open in Colab]({colab}){{ .md-button }} [Notebook]({source}){{ .md-button }}"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each notebook of the manifest."""
    manifest = yaml.safe_load((FOLDER / "manifest.yaml").read_text(encoding="utf-8"))
    if os.environ.get("SPEECHCUE_DOCS_RUN"):
        with surroundings() as environment, ThreadPoolExecutor(2) as pool:
            notebooks = [*pool.map(lambda name: run(name, environment, **manifest[name]), manifest)]
    else:
        logger.info("the tutorials are shown without what they print: set SPEECHCUE_DOCS_RUN=1 to run them")
        notebooks = [read(name) for name in manifest]
    for name, notebook in zip(manifest, notebooks, strict=True):
        text, pictures = page(name, notebook, str(config.repo_name))
        files.append(File.generated(config, f"tutorials/{name}.md", content=text))
        for picture, content in pictures.items():
            files.append(File.generated(config, f"tutorials/{picture}", content=content))
    return files


def read(name: str) -> NotebookNode:
    """A notebook as it is kept, without outputs."""
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def run(name: str, environment: dict[str, str], seconds: int) -> NotebookNode:
    """A notebook with what its cells print; cells for Colab alone are left out of the run."""
    notebook = read(name)
    with tempfile.TemporaryDirectory() as folder:
        place = {"metadata": {"path": folder}}
        client = NotebookClient(notebook, timeout=seconds, resources=place, coalesce_streams=True)
        client.execute(env={**os.environ, **environment})
    return notebook


@contextmanager
def surroundings() -> Iterator[dict[str, str]]:
    """A Hub and a chat server on loopback, which the notebooks speak to, and a cache of their own."""
    import sys

    sys.path.insert(0, str(ROOT))
    with ExitStack() as stack:
        cache = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        os.environ.setdefault("HF_HOME", cache)
        from speechcue_hf.models.tiny import build_tiny_model
        from tests.hub.hub_server import TOKEN, Hub
        from tests.inference.label_server import serving

        model, tokenizer = build_tiny_model(["Which emotion? happy sad neutral angry"], vocabulary=300)
        server = stack.enter_context(serving(model, tokenizer, ["top_logprobs", "json_schema"]))
        yield {
            "HF_HOME": cache,
            "HF_HUB_OFFLINE": "0",
            "HF_ENDPOINT": Hub().endpoint,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
            "HF_TOKEN": TOKEN,
            "OMP_NUM_THREADS": "1",
            "PYTHONWARNINGS": "ignore",
            "PYTHONPATH": str(ROOT),
            "SPEECHCUE_SERVER": server.base_url,
        }


def page(name: str, notebook: NotebookNode, repository: str) -> tuple[str, dict[str, Any]]:
    """The page of a notebook, with links that open it elsewhere, and its pictures by name."""
    exporter = MarkdownExporter()
    text, resources = exporter.from_notebook_node(notebook, {"unique_key": name, "output_files_dir": f"{name}_files"})
    title, rest = text.strip().split("\n", 1)
    links = BADGE.format(
        colab=COLAB.format(repository=repository, name=name),
        source=f"https://github.com/{repository}/blob/main/docs/tutorials/{name}.ipynb",
    )
    return f"{title}\n\n{links}\n{rest}", resources["outputs"]
