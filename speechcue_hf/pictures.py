"""How all pictures of this package look, and how they are written: without a display, as PNG or SVG."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

from matplotlib import colormaps, rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Parameters = ParamSpec("Parameters")

FORMATS = ("png", "svg")
SCALE = "cividis"
"""Of all shades that mean a number: from dark blue to light yellow, told apart by colour-blind eyes and in grey."""
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
"""Colours for things of different kinds, after Okabe and Ito (2008)."""

_SIZE = 9
_SIZES = ("font", "figure.title", "axes.title", "axes.label", "xtick.label", "ytick.label", "legend.font")
_LOOK: dict[Any, Any] = {f"{name}{'.size' if name == 'font' else 'size'}": _SIZE for name in _SIZES} | {
    # Texts stay texts, which can be searched and read out; the same picture gives the same file.
    "svg.fonttype": "none",
    "svg.hashsalt": "speechcue_hf",
}
_DOTS_PER_INCH = 120


def one_look(draw: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Let a function draw with the fonts of all pictures, whatever the user's matplotlib is set to."""

    @wraps(draw)
    def drawn(*arguments: Parameters.args, **named: Parameters.kwargs) -> None:
        with rc_context(_LOOK):
            draw(*arguments, **named)

    return drawn


def picture_files(path: Path, picture_format: str) -> list[Path]:
    """The files of a picture that a command draws: a PNG, which cards show, and an SVG beside it where asked for.

    Example:
        >>> [path.name for path in picture_files(Path("intervention.png"), "svg")]
        ['intervention.png', 'intervention.svg']
    """
    return [path, path.with_suffix(".svg")] if picture_format == "svg" else [path]


def shade(share: float) -> tuple[str, str]:
    """Colour for a value between 0 and 1, and the colour of text on it, as ``#rrggbb``.

    Example:
        >>> shade(0.0), shade(1.0)
        (('#00224e', '#ffffff'), ('#fee838', '#000000'))
    """
    red, green, blue, _ = colormaps[SCALE](share)
    text = "#ffffff" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.45 else "#000000"
    return "#" + "".join(f"{round(255 * part):02x}" for part in (red, green, blue)), text


def save_picture(figure: Figure, path: Path, title: str) -> None:
    """Write a figure; its folder is made.

    Args:
        figure: The figure.
        path: A ``.png`` or ``.svg``.
        title: Goes into the file, for those who cannot see the picture.

    Raises:
        ValueError: If the name ends otherwise.
    """
    if path.suffix[1:].lower() not in FORMATS:
        raise ValueError(f"{path} is neither PNG nor SVG: let its name end in .png or .svg")
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure)
    dated = {"Date": None} if path.suffix.lower() == ".svg" else {}
    figure.savefig(path, dpi=_DOTS_PER_INCH, metadata={"Title": " ".join(title.split()), **dated})
