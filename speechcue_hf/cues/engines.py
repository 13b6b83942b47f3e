"""Who analyses the samples: Praat itself, or kernels or tensors that give its numbers faster."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, get_args

if TYPE_CHECKING:
    from speechcue_hf.cues.contours import Contour, PitchSettings
    from speechcue_hf.cues.levels import FloatArray

EngineName: TypeAlias = Literal["praat", "fast", "torch"]
ENGINES: tuple[str, ...] = get_args(EngineName)

_MODULES = {
    "praat": "speechcue_hf.cues.praat",
    "fast": "speechcue_hf.cues.fast.engine",
    "torch": "speechcue_hf.cues.tensors.engine",
}
_NEEDS = {"fast": ("numba", "fast"), "torch": ("torch", "train")}
"""By engine: the library that it needs, and the extra that installs it."""


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
    return tuple(name for name in ENGINES if name not in _NEEDS or find_spec(_NEEDS[name][0]))


def load_engine(name: str) -> Engine:
    """The engine of a name.

    Args:
        name: Of ``ENGINES``.

    Raises:
        ImportError: If the library that it needs is not installed.
    """
    try:
        module = import_module(_MODULES[name])
    except ModuleNotFoundError as error:
        library, extra = _NEEDS.get(name, (None, None))
        if error.name != library:
            raise
        raise ImportError(
            f"the {name} engine needs {library}: pip install 'speechcue_hf[{extra}]', or measure with engine='praat'"
        ) from error
    return Engine(module.intensity, module.pitch, module.harmonicity, module.maxima, module.jitter_and_shimmer)
