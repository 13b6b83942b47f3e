"""Who analyses the samples: Praat itself, or kernels that give its numbers faster."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, get_args

if TYPE_CHECKING:
    from speechcue_hf.cues.contours import Contour, PitchSettings
    from speechcue_hf.cues.levels import FloatArray

EngineName: TypeAlias = Literal["praat", "fast"]
ENGINES: tuple[str, ...] = get_args(EngineName)


class Engine(NamedTuple):
    """The analyses that the cues are made of.

    Samples have the shape ``(samples,)`` or ``(channels, samples)``, rates are in Hz. Where a clip is too short for an
    analysis, or otherwise none for Praat, ``speechcue_hf.praat.PraatError`` is raised.

    Attributes:
        intensity: Samples, rate and lowest pitch in Hz → intensity in dB.
        pitch: Samples, rate and what is searched → F0 in Hz, 0 where unvoiced.
        harmonicity: Samples, rate, and whether to interpolate as finely as Praat's harmonicity does → dB of each
            periodic frame, shape ``(periodic frames,)``.
        maxima: Evenly sampled values → places of the maxima of the curve through them, in samples.
        jitter_and_shimmer: Samples, rate and pitch → the ratios, each None where too few periods follow each other.
    """

    intensity: Callable[[FloatArray, float, float], Contour]
    pitch: Callable[[FloatArray, float, PitchSettings], Contour]
    harmonicity: Callable[[FloatArray, float, bool], FloatArray]
    maxima: Callable[[FloatArray], FloatArray]
    jitter_and_shimmer: Callable[[FloatArray, float, Contour], tuple[float | None, float | None]]


def installed_engines() -> tuple[str, ...]:
    """The names of the engines that can be loaded here."""
    return ENGINES if find_spec("numba") else ("praat",)


def load_engine(name: str) -> Engine:
    """The engine of a name.

    Args:
        name: ``praat`` or ``fast``.

    Raises:
        ImportError: If the fast one is asked for and numba is not installed.
    """
    if name == "praat":
        from speechcue_hf.cues import praat as module
    else:
        try:
            from speechcue_hf.cues.fast import engine as module  # type: ignore[no-redef]
        except ModuleNotFoundError as error:
            if error.name != "numba":
                raise
            raise ImportError(
                "the fast engine needs numba: pip install 'speechcue_hf[fast]', or measure with engine='praat'"
            ) from error
    return Engine(module.intensity, module.pitch, module.harmonicity, module.maxima, module.jitter_and_shimmer)
