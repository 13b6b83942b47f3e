"""The page of the app, by gradio. Nothing else in this package imports gradio.

It asks no other host for anything: no analytics, no share link, no fonts but those of the machine, and no history of
runs, which gradio would keep in the browser.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import Any
from uuid import uuid4

import gradio as gr

from speechcue_hf.app.changes import changes_table
from speechcue_hf.app.listening import Heard, Model, listen, together
from speechcue_hf.app.turns import ClipTurn, as_lines, parts_of, whole_clip, with_lines
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.errors import DescriberError, SpeechcueError, TranscriptionError
from speechcue_hf.tables import write_table
from speechcue_hf.templates import own_templates, template_source
from speechcue_hf.transcription.transcribe import Transcript

logger = logging.getLogger(__name__)

NO_MODEL = "none"
NO_DESCRIBER = "the turns with one another"

TAKES = ("First take", "Second take")

MOST_UPLOADED = "200mb"
"""Of one file: an hour and a half of a recording at 16 kHz in 16 bits."""

_LISTENING = "listening"
"""What uses a model takes its turn: gradio runs one event of this name at a time."""

_FONTS = ("system-ui", "sans-serif")
_CODE_FONTS = ("ui-monospace", "monospace")


@dataclass(frozen=True)
class Choices:
    """What can be chosen on the page, and what stands behind it.

    Args:
        models: Names of models.
        describers: Names of describers.
        load_model: From a name.
        load_describer: From a name.
        find_turns: Cuts a recording into its turns.
    """

    models: Sequence[str]
    describers: Sequence[str]
    load_model: Callable[[str], Model]
    load_describer: Callable[[str], SpeechDescriber]
    find_turns: Callable[[Path], Transcript]

    def model(self, name: str) -> Model | None:
        """The model of that name; None where none is chosen."""
        return None if name == NO_MODEL else self.load_model(name)

    def describer(self, name: str) -> SpeechDescriber | None:
        """The describer of that name; None where none is chosen."""
        return None if name == NO_DESCRIBER else self.load_describer(name)


def build_app(choices: Choices, folder: Path) -> gr.Blocks:
    """Build the page.

    Args:
        choices: What can be chosen on it.
        folder: For the tables and pages that it makes.

    Returns:
        The app, for :func:`serve`.
    """
    app: gr.Blocks
    with gr.Blocks(title="speechcue", analytics_enabled=False, delete_cache=(3600, 86400)) as app:
        gr.Markdown(template_source("app/templates", "introduction.md"))
        reference = gr.State(None)
        with gr.Row():
            model = gr.Dropdown(
                [NO_MODEL, *choices.models],
                value=[NO_MODEL, *choices.models][-1],
                label="Model",
                info="None: measurements and words only.",
            )
            describer = gr.Dropdown(
                [NO_DESCRIBER, *choices.describers],
                value=[NO_DESCRIBER, *choices.describers][-1],
                label="Voices are compared with",
                info="A model that was trained with a describer uses its own.",
            )
            explain = gr.Checkbox(
                label="Explain", info="Of a model that hears: why, each claim beside the measurement."
            )
        with gr.Tab("Conversation"):
            _conversation_tab(choices, folder, (model, describer, explain), reference)
        with gr.Tab("Two takes"):
            _takes_tab(choices, folder, (model, describer, explain), reference)
    return app


def serve(app: gr.Blocks, port: int | None, *, in_space: bool) -> str:
    """Start the app, and go on at once.

    Args:
        app: From :func:`build_app`.
        port: None takes a free one, from 7860 on.
        in_space: Listen where a Space is told to by its environment, not on loopback alone.

    Returns:
        Its address.
    """
    _, address, _ = app.launch(
        server_name=None if in_space else "127.0.0.1",
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        run_history=False,
        footer_links=[],
        max_file_size=MOST_UPLOADED,
        theme=_theme(),
        css=template_source("app/templates", "app.css"),
    )
    return str(address)


def _theme() -> gr.themes.Base:
    """Gradio's own, with fonts of the machine, and the little texts and buttons dark enough to be read."""
    return gr.themes.Default(font=_FONTS, font_mono=_CODE_FONTS).set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        link_text_color="*secondary_700",
        link_text_color_dark="*secondary_300",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
    )


