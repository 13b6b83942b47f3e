"""The one door to Praat. parselmouth is under the GPL, version 3 or later; nothing else here imports it.

Whoever must do without it, or has an analysis that gives the same numbers, puts these names in its place.
"""

from parselmouth import Intensity as Intensity
from parselmouth import Pitch as Pitch
from parselmouth import PraatError as PraatError
from parselmouth import Sound as Sound
from parselmouth import read as read
from parselmouth.praat import call as call
from parselmouth.praat import run as run
