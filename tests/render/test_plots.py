"""Every picture: valid, deterministic, self-contained, and true about what it cannot show."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib
import pytest
from PIL import Image

from holdfast.records import CalibrationBin, Confusion, Curves, Metric
from holdfast.render import plots
from holdfast.render.histogram import Histogram
from holdfast.render.plots import ScorePoint

EXITS = 0.25
SHARES = [i / 100 for i in range(1, 101)]


def found(named: float) -> float:
    """A model whose ROC curve is named ** 0.4: the share of exits found when `named` of the stays are."""
    return float(named**0.4)


def called(named: float) -> float:
    return EXITS * found(named) + (1 - EXITS) * named


CURVES = Curves(
    roc=((0.0, 0.0), *((x, found(x)) for x in SHARES)),
    precision_recall=tuple((found(x), EXITS * found(x) / called(x)) for x in SHARES),
    lift=tuple((called(x), found(x) / called(x)) for x in SHARES),
    calibration=tuple(
        CalibrationBin(predicted=p, observed=p + 0.01, low=p - 0.04, high=p + 0.06, n=200)
        for p in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6)
    ),
    rows=2000,
    exited=500,
)
NO_EXITS = Curves(roc=(), precision_recall=(), lift=(), calibration=(), rows=120, exited=0)
AREA = Metric(value=1 / 1.4, low=0.69, high=0.74, n=2000)
UNDEFINED = Metric(value=None, low=None, high=None, n=120)
SKEWED = Histogram(
    column="lastyear_activity",
    edges=(0.0, 1.0, 10.0, 100.0, 1000.0),
    stayed=(1, 5, 30, 60),
    exited=(5, 20, 20, 5),
)
EVEN = Histogram(column="tenure", edges=(0.0, 10.0, 20.0, 30.0), stayed=(10, 20, 30), exited=(6, 3, 1))


def point(day: int, value: float | None = 0.6, data: str = "testdata") -> ScorePoint:
    f1 = Metric(value=value, low=0.5, high=0.7, n=2000)
    created = f"2026-{1 + day // 28:02d}-{1 + day % 28:02d}T06:00:00+00:00"
    return ScorePoint(created=created, data=data, f1=f1, model_digest="a" * 64, deployed=day % 2 == 0)


HISTORY = tuple(point(day, data="testdata" if day % 3 else "sourcedata") for day in range(12))

DRAWN: dict[str, Callable[[], str]] = {
    "score-history": lambda: plots.score_history_svg(HISTORY),
    "roc": lambda: plots.roc_svg(CURVES, AREA),
    "precision-recall": lambda: plots.precision_recall_svg(CURVES, AREA),
    "calibration": lambda: plots.calibration_svg(CURVES, AREA),
    "lift": lambda: plots.lift_svg(CURVES, AREA, 100),
    "feature": lambda: plots.feature_svg(SKEWED),
    "nothing": lambda: plots.roc_svg(NO_EXITS, UNDEFINED),
}
every_plot = pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)


def texts(svg: str) -> str:
    """What a reader reads in a plot, line by line."""
    return "\n".join(element.text or "" for element in ElementTree.fromstring(svg).findall(".//{*}text"))


@every_plot
def test_a_plot_is_one_svg_element(draw: Callable[[], str]) -> None:
    svg = draw()
    assert svg.startswith("<svg ")
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"


@every_plot
def test_a_plot_is_the_same_each_time_whatever_style_is_set_outside(draw: Callable[[], str]) -> None:
    first = draw()
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30, "svg.fonttype": "path"}):
        assert draw() == first


@every_plot
def test_drawing_leaves_the_style_outside_alone(draw: Callable[[], str]) -> None:
    before = dict(matplotlib.rcParams)
    draw()
    assert dict(matplotlib.rcParams) == before


@every_plot
def test_a_plot_names_no_address_but_its_namespace(draw: Callable[[], str]) -> None:
    assert draw().replace('xmlns="http://www.w3.org/2000/svg"', "").count("://") == 0


@every_plot
def test_everything_that_a_plot_refers_to_is_in_it(draw: Callable[[], str]) -> None:
    svg = draw()
    ids = re.findall(r' id="([^"]*)"', svg)
    referred = set(re.findall(r'href="#([^"]*)"', svg)) | set(re.findall(r"url\(#([^)]*)\)", svg))
    assert referred <= set(ids)
    assert len(ids) == len(set(ids))


@every_plot
def test_a_plot_has_the_palettes_colours_only(draw: Callable[[], str]) -> None:
    assert set(re.findall(r"#[0-9a-f]{6}(?=\")", draw())) <= set(plots.PALETTE.values())


@every_plot
def test_a_plot_is_small(draw: Callable[[], str]) -> None:
    assert len(draw()) < 25_000


@pytest.mark.parametrize("name", ["roc", "precision-recall", "calibration"])
def test_the_title_has_the_number_and_its_interval(name: str) -> None:
    assert "0.71 (0.69 to 0.74)" in texts(DRAWN[name]())


@pytest.mark.parametrize("name", ["roc", "precision-recall", "lift"])
def test_a_curve_says_on_how_many_clients_it_rests(name: str) -> None:
    assert "2,000 clients, 500 of them exited" in texts(DRAWN[name]())


def test_calibration_counts_the_groups_that_agree() -> None:
    off = replace(CURVES.calibration[0], predicted=0.9)
    curves = replace(CURVES, calibration=(off, *CURVES.calibration[1:]))
    assert "in 9 of 10 groups" in texts(plots.calibration_svg(curves, AREA))


def test_the_list_that_the_team_can_call_is_marked_on_the_lift_curve() -> None:
    assert "the 100 riskiest: 0.71" in texts(plots.lift_svg(CURVES, AREA, 100))


def test_a_list_longer_than_the_clients_is_not_marked() -> None:
    assert "riskiest: " not in texts(plots.lift_svg(CURVES, AREA, 2001))


@pytest.mark.parametrize(
    "draw",
    [
        lambda curves: plots.roc_svg(curves, UNDEFINED),
        lambda curves: plots.precision_recall_svg(curves, UNDEFINED),
        lambda curves: plots.calibration_svg(curves, UNDEFINED),
        lambda curves: plots.lift_svg(curves, UNDEFINED, 100),
    ],
)
@pytest.mark.parametrize(
    ("rows", "exited", "reason"),
    [
        (0, 0, "no labelled clients"),
        (120, 0, "None of the 120"),
        (120, 120, "All of the 120"),
        (2, 1, "too few"),
    ],
)
def test_an_empty_curve_is_explained(draw: Callable[[Curves], str], rows: int, exited: int, reason: str) -> None:
    svg = draw(replace(NO_EXITS, rows=rows, exited=exited))
    assert reason in texts(svg).replace("\n", " ")
    assert "undefined on these rows" in texts(svg)


def test_a_history_without_any_f1_is_explained() -> None:
    assert "No F1 has been measured yet." in texts(plots.score_history_svg((point(1, None),)))


def test_a_history_of_one_scoring_is_drawn() -> None:
    assert "F1 0.60 (0.50 to 0.70)" in texts(plots.score_history_svg((point(1),)))


def test_a_history_without_intervals_is_drawn() -> None:
    bare = replace(point(1), f1=Metric(value=0.6, low=None, high=None, n=3))
    assert "F1 0.60" in texts(plots.score_history_svg((bare, bare)))


def test_a_long_history_shows_its_newest_scorings() -> None:
    svg = plots.score_history_svg(tuple(point(day) for day in range(200)))
    assert f"the last {plots.LONGEST_HISTORY} of 200 scorings" in texts(svg)


def test_the_order_in_which_a_history_is_given_does_not_matter() -> None:
    assert plots.score_history_svg(HISTORY[::-1]) == plots.score_history_svg(HISTORY)


def test_every_labelled_set_of_a_history_is_named() -> None:
    assert {"testdata", "sourcedata"} <= set(texts(plots.score_history_svg(HISTORY)).split("\n"))


def test_log_spaced_edges_get_a_log_axis() -> None:
    assert {"0", "10", "100", "1,000"} <= set(texts(plots.feature_svg(SKEWED)).split("\n"))


def test_even_edges_get_an_even_axis() -> None:
    assert {"0", "10", "20", "30"} <= set(texts(plots.feature_svg(EVEN)).split("\n"))


def test_both_groups_medians_are_told() -> None:
    words = texts(plots.feature_svg(EVEN))
    assert "stayed: median about 20" in words
    assert "exited: median about 8.3" in words


def test_a_feature_of_one_group_is_drawn_with_that_group_alone() -> None:
    words = texts(plots.feature_svg(replace(EVEN, exited=(0, 0, 0))))
    assert "stayed: median" in words
    assert "exited" not in words


@pytest.mark.parametrize("edges", [(), (0.0, 1.0)])
def test_a_feature_without_numbers_is_explained(edges: tuple[float, ...]) -> None:
    empty = (0,) * max(len(edges) - 1, 0)
    svg = plots.feature_svg(Histogram(column="region", edges=edges, stayed=empty, exited=empty))
    assert "No labelled client has a number in this column." in texts(svg).replace("\n", " ")


@pytest.mark.parametrize("name", ["<script>", "$\\frac{1}$", "社員数", "a\x00b", "\udc80", 'say "&amp;"', ""])
def test_any_column_name_can_be_drawn(name: str) -> None:
    svg = plots.feature_svg(replace(EVEN, column=name))
    ElementTree.fromstring(svg.encode())
    assert "<script" not in svg


def test_a_name_is_shown_as_it_is_written() -> None:
    assert "cost in $ and $ of 社員" in texts(plots.feature_svg(replace(EVEN, column="cost in $ and $ of 社員")))


def test_the_plots_of_two_features_share_no_id() -> None:
    ids = [set(re.findall(r' id="([^"]*)"', plots.feature_svg(each))) for each in (SKEWED, EVEN)]
    assert ids[0]
    assert not ids[0] & ids[1]


CONFUSION = Confusion(
    stayed_predicted_stayed=1350,
    stayed_predicted_exited=150,
    exited_predicted_stayed=200,
    exited_predicted_exited=300,
)


def chunks(png: bytes) -> list[bytes]:
    """The kinds of a PNG's chunks, in order."""
    kinds, place = [], 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        kinds.append(png[place + 4 : place + 8])
        place += length + 12
    return kinds


