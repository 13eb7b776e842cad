"""Pictures of fronts show every configuration as it was measured, and how surely."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import polars as pl
import pytest

from analysis.fronts.uncertain import UncertainFront, uncertain_front
from analysis.pictures import (
    front_pair,
    front_pairs,
    front_panels,
    parallel_coordinates,
    probability_ranking,
)
from analysis.pictures.style import NOTE_CHARACTERS
from analysis.records.loading import Records
from analysis.uncertainty.draws import Draws, draw
from search_spaces.metrics import Metric, PromptSet
from search_spaces.space import Objective
from tests.analysis.pictures.reading import points, texts, title_lines, told
from tests.analysis.simulations import Layout, Simulation, Truth
from tests.analysis.tables import records_of

TRUTH = Truth()
ORDER: tuple[Metric, ...] = (
    "helpfulness", "safety", "weights_bytes_loaded", "over_refusal", "harmful_compliance",
)  # fmt: skip


def labels(front: UncertainFront) -> list[str]:
    return sorted(front.table["label"].to_list())


def headings(hovers: list[str]) -> list[str]:
    return sorted(hover.partition("</b>")[0].removeprefix("<b>") for hover in hovers)


def none_measured(draws: Draws) -> Draws:
    """No configuration has a value."""
    nothing = {metric: np.full_like(values, np.nan) for metric, values in draws.estimates.items()}
    return replace(draws, estimates=nothing)


def test_every_configuration_is_on_each_pair(front: UncertainFront) -> None:
    pairs = front_pairs(front)
    assert len(pairs) == 3
    for figure in pairs.values():
        assert headings(told(figure)) == labels(front)
    assert headings(told(front_panels(front))) == labels(front)


def test_error_bars_are_the_intervals(front: UncertainFront) -> None:
    figure = front_pair(front, "helpfulness", "safety")
    by_place = {(row["helpfulness"], row["safety"]): row for row in front.table.to_dicts()}
    compared = 0
    for trace in points(figure):
        for number, place in enumerate(zip(trace.x, trace.y, strict=True)):
            row = by_place[place]
            for metric, bars in (("helpfulness", trace.error_x), ("safety", trace.error_y)):
                high = place[0 if metric == "helpfulness" else 1] + bars.array[number]
                low = place[0 if metric == "helpfulness" else 1] - bars.arrayminus[number]
                assert high == pytest.approx(max(row[f"{metric}_high"], row[metric]))
                assert low == pytest.approx(min(row[f"{metric}_low"], row[metric]))
                compared += 1
    assert compared == 2 * len(front.table)


def test_the_front_stands_out_and_the_hover_says_how_surely(front: UncertainFront) -> None:
    figure = front_pair(front, "helpfulness", "safety")
    kept = [text for t in points(figure) if t.marker.opacity == 1 for text in t.hovertext]
    assert headings(kept) == sorted(front.table.filter("on_front")["label"].to_list())
    assert all("P(non-dominated): " in text and " % (" in text for text in kept)
    assert f"{len(kept)} of {len(front.table)}" in texts(figure).replace("  ", " ")


def test_axes_name_metric_unit_and_direction(front: UncertainFront) -> None:
    said = texts(front_pair(front, "safety", "weights_bytes_loaded"))
    assert "share of harmful requests not complied with" in said
    assert "weights in memory , ← better" in said
    assert "safety , better →" in said
    figure = front_pair(front, "safety", "weights_bytes_loaded")
    assert figure.layout.xaxis.tickformat == ".0%"
    assert figure.layout.yaxis.ticksuffix == "B"


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_any_number_of_objectives(draws: Draws, count: int) -> None:
    objectives = [
        Objective(metric=metric, direction="maximize" if number < 2 else "minimize")
        for number, metric in enumerate(ORDER[:count])
    ]
    front = uncertain_front(draws, objectives)
    assert set(front_pairs(front)) == {f"{x}-{y}" for x, y in combinations(ORDER[:count], 2)}
    assert headings(told(front_panels(front))) == labels(front)
    assert len(parallel_coordinates(front).data[0].dimensions) == 3 + count + 1


def test_nothing_measured_is_an_empty_picture_that_says_why(draws: Draws, records: Records) -> None:
    front = uncertain_front(none_measured(draws), records.objectives)
    for figure in (
        front_pair(front, "helpfulness", "safety"),
        front_panels(front),
        probability_ranking(front),
        parallel_coordinates(front),
    ):
        assert not figure.data
        assert "there is no front" in texts(figure)


def test_one_configuration_without_noise() -> None:
    row = {"cell": "a", "helpfulness": 0.5, "safety": 0.25}
    objectives = [Objective(metric=metric, direction="maximize") for metric in ORDER[:2]]
    records = records_of([row], objectives)
    front = uncertain_front(draw(records, ORDER[:2], replicates=20), objectives)
    figure = front_pair(front, "helpfulness", "safety")
    assert "there are no intervals" in texts(figure).replace("\n", " ")
    (trace,) = points(figure)
    assert (trace.x[0], trace.y[0]) == (0.5, 0.25)
    assert trace.error_x.array[0] == 0
    assert len(told(front_panels(front))) == 1
    assert len(told(probability_ranking(front))) == 1
    assert parallel_coordinates(front).data[0].dimensions[0]["values"] == (50.0,)


def test_scores_above_one_are_no_shares() -> None:
    rows = [{"cell": str(n), "helpfulness": 60.0 + n, "safety": 80.0 - n} for n in range(4)]
    objectives = [Objective(metric=metric, direction="maximize") for metric in ORDER[:2]]
    front = uncertain_front(draw(records_of(rows, objectives), ORDER[:2], 20), objectives)
    figure = front_pair(front, "helpfulness", "safety")
    assert figure.layout.xaxis.tickformat == "~g"
    assert "helpfulness: 61" in " ".join(told(figure))


def test_long_labels_and_markup_in_them_do_no_harm(front: UncertainFront) -> None:
    evil = pl.Series(["<b>bold</b> & " + "long " * 40] * len(front.table))
    marked = replace(front, table=front.table.with_columns(label=evil, compression_label=evil))
    assert "<b>bold</b>" not in " ".join(told(front_pair(marked, "helpfulness", "safety")))
    names = [note.text for note in probability_ranking(marked).layout.annotations]
    assert any("&lt;b&gt;bold" in name for name in names)
    assert all(len(name) < 70 for name in names)


def test_ranking_tells_how_many_it_leaves_out(front: UncertainFront) -> None:
    figure = probability_ranking(front, top=5)
    shown = [text for trace in points(figure) for text in trace.hovertext]
    likeliest = front.table.sort("probability", descending=True)["probability"].head(5)
    assert len(shown) == 5
    assert f"{len(front.table) - 5} more" in texts(figure)
    widths = sorted((x for trace in points(figure) for x in trace.x), reverse=True)
    assert widths == likeliest.to_list()


def test_500_configurations_stay_few_colours_and_symbols() -> None:
    layout = Layout(
        doses=tuple(range(0, 90, 10)),
        attacks=tuple(range(8)),
        compressions=(*(f"gptq {bits}" for bits in (8, 4, 3, 2)), *(f"rtn {b}" for b in (8, 4, 3))),
        seeds=1,
        prompts=16,
    )
    truths: dict[PromptSet, Truth] = {"helpfulness": TRUTH, "harmful": TRUTH, "borderline": TRUTH}
    records = Simulation(layout, truths).records(np.random.default_rng(1))
    front = uncertain_front(draw(records, ORDER, replicates=50), records.objectives)
    figure = front_pair(front, "helpfulness", "safety")
    assert len(front.table) == len(told(figure)) == 504
    named = [trace.name for trace in figure.data if trace.x[0] is None]
    assert len(named) <= 17
    # intervals of so many would hide the points
    faded = [trace for trace in points(figure) if trace.marker.opacity < 1]
    assert all(trace.error_x.array is None for trace in faded)
    assert len(parallel_coordinates(front).data[0].line.color) == 504


def test_lines_fit_a_column_and_the_width_is_the_pages(front: UncertainFront) -> None:
    for figure in (*front_pairs(front).values(), front_panels(front), probability_ranking(front)):
        assert figure.layout.width is None
        assert figure.layout.height > 200
        assert all(len(line) <= NOTE_CHARACTERS for line in title_lines(figure))
