"""Pictures: how the cues are distributed and cut into levels, and what was heard in a clip or a dialogue."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

from speechcue_hf.cues import table
from speechcue_hf.cues.analysis import RATE, Curves
from speechcue_hf.cues.describe import SpeechDescriber, measured_values
from speechcue_hf.cues.levels import CueStatistics, FloatArray
from speechcue_hf.cues.normalisation import OVERALL, PAST
from speechcue_hf.pictures import LINES, one_look, save_picture, shade

STRIP = {
    "loudness": ("intensity_mean_db",),
    "loudness variation": ("intensity_sd_db",),
    "pitch": ("f0_median_hz", "f0_mean_hz"),
    "pitch variation": ("f0_sd_semitones", "f0_sd_hz"),
    "rate": ("articulation_rate_per_s",),
    "final contour": ("final_contour_semitones_per_s",),
    "jitter": ("jitter_local_ratio",),
    "shimmer": ("shimmer_local_ratio",),
    "spectral tilt": ("spectral_tilt_db_per_octave",),
}
"""Row of the strip of levels → the cues it shows, the first that has a level."""

LEVELS = (
    *("extremely_low", "very_low", "low", "moderately_low", "medium"),
    *("moderately_high", "high", "very_high", "extremely_high"),
)
"""Of all descriptions, lowest first."""

_MOST_GROUPS = 8
_GAP_S = 0.15


@dataclass(frozen=True)
class Turn:
    """One turn of a picture.

    Args:
        row: The utterance: ``text``, ``speaker``, level and description columns, whichever there are.
        curves: Its curves, or None without audio.
    """

    row: Mapping[str, Any]
    curves: Curves | None = None

    @property
    def seconds(self) -> float:
        """Width of the turn in the picture."""
        return 1.0 if self.curves is None else self.curves.seconds


@one_look
def plot_distributions(train: Dataset, describer: SpeechDescriber, path: Path) -> None:
    """Draw the distribution of each cue with the thresholds of its levels, overall and for each group.

    Below each histogram a bar per group: thin from the lowest to the highest threshold, thick between the quartiles,
    a dot at the median. The eight largest groups are drawn.

    Args:
        train: The rows the describer was fitted on.
        describer: The describer.
        path: Where the PNG or SVG goes.
    """
    cues = [cue for cue in describer.cues if describer.groups[OVERALL].cues[cue].count]
    shown = sorted(describer.groups, key=lambda name: (name != OVERALL, -describer.groups[name].rows))[:_MOST_GROUPS]
    labels = {cue.column: f"{cue.label} ({cue.unit})" for cue in table.cues()}
    columns = min(3, len(cues))
    lines = -(-len(cues) // columns)
    bars = 0.22 * len(shown)
    figure = Figure(figsize=(4.6 * columns, (2.0 + bars) * lines + 0.6), layout="constrained")
    grid = figure.add_gridspec(2 * lines, columns, height_ratios=[1.7, 0.3 + bars] * lines)
    for index, cue in enumerate(cues):
        line, column = divmod(index, columns)
        top = figure.add_subplot(grid[2 * line, column])
        bottom = figure.add_subplot(grid[2 * line + 1, column], sharex=top)
        _draw_histogram(top, measured_values(train.select_columns(cue)[:], [cue])[:, 0], describer, cue)
        _draw_group_bars(bottom, describer, cue, shown, named=column == 0)
        bottom.set_xlabel(labels[cue])
        bottom.xaxis.set_major_locator(MaxNLocator(5))
    more = len(describer.groups) - len(shown)
    figure.suptitle(
        f"{len(train):,} training rows cut into {describer.levels} levels, baseline: {describer.baseline}"
        + (f" ({more} smaller groups not drawn)" if more else "")
        + "\nDashed: thresholds over all rows. Bars: outer thresholds, quartiles and median of each group."
    )
    save_picture(figure, path, "Distributions of the cues with the thresholds of their levels")


@one_look
def plot_turns(turns: Sequence[Turn], path: Path, *, title: str) -> None:
    """Draw one clip or one dialogue: waveform, pitch, intensity with syllable nuclei, levels and words.

    Args:
        turns: The turns in order. What has no curves or no levels is left out.
        path: Where the PNG or SVG goes.
        title: Title of the picture.
    """
    starts = np.cumsum([0.0] + [turn.seconds + _GAP_S for turn in turns])[:-1]
    colours = _speaker_colours(turns)
    width = float(np.clip(4 + 0.9 * sum(turn.seconds for turn in turns), 9, 30))
    words = _word_lines(turns, characters=int((width - 1.5) * 12))
    cues = [name for name, columns in STRIP.items() if any(_level(turn.row, columns) for turn in turns)]
    heard = any(turn.curves is not None for turn in turns)
    heights = [*([1.2, 1.8, 1.8] if heard else []), *([0.32 * len(cues)] if cues else []), 0.165 * len(words)]
    figure = Figure(figsize=(width, sum(heights) + 1.2 + 0.3 * len(heights)), layout="constrained")
    figure.suptitle(title)
    *panels, last = np.atleast_1d(figure.subplots(len(heights), 1, height_ratios=heights))
    last.axis("off")
    last.text(0.0, 1.0, "\n".join(words), transform=last.transAxes, va="top", parse_math=False)
    if heard:
        _draw_curves(panels[:3], turns, starts, colours)
    if cues:
        _draw_levels(panels[-1], turns, starts, cues)
    if panels:
        _draw_time_axis(panels, turns, starts, heard=heard)
    save_picture(figure, path, title)


def _draw_histogram(axis: Axes, values: FloatArray, describer: SpeechDescriber, cue: str) -> None:
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [0.002, 0.998])
    axis.hist(
        values[(values >= low) & (values <= high)], bins=int(np.clip(np.sqrt(values.size), 12, 60)), color="#b9c4cf"
    )
    for threshold in describer.groups[OVERALL].cues[cue].thresholds:
        axis.axvline(threshold, color="#b2182b", linewidth=1, linestyle="--")
    axis.set_ylabel("rows")
    axis.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axis.tick_params(labelbottom=False)
    axis.spines[["top", "right"]].set_visible(False)


def _draw_group_bars(axis: Axes, describer: SpeechDescriber, cue: str, groups: Sequence[str], *, named: bool) -> None:
    for position, name in enumerate(groups):
        statistics = describer.groups[name].cues[cue]
        if statistics.varies:
            # Distances from the past lie about zero: drawn about the overall median.
            offset = describer.groups[OVERALL].cues[cue].median if name == PAST else 0.0
            _draw_bar(axis, statistics, position, offset)
    called = {OVERALL: "all", PAST: "distance from own past"}
    labels = [f"{called.get(name, name.partition(': ')[2])} ({describer.groups[name].rows:,})" for name in groups]
    axis.set_yticks(range(len(groups)), labels if named else [""] * len(groups))
    axis.set_ylim(len(groups) - 0.5, -0.5)
    axis.spines[["top", "right"]].set_visible(False)


def _draw_bar(axis: Axes, statistics: CueStatistics, position: int, offset: float) -> None:
    thresholds = np.array(statistics.thresholds) + offset
    quartiles = thresholds[[1, -2]] if len(thresholds) > 3 else thresholds[[0, -1]]
    axis.plot(thresholds[[0, -1]], [position] * 2, color="#4d6a85", linewidth=1.2)
    axis.plot(quartiles, [position] * 2, color="#4d6a85", linewidth=5, solid_capstyle="butt")
    axis.plot(statistics.median + offset, position, "o", color="white", markersize=3.5, markeredgecolor="#22303c")


def _draw_time_axis(axes: Sequence[Axes], turns: Sequence[Turn], starts: FloatArray, *, heard: bool) -> None:
    """One axis for all panels, labelled under the last: time, or turn numbers where nothing is heard."""
    for axis in axes:
        axis.set_xlim(-_GAP_S, float(starts[-1]) + turns[-1].seconds + _GAP_S)
        axis.tick_params(labelbottom=axis is axes[-1])
    if not heard:
        axes[-1].set_xticks(starts + 0.5, [str(number + 1) for number in range(len(turns))])
    unit = "Turn" if not heard else "Time (s)" if len(turns) == 1 else "Time (s), turns laid end to end"
    axes[-1].set_xlabel(unit)


def _speaker_colours(turns: Sequence[Turn]) -> dict[str | None, str]:
    speakers = dict.fromkeys(turn.row.get("speaker") for turn in turns)
    return {speaker: LINES[i % len(LINES)] for i, speaker in enumerate(speakers)}


def _draw_curves(
    axes: Sequence[Axes], turns: Sequence[Turn], starts: FloatArray, colours: Mapping[str | None, str]
) -> None:
    waveform, pitch, intensity = axes
    for number, (turn, start) in enumerate(zip(turns, starts, strict=True), start=1):
        if turn.curves is not None:
            _draw_turn(axes, turn.curves, start, colours[turn.row.get("speaker")])
        if len(turns) > 1:
            waveform.annotate(str(number), (start, 1.02), xycoords=("data", "axes fraction"))
    waveform.set_ylabel("Amplitude")
    pitch.set_ylabel("Pitch (Hz)")
    pitch.set_yscale("log")
    pitch.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    pitch.yaxis.set_major_formatter(ScalarFormatter())
    pitch.yaxis.set_minor_formatter(NullFormatter())
    intensity.set_ylabel("Intensity (dB)")
    top = max((turn.curves.intensity.max(initial=0) for turn in turns if turn.curves is not None), default=0)
    intensity.set_ylim(max(top - 60, 0), top + 8)
    intensity.plot([], [], "v", color="black", markersize=5, label="syllable nucleus")
    for speaker, colour in colours.items():
        if speaker is not None:
            intensity.plot([], [], color=colour, label=speaker)
    intensity.legend(loc="lower right", ncols=len(colours) + 1)
    for axis in axes:
        axis.grid(alpha=0.25)


def _draw_turn(axes: Sequence[Axes], curves: Curves, start: float, colour: str) -> None:
    waveform, pitch, intensity = axes
    times, lows, highs = _envelope(curves.samples)
    waveform.fill_between(start + times, lows, highs, color=colour, linewidth=0.4)
    pitch.plot(start + curves.pitch_times, curves.pitch, ".", color=colour, markersize=4)
    intensity.plot(start + curves.intensity_times, curves.intensity, color=colour, linewidth=1.2)
    if curves.nuclei.size:
        heights = np.interp(curves.nuclei, curves.intensity_times, curves.intensity)
        intensity.plot(start + curves.nuclei, heights + 3, "v", color="black", markersize=5)


def _envelope(samples: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Lowest and highest amplitude every 5 ms: what a picture can show of 16,000 samples a second."""
    step = RATE // 200
    blocks = np.pad(samples, (0, -len(samples) % step)).reshape(-1, step)
    return (np.arange(len(blocks)) + 0.5) * step / RATE, blocks.min(axis=1), blocks.max(axis=1)


