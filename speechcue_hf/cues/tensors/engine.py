"""The analyses by tensors, where they were shown to equal Praat's; ``speechcue_hf.cues.proven`` says where.

Jitter and shimmer are Praat's own: periods are found one after the other, each from the last.
"""

from __future__ import annotations

from functools import partial

from speechcue_hf.cues import praat, proven
from speechcue_hf.cues.tensors.intensity import levels
from speechcue_hf.cues.tensors.interpolation import maxima_of
from speechcue_hf.cues.tensors.periodicity import harmonic_ratios, pitch_contour

intensity = partial(proven.intensity, levels)
pitch = partial(proven.pitch, pitch_contour)
harmonicity = partial(proven.harmonicity, harmonic_ratios)
maxima = maxima_of
jitter_and_shimmer = praat.jitter_and_shimmer
