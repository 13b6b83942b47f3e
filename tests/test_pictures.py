import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib import colormaps, rc_context, rcParams

from speechcue_hf.evaluation.plots import plot_confusion_matrix, plot_probability_shifts
from speechcue_hf.pictures import SCALE, shade

COUNTS = np.array([[5, 1, 0], [2, 7, 0]])
SVG = "{http://www.w3.org/2000/svg}"


def luminance(colours):
    """Of the sRGB colours, relative to white (WCAG 2)."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_the_scale_rises_in_grey_print():
    shades = luminance(colormaps[SCALE](np.linspace(0, 1, 64))[:, :3])
    assert (np.diff(shades) > 0).all()


@pytest.mark.parametrize("share", np.linspace(0, 1, 11))
def test_text_on_a_shade_can_be_read(share):
    pair = [np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]) for colour in shade(share)]
    dark, light = sorted(luminance(np.array(pair)))
    assert (light + 0.05) / (dark + 0.05) >= 4.5, "the contrast that WCAG asks for"


def test_an_svg_is_text_with_one_size_of_letters_and_a_title(tmp_path):
    for name in ("a.svg", "b.svg"):
        plot_confusion_matrix(COUNTS, ["happy", "sad"], tmp_path / name, title="test: weighted F1 80 %")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    texts = list(root.iter(f"{SVG}text"))
    assert {"happy", "predicted", "83%"} <= {line for text in texts for line in "".join(text.itertext()).split()}
    sizes = set(re.findall(r"font(?:-size)?: ([\d.]+)px", (tmp_path / "a.svg").read_text(encoding="utf-8")))
    assert sizes == {"9"}
    assert "test: weighted F1 80 %" in {title.text for title in root.iter() if title.tag.endswith("}title")}


def test_a_picture_looks_the_same_whatever_matplotlib_is_set_to(tmp_path):
    shifts = {"shuffled": {"happy": 0.1, "sad": -0.1}}
    plot_probability_shifts(shifts, tmp_path / "a.png", title="shifts")
    with rc_context({"font.size": 30, "axes.titlesize": 40}):
        before = dict(rcParams)
        plot_probability_shifts(shifts, tmp_path / "b.png", title="shifts")
        assert dict(rcParams) == before
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"neither PNG nor SVG: let its name end in \.png or \.svg"):
        plot_confusion_matrix(COUNTS, ["happy", "sad"], tmp_path / "a.gif", title="a")