def _level_colours(level: str) -> tuple[str, str]:
    """Of a level and of text on it."""
    return shade(LEVELS.index(level) / (len(LEVELS) - 1))


def _level(row: Mapping[str, Any], columns: Sequence[str]) -> str | None:
    return next((level for column in columns if (level := row.get(f"{column}_level"))), None)


def _draw_levels(axis: Axes, turns: Sequence[Turn], starts: FloatArray, cues: Sequence[str]) -> None:
    levels = np.array([[_level(turn.row, STRIP[cue]) for cue in cues] for turn in turns], dtype=object)
    for (index, position), level in np.ndenumerate(levels):
        start, seconds = starts[index], turns[index].seconds
        colour, ink = _level_colours(level) if level else ("white", "black")
        axis.barh(position, seconds, left=start, height=0.9, color=colour, edgecolor="#999999", linewidth=0.4)
        if level and len(turns) == 1:
            axis.text(
                float(start) + seconds / 2, position, level.replace("_", " "), ha="center", va="center", color=ink
            )
    axis.set_yticks(range(len(cues)), cues)
    axis.set_ylim(len(cues) - 0.5, -0.5)
    if len(turns) > 1:
        shown = [(level, _level_colours(level)[0]) for level in reversed(LEVELS) if (levels == level).any()]
        patches = [
            Patch(facecolor=colour, edgecolor="#999999", label=level.replace("_", " ")) for level, colour in shown
        ]
        axis.legend(handles=patches, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _word_lines(turns: Sequence[Turn], characters: int) -> list[str]:
    """Who says what and how, wrapped; turns numbered when there are several."""
    lines = []
    for number, turn in enumerate(turns, start=1):
        said = f"{turn.row.get('speaker') or 'Speaker'}: “{turn.row.get('text') or ''}”" if turn.row.get("text") else ""
        how = " ".join(turn.row.get(f"speech_{kind}") or "" for kind in ("description", "impression")).strip()
        entry = " — ".join(part for part in (said, how) if part)
        mark = f"{number}  " if len(turns) > 1 else ""
        lines += textwrap.wrap(mark + entry, characters, subsequent_indent=" " * 2 * len(mark)) if entry else []
    return lines or ["No words: give a describer to put the clip in words."]
