"""The paper's procedure as a Praat script would run it: command after command, the file read by Praat itself.

Written from the description in the SpeechCueLLM paper and in de Jong & Wempe (2009); it shares no code with the
package, so that tests and benchmarks have something independent to compare with.
"""

import math

import numpy as np
import parselmouth
from parselmouth.praat import call


def loudness(sound):
    intensity = call(sound, "To Intensity", 100, 0.0, "yes")
    return call(intensity, "Get mean", 0, 0, "energy"), float(np.std(intensity.values))


def pitch(sound):
    frames = call(sound, "To Pitch", 0.0, 75, 600).selected_array["frequency"]
    voiced = frames[frames > 0]
    if not len(voiced):
        return None, 0.0, 0.0
    return float(np.mean(voiced)), float(np.std(voiced)), float(np.max(voiced) - np.min(voiced))


def harmonicity(sound):
    return call(call(sound, "To Harmonicity (cc)", 0.01, 75, 0.1, 1.0), "Get mean", 0, 0)


def articulation_rate(sound):
    intensity = call(sound, "To Intensity", 50, 0.0, "yes")
    lowest = call(intensity, "Get minimum", 0, 0, "Parabolic")
    highest = call(intensity, "Get maximum", 0, 0, "Parabolic")
    quantile = call(intensity, "Get quantile", 0, 0, 0.99)
    threshold = max(quantile - 25, lowest)
    grid = call(intensity, "To TextGrid (silences)", -25 - (highest - quantile), 0.3, 0.1, "silent", "sounding")
    table = call(call(grid, "Extract tier", 1), "Down to TableOfReal", "sounding")
    sounding_time = sum(
        call(table, "Get value", row + 1, 2) - call(table, "Get value", row + 1, 1)
        for row in range(call(table, "Get number of rows"))
    )
    contour = call(call(intensity, "Down to Matrix"), "To Sound (slice)", 1)
    points = call(contour, "To PointProcess (extrema)", "Left", "yes", "no", "Sinc70")
    peaks = []
    for i in range(call(points, "Get number of points")):
        time = call(points, "Get time from index", i + 1)
        value = call(contour, "Get value at time", time, "Cubic")
        if value > threshold:
            peaks.append((time, value))
    if not peaks:
        return None
    counted = []
    time, value = peaks[0]
    for next_time, _ in peaks[1:]:
        dip = call(intensity, "Get minimum", time, next_time, "None")
        if abs(value - dip) > 2:
            counted.append(time)
        time = next_time
        value = call(intensity, "Get value at time", time, "Cubic")
    voicing = call(sound, "To Pitch (ac)", 0.02, 30, 4, "no", 0.03, 0.25, 0.01, 0.35, 0.25, 450)
    nuclei = 0
    for time in counted:
        label = call(grid, "Get label of interval", 1, call(grid, "Get interval at time", 1, time))
        if label == "sounding" and not math.isnan(call(voicing, "Get value at time", time, "Hertz", "Linear")):
            nuclei += 1
    return nuclei / sounding_time if nuclei else None


def measure(path, with_harmonicity=True):
    """The paper's eight numbers of one file, None where it has no value."""
    sound = parselmouth.read(str(path))
    intensity_mean, intensity_sd = loudness(sound)
    f0_mean, f0_sd, f0_range = pitch(sound)
    return {
        "duration_s": call(sound, "Get total duration"),
        "intensity_mean_db": intensity_mean,
        "intensity_sd_db": intensity_sd,
        "f0_mean_hz": f0_mean,
        "f0_sd_hz": f0_sd,
        "f0_range_hz": f0_range,
        "articulation_rate_per_s": articulation_rate(sound),
        "hnr_mean_db": harmonicity(sound) if with_harmonicity else None,
    }
