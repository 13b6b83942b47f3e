"""The one door to Praat. parselmouth is under the GPL, version 3 or later; nothing else here imports it.

Analyses that give the same numbers are an engine of their own (``speechcue_hf.cues.engines``).
"""

from parselmouth import Pitch as Pitch
from parselmouth import PraatError as PraatError
from parselmouth import Sound as Sound
from parselmouth import read as read
from parselmouth.praat import call as call
from parselmouth.praat import run as run
