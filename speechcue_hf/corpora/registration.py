"""Makes ``load_dataset("speechcue/<corpus>")`` work: the only place that touches private parts of ``datasets``.

``datasets`` has no plugin hook (5.2): ``load_dataset`` asks a private table for the names of packaged modules and lists
every file below ``data_dir`` before it starts a builder. Our names are entered in that table, and for them (only) the
listing is replaced by the files that the loader says it watches, which also tell the cache when a file has changed.
``datasets`` takes most of a second to import, so a program that has not done so yet gets the names when it does.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from speechcue_hf.corpora.catalogue import NAMESPACE, Corpus, add_corpus, corpora, dataset_name, find_corpus

if TYPE_CHECKING:
    from datasets.load import DatasetModule, PackagedDatasetModuleFactory


def register_corpora() -> None:
    """Enter the corpora in ``datasets``, now or as soon as it is imported; calling it again changes nothing."""
    if "datasets" in sys.modules:
        _enter_all()
    elif not any(isinstance(finder, _AfterDatasets) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterDatasets())


def register_corpus(corpus: Corpus) -> None:
    """Add a corpus of your own, so that ``load_dataset("speechcue/<name>")`` reads it and its licence is kept.

    A package that is installed needs no call: it names its corpora under the entry point ``speechcue_hf.corpora``.

    Args:
        corpus: What is known of it; its loader can be imported.

    Raises:
        ValueError: If there is another one of that name.

    Example:
        >>> register_corpus(Corpus("cheers", "my_package.cheers", licence="CC-BY-4.0"))  # doctest: +SKIP
    """
    add_corpus(corpus)
    register_corpora()


class _AfterDatasets(MetaPathFinder):
    """Enters the corpora once ``datasets`` has been imported."""

    looking = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module as Python finds it without us, which calls us when it has been run."""
        if name != "datasets" or self.looking:
            return None
        self.looking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.looking = False
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_enter(module: ModuleType) -> None:
                run(module)
                _enter_all()

            spec.loader.exec_module = run_and_enter  # type: ignore[method-assign]
        return spec


def _enter_all() -> None:
    """Enter the names in the table of ``datasets``, and our listing of files in place of its own."""
    from datasets import packaged_modules
    from datasets.load import PackagedDatasetModuleFactory

    code = code_digest(Path(__file__).parent)
    for corpus in corpora().values():
        digest = code if corpus.loader.startswith(f"{__package__}.") else _digest_of(corpus.loader, code)
        packaged_modules._PACKAGED_DATASETS_MODULES.setdefault(NAMESPACE + corpus.name, (corpus.loader, digest))
    stock_module = PackagedDatasetModuleFactory.get_module
    if stock_module.__module__ == __name__:
        return

    def get_module(factory: PackagedDatasetModuleFactory) -> DatasetModule:
        corpus = find_corpus(factory.name.removeprefix(NAMESPACE)) if factory.name.startswith(NAMESPACE) else None
        return stock_module(factory) if corpus is None else _corpus_module(corpus, factory.data_dir)

    PackagedDatasetModuleFactory.get_module = get_module


def _corpus_module(corpus: Corpus, data_dir: str | None) -> DatasetModule:
    """The builder module of a corpus, with a hash that changes when a watched file or a loader does."""
    import datasets
    from datasets import packaged_modules
    from datasets.data_files import DataFilesDict, DataFilesList
    from datasets.load import DatasetModule

    name = NAMESPACE + corpus.name
    _, code = packaged_modules._PACKAGED_DATASETS_MODULES[name]
    watched = import_module(corpus.loader).watched
    has_folder = data_dir is not None or not corpus.needs_folder
    state = file_states(watched(Path(data_dir or "").expanduser().absolute())) if has_folder else []
    digest = hashlib.sha256("\n".join([code, datasets.__version__, *state]).encode()).hexdigest()
    no_files = DataFilesDict({"train": DataFilesList([], origin_metadata=[])})
    return DatasetModule(corpus.loader, digest, {"dataset_name": dataset_name(corpus.name), "data_files": no_files})


def code_digest(folder: Path) -> str:
    """SHA-256 of the loaders, their tables and what opens clips: rows of other code must not come from the cache.

    Args:
        folder: The package of the loaders.
    """
    opening = (folder.parent / name for name in ("audio.py", "decoders.py", "endings.py"))
    files = [*folder.glob("*.py"), *folder.glob("*.json"), *opening]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()


def _digest_of(loader: str, ours: str) -> str:
    """Fingerprint of a loader of another package: of its file, and of ours that it is built on."""
    spec = importlib.util.find_spec(loader)
    own = Path(spec.origin).read_bytes() if spec is not None and spec.origin is not None else b""
    return hashlib.sha256(ours.encode() + own).hexdigest()


def file_states(paths: Iterable[Path]) -> Iterator[str]:
    """Name, size and time of change of each file and of the files in each folder, one line for each, in a stable order.

    Args:
        paths: Files and folders; one that does not exist counts as such.
    """
    for path in paths:
        if path.is_dir():
            with os.scandir(path) as entries:
                yield from sorted(_state(entry.path, entry.stat()) for entry in entries if entry.is_file())
        elif path.exists():
            yield _state(str(path), path.stat())
        else:
            yield f"{path} absent"


def _state(path: str, status: os.stat_result) -> str:
    return f"{path} {status.st_size} {status.st_mtime_ns}"
