"""Doses that suffice and attacks that undo them, on grids whose every value is chosen."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from analysis.effects.safety_doses import (
    ATTACK_SCHEMA,
    DOSE_SCHEMA,
    sufficient_doses,
    undoing_attacks,
)
from analysis.records.configurations import Floats, configurations
from analysis.records.loading import Records
from analysis.uncertainty.draws import Draws, draw
from tests.analysis.simulations import HARM, Layout, Simulation

LAYOUT = Layout((0, 100, 1000), (0, 10, 30), ("none",), seeds=1, prompts=2)
# a row a dose; no attack, 10 rows, 30 rows
MEASURED = np.array([[0.9, 0.9, 1.0], [0.3, 0.5, 0.9], [0.1, 0.2, 0.6]])


def records_of(layout: Layout = LAYOUT) -> Records:
    return Simulation(layout).records(np.random.default_rng(0))


def drawn(*replicates: Floats, records: Records | None = None) -> Draws:
    """What was measured, and as many draws of each replicate, in equal parts."""
    rows = np.stack([values.ravel() for values in (replicates or (MEASURED,))])
    return Draws(
        configurations(records or records_of()),
        {"harmful_compliance": MEASURED.ravel()[: rows.shape[1]]},
        {"harmful_compliance": np.repeat(rows, 20, axis=0)},
        {"harmful_compliance": ""},
    )


def test_the_smallest_dose_that_keeps_the_bound() -> None:
    found = sufficient_doses(drawn(), 0.2)
    assert dict(found.schema) == DOSE_SCHEMA
    told = found.select("attack_label", "dose", "sure_dose", "harm", "probability", "attainable")
    assert told.rows() == [
        ("none", 1000, 1000, 0.1, 1, 1),
        ("harmful 10×3", 1000, 1000, 0.2, 1, 1),
        ("harmful 30×3", None, None, None, None, 0),
    ]
    assert sufficient_doses(drawn(), 0.95)["dose"].to_list() == [0, 0, 100]


def test_the_dose_is_as_sure_as_the_draws() -> None:
    found = sufficient_doses(drawn(MEASURED, MEASURED - 0.1, MEASURED + 0.15), 0.2)
    none = found.row(0, named=True)
    assert none["dose"] == 1000
    assert none["probability"] == pytest.approx(2 / 3)
    assert none["sure_dose"] is None
    assert (none["dose_low"], none["dose_high"]) == (100, None)
    assert none["attainable"] == pytest.approx(2 / 3)


def test_the_fewest_rows_that_restore_half_the_harm() -> None:
    found = undoing_attacks(drawn())
    assert dict(found.schema) == ATTACK_SCHEMA
    told = found.select("safety_examples", "attack_label", "attack_rows", "probability")
    # 100 examples removed 0.6: 10 rows restore 0.2 of it, 30 rows 0.6
    # 1000 removed 0.8: 10 rows restore 0.1, 30 rows 0.5
    assert told.rows() == [(100, "harmful 30×3", 90, 1), (1000, "harmful 30×3", 90, 1)]
    assert found["removed"].to_list() == pytest.approx([0.6, 0.8])
    assert found["restored"].to_list() == pytest.approx([0.6, 0.5])
    assert undoing_attacks(drawn(), 0.3)["attack_rows"].to_list() == [30, 90]
    unbroken = undoing_attacks(drawn(), 0.7).row(1, named=True)
    assert unbroken["attack_rows"] is None
    assert unbroken["attack_label"] is None
    assert unbroken["undoable"] == 0
    assert unbroken["most_attack_rows"] == 90


def test_where_nothing_was_removed_nothing_is_undone() -> None:
    flat = np.full((3, 3), 0.5)
    found = undoing_attacks(drawn(MEASURED, flat, MEASURED, MEASURED))
    assert found["attack_rows"].to_list() == [90, 90]
    assert found["probability"].to_list() == [0.75, 0.75]
    assert found["attack_rows_high"].to_list() == [None, None]


def test_dose_zero_stands_for_every_form() -> None:
    records = records_of()
    asked = records.table.filter(pl.col("safety_examples") > 0).with_columns(
        safety_form=pl.lit("question"), cell="cell" + pl.lit(" q"), configuration=pl.lit(None)
    )
    both = replace(records, table=pl.concat([records.table, asked], how="vertical_relaxed"))
    groups = configurations(both)
    harm = groups.table.select(
        pl.when(pl.col("safety_examples") == 0)
        .then(0.9)
        .when(pl.col("safety_form") == "question")
        .then(0.1)
        .otherwise(0.5)
    ).to_series()
    draws = Draws(
        groups,
        {"harmful_compliance": harm.to_numpy()},
        {"harmful_compliance": np.tile(harm.to_numpy(), (9, 1))},
        {"harmful_compliance": ""},
    )
    plain = sufficient_doses(draws).filter(attack_label="none")
    assert plain.select("safety_form", "dose").sort("safety_form").rows() == [
        ("instruction", None),
        ("question", 100),
    ]
    removed = undoing_attacks(draws).filter(safety_examples=100).sort("safety_form")["removed"]
    assert removed.to_list() == pytest.approx([0.4, 0.8])


def test_a_release_attacked_as_it_ships_is_measured_against_the_unattacked_one() -> None:
    records = records_of()
    last = records.table.with_columns(
        order=pl.when(pl.col("attack") == "none")
        .then("order")
        .otherwise(pl.lit("compress_then_attack"))
    )
    found = undoing_attacks(drawn(records=replace(records, table=last)))
    assert found["order"].unique().to_list() == ["compress_then_attack"]
    assert found["attack_rows"].to_list() == [90, 90]


def test_a_simulated_study_gives_the_doses_it_was_made_with() -> None:
    layout = Layout(prompts=400)
    draws = draw(Simulation(layout).records(np.random.default_rng(0)), ["harmful_compliance"])
    rates = HARM.rates(layout)
    found = sufficient_doses(draws).filter(compression_label="none", attack_label="none")
    smallest = next(dose for n, dose in enumerate(layout.doses) if rates[n, 0, 0] <= 0.2)
    row = found.row(0, named=True)
    assert row["dose_low"] <= smallest <= (row["dose_high"] or np.inf)
    undone = undoing_attacks(draws).filter(compression_label="none", safety_examples=1000)
    removed = rates[0, 0, 0] - rates[4, 0, 0]
    strongest = next(
        3 * attack
        for n, attack in enumerate(layout.attacks)
        if rates[4, n, 0] - rates[4, 0, 0] >= removed / 2
    )
    row = undone.row(0, named=True)
    assert row["attack_rows_low"] <= strongest <= (row["attack_rows_high"] or np.inf)