def test_the_confusion_matrix_is_a_png_of_a_thousand_pixels_width() -> None:
    png = plots.confusion_matrix_png(CONFUSION, "testdata")
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", png[16:24]) == (1000, 800)


def test_the_confusion_matrix_is_the_same_bytes_each_time() -> None:
    assert plots.confusion_matrix_png(CONFUSION, "a") == plots.confusion_matrix_png(CONFUSION, "a")


def test_the_confusion_matrix_carries_no_date_and_no_name() -> None:
    assert set(chunks(plots.confusion_matrix_png(CONFUSION, "a"))) <= {b"IHDR", b"pHYs", b"IDAT", b"IEND"}


def test_the_confusion_matrix_is_darker_where_the_share_of_the_row_is_larger() -> None:
    image = Image.open(io.BytesIO(plots.confusion_matrix_png(CONFUSION, "a"))).convert("L")
    corners = [(170, 160), (520, 160), (170, 680), (520, 680)]
    light = [image.getpixel(corner) for corner in corners]
    shares = [0.9, 0.1, 0.4, 0.6]
    assert sorted(shares) == [share for _, share in sorted(zip(light, shares, strict=True), reverse=True)]


@pytest.mark.parametrize("title", ["$\\frac{1}$", "<b>", "社員数", "a\x00\udc80", "x" * 500, "word " * 100, ""])
def test_any_title_can_be_drawn(title: str) -> None:
    assert plots.confusion_matrix_png(CONFUSION, title)


def test_a_confusion_matrix_without_clients_can_be_drawn() -> None:
    nobody = Confusion(
        stayed_predicted_stayed=0,
        stayed_predicted_exited=0,
        exited_predicted_stayed=0,
        exited_predicted_exited=0,
    )
    assert plots.confusion_matrix_png(nobody, "testdata")


def test_matplotlib_is_loaded_only_to_draw() -> None:
    code = "import sys, holdfast.render.document; sys.exit(not {'matplotlib', 'numpy'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
