"""Makes ``load_dataset("speechcue/<corpus>")`` work: the only place that touches private parts of ``datasets``.

``datasets`` has no plugin hook (5.2): ``load_dataset`` asks a private table for the names of packaged modules and lists
every file below ``data_dir`` before it starts a builder. Our names are entered in that table, and for them (only) the
listing is replaced by the files that the loader says it watches, which also tell the cache when a file has changed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import datasets
from datasets import packaged_modules
from datasets.data_files import DataFilesDict, DataFilesList
from datasets.load import DatasetModule, PackagedDatasetModuleFactory

if TYPE_CHECKING:
    from speechcue_hf.corpora.builder import CorpusBuilder

CORPORA = ("iemocap", "meld", "emorynlp", "dailydialog", "libritts", "wav_list", "demo", "folder")
NAMESPACE = "speechcue/"
DEMO = NAMESPACE + "demo"
"""The one corpus that lies in this package: its loader knows what to watch without a folder."""


def register() -> None:
    """Enter the loaders under ``speechcue/<corpus>`` in ``datasets``; calling it again changes nothing."""
    if NAMESPACE + CORPORA[0] in packaged_modules._PACKAGED_DATASETS_MODULES:
        return
    code = code_digest(Path(__file__).parent)
    names = {NAMESPACE + corpus: (f"speechcue_hf.corpora.{corpus}", code) for corpus in CORPORA}
    packaged_modules._PACKAGED_DATASETS_MODULES.update(names)
    stock_module = PackagedDatasetModuleFactory.get_module

    def get_module(factory: PackagedDatasetModuleFactory) -> DatasetModule:
        return corpus_module(factory.name, factory.data_dir) if factory.name in names else stock_module(factory)

    PackagedDatasetModuleFactory.get_module = get_module


def builder_of(corpus: str) -> type[CorpusBuilder]:
    """The loader of a corpus, which knows its licence.

    Args:
        corpus: Its name, one of ``CORPORA``.

    Returns:
        The builder class.

    Raises:
        ValueError: If there is no such corpus.
    """
    if corpus not in CORPORA:
        raise ValueError(f"there is no corpus {corpus!r}: choose from {', '.join(CORPORA)}")
    from speechcue_hf.corpora.builder import CorpusBuilder

    members = vars(import_module(f"speechcue_hf.corpora.{corpus}")).values()
    classes = [member for member in members if isinstance(member, type) and issubclass(member, CorpusBuilder)]
    return next(found for found in classes if found is not CorpusBuilder)


def corpus_module(name: str, data_dir: str | None) -> DatasetModule:
    """The builder module of a corpus, with a hash that changes when a watched file or a loader does.

    Args:
        name: Registered name, such as ``speechcue/meld``.
        data_dir: Folder of the corpus, or None.

    Returns:
        What ``datasets.load.dataset_module_factory`` returns for a packaged module.
    """
    module_path, code = packaged_modules._PACKAGED_DATASETS_MODULES[name]
    watched = import_module(module_path).watched
    has_folder = data_dir is not None or name == DEMO
    state = file_states(watched(Path(data_dir or "").expanduser().absolute())) if has_folder else []
    digest = hashlib.sha256("\n".join([code, datasets.__version__, *state]).encode()).hexdigest()
    no_files = DataFilesDict({"train": DataFilesList([], origin_metadata=[])})
    return DatasetModule(module_path, digest, {"dataset_name": name.replace("/", "_"), "data_files": no_files})


def code_digest(folder: Path) -> str:
    """Fingerprint of the loaders: rows that other code made must not come from the cache.

    Args:
        folder: The package of the loaders; its modules and the facts beside them count, and the module above it that
            opens clips.

    Returns:
        SHA-256, 64 hexadecimal digits.
    """
    files = [*folder.glob("*.py"), *folder.glob("*.json"), folder.parent / "audio.py"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()


def file_states(paths: Iterable[Path]) -> Iterator[str]:
    """Name, size and time of change of files; of a folder, those of the files in it.

    Args:
        paths: Files and folders; one that does not exist counts as such.

    Yields:
        One line per file, in a stable order.
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