def wait_for_end(app: gr.Blocks, ended: threading.Event) -> None:
    """Serve until the event is set, or the keyboard stops the program."""
    try:
        ended.wait()
    finally:
        app.close(verbose=False)


def _told(function: Callable[..., Any]) -> Callable[..., Any]:
    """Errors that this package foresees are messages on the page."""

    @wraps(function)
    def told(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except (SpeechcueError, OSError, ValueError, ImportError) as error:
            logger.info("%s", error)
            raise gr.Error(str(error), print_exception=False) from error

    return told


def _conversation_tab(choices: Choices, folder: Path, chosen: tuple[Any, ...], reference: gr.State) -> None:
    """Collect turns, then show them."""
    turns = gr.State([])
    with gr.Row():
        files = gr.File(
            label="Clips or recordings", file_count="multiple", type="filepath", file_types=["audio", "video"]
        )
        recorded = gr.Audio(label="Record", sources=["microphone"], type="filepath", buttons=[])
    cut = gr.Checkbox(
        label="Cut each into its turns", info="For a recording of several turns; without this each file is one turn."
    )
    with gr.Row():
        add = gr.Button("Add to the conversation")
        clear = gr.Button("Begin a new one")
    listed = gr.HTML(label="Turns")
    lines = gr.Textbox(
        label="Who says what",
        info="A line for each turn, in speaking order, such as “Ann: I got the job!”. Both may be missing.",
        lines=4,
    )
    show = gr.Button("Listen", variant="primary")
    page = gr.HTML(label="The conversation")
    made = _files_to_keep("To keep: a table, and this conversation as a page")

    add.click(
        _told(partial(_add_turns, choices)),
        [turns, lines, files, recorded, cut],
        [turns, listed, lines, files, recorded],
        api_name="add",
        concurrency_id=_LISTENING,
    )
    clear.click(
        lambda: ([], "", "", None, None, "", gr.update(value=None, visible=False)),
        None,
        [turns, listed, lines, files, recorded, page, made],
        api_name="clear",
    )
    shown = show.click(
        _told(partial(_show_turns, choices, folder)),
        [turns, lines, *chosen],
        [page, made, reference],
        api_name="listen",
        concurrency_id=_LISTENING,
    )
    shown.success(_visible, None, made, api_visibility="private")


def _takes_tab(choices: Choices, folder: Path, chosen: tuple[Any, ...], reference: gr.State) -> None:
    """Compare one clip and its words with another clip, other words, or both."""
    gr.Markdown(template_source("app/templates", "takes.md"))
    with gr.Row():
        clips, texts = [], []
        for name, info in zip(TAKES, (None, "Empty: as in the first."), strict=True):
            with gr.Column():
                clips.append(gr.Audio(label=name, sources=["upload", "microphone"], type="filepath", buttons=[]))
                texts.append(gr.Textbox(label=f"Words of the {name.lower()}", info=info))
    compare = gr.Button("Compare", variant="primary")
    changed = gr.HTML(label="What changed")
    page = gr.HTML(label="Both takes")
    made = _files_to_keep("To keep: a table, and both takes as a page")

    compared = compare.click(
        _told(partial(_compare_takes, choices, folder)),
        [*clips, *texts, reference, *chosen],
        [changed, page, made],
        api_name="compare",
        concurrency_id=_LISTENING,
    )
    compared.success(_visible, None, made, api_visibility="private")


def _add_turns(
    choices: Choices,
    known: list[ClipTurn],
    text: str,
    uploaded: list[str] | None,
    spoken: str | None,
    several: bool,
) -> tuple[list[ClipTurn], str, str, None, None]:
    """The turns with those of new files, as a list and as lines; what was chosen is empty again."""
    new = [*(uploaded or []), *([spoken] if spoken else [])]
    if not new:
        raise ValueError("choose files or record something first")
    found = [*with_lines(known, text), *(turn for path in new for turn in _turns_of(choices, path, several))]
    return found, _listed(found), as_lines(found), None, None


def _show_turns(
    choices: Choices, folder: Path, known: list[ClipTurn], text: str, model: str, describer: str, explain: bool
) -> tuple[str, list[str], SpeechDescriber | None]:
    """The conversation as a page, its files, and what later takes are compared with."""
    if not known:
        raise ValueError("add clips or a recording to the conversation first")
    heard = _listen(choices, with_lines(known, text), (model, describer, explain))
    report = heard.page("Conversation")
    return _framed(report, "Conversation"), _kept(folder, heard.table(), report), _reference(heard)


def _compare_takes(
    choices: Choices,
    folder: Path,
    first: str | None,
    second: str | None,
    said: str,
    other: str,
    known: SpeechDescriber | None,
    model: str,
    describer: str,
    explain: bool,
) -> tuple[str, str, list[str]]:
    """What changed between two takes, both as a page, and its files."""
    if first is None:
        raise ValueError("record or upload the first take")
    if second is None and not other.strip():
        raise ValueError("give a second take, other words, or both")
    takes = [{**whole_clip(first), "text": said}, {**whole_clip(second or first), "text": other.strip() or said}]
    # Each by itself: a take is no context of the other.
    heard = [_listen(choices, [take], (model, describer, explain), known) for take in takes]
    both = together(dict(zip(TAKES, heard, strict=True)))
    report = both.page("Two takes")
    return changes_table(*both.takes()), _framed(report, "Two takes"), _kept(folder, both.table(), report)


def _files_to_keep(label: str) -> gr.File:
    """Out of sight until there are some."""
    return gr.File(label=label, file_count="multiple", interactive=False, visible=False)


def _visible() -> Any:
    return gr.update(visible=True)


def _turns_of(choices: Choices, path: str, several: bool) -> list[ClipTurn]:
    """A file as one turn, or the turns that are found in it."""
    if not several:
        return [whole_clip(path)]
    found = choices.find_turns(Path(path))
    if not found.turns:
        raise TranscriptionError(f"{Path(path).name}: {found.problem}")
    return parts_of(path, found.turns)


def _listen(
    choices: Choices, turns: Sequence[ClipTurn], chosen: tuple[str, str, bool], known: SpeechDescriber | None = None
) -> Heard:
    """Listen as the page says; without a describer by one that is known."""
    model, describer, explain = chosen
    return listen(turns, model=choices.model(model), describer=choices.describer(describer) or known, explain=explain)


def _reference(heard: Heard) -> SpeechDescriber | None:
    """What later takes are compared with where no describer is chosen: the turns of the conversation."""
    try:
        return heard.describer() if heard.compared_with_itself and len(heard.rows) > 1 else None
    except DescriberError:
        return None


def _listed(turns: Sequence[ClipTurn]) -> str:
    """The turns by their files and times."""
    named = [{**turn, "name": Path(turn["audio"]).name} for turn in turns]
    return own_templates("app/templates", escaped=True).get_template("turns.html.jinja").render(turns=named)


def _framed(page: str, title: str) -> str:
    """A page of the report within the app's."""
    return own_templates("app/templates", escaped=True).get_template("page.html.jinja").render(page=page, title=title)


def _kept(folder: Path, table: list[dict[str, Any]], page: str) -> list[str]:
    """Files to download."""
    place = folder / uuid4().hex
    place.mkdir()
    write_table(table, place / "turns.csv")
    (place / "conversation.html").write_text(page, encoding="utf-8")
    return [str(place / "turns.csv"), str(place / "conversation.html")]
