"""How closely the maxima of a curve between its samples are searched, by whatever engine.

Sources: Brent (1973), Algorithms for Minimization without Derivatives, chapter 5; numbers that it leaves open are those
with which the maxima are Praat's.
"""

from __future__ import annotations

import math
import sys

GOLDEN = (3 - math.sqrt(5)) / 2
BRENT_STEPS = 60
BRENT_TOLERANCE = 1e-10
MACHINE = math.sqrt(sys.float_info.epsilon)
EXTREMA = 70
"""Samples on either side that the maxima of a whole curve are interpolated from."""
