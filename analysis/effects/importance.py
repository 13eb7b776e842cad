"""Which factor matters most: a cross-check by a method that assumes no scale and no additivity."""

import polars as pl

from analysis.effects.factors import level_numbers, levels, varying_factors
from analysis.records.configurations import Configurations
from search_spaces.metrics import Metric

SEED = 0
SCHEMA: dict[str, type[pl.DataType]] = {
    "metric": pl.String,
    "factor": pl.String,
    "importance": pl.Float64,
    "cells": pl.Int64,
}


def importances(groups: Configurations, metrics: list[Metric]) -> pl.DataFrame:
    """Each varying factor's share of the variance that a random forest explains over the grid.

    Functional ANOVA (Hutter, Hoos and Leyton-Brown 2014, ICML) as Optuna has it: `importance` is
    the share of a factor's main effect, most important first; what they leave to 1 is the share of
    interactions, which Optuna does not break down. On the metric's own scale, so it sees saturation
    as interaction: `interactions` does not. The forest's seed is fixed. A metric that does not vary
    has no row.
    """
    names = varying_factors(groups.table)
    parts = [_of_metric(groups, metric, names) for metric in metrics if names]
    return pl.concat([pl.DataFrame(schema=SCHEMA), *parts])


def _of_metric(groups: Configurations, metric: Metric, names: list[str]) -> pl.DataFrame:
    # a second to import, and only this function needs it
    import optuna

    if metric not in groups.cells.columns:
        return pl.DataFrame(schema=SCHEMA)
    numbers = {name: level_numbers(groups.table, name) for name in names}
    choices = {name: ["", *levels(groups.table, name)] for name in names}
    kinds: dict[str, optuna.distributions.BaseDistribution] = {
        name: optuna.distributions.CategoricalDistribution(choices[name]) for name in names
    }
    measured = groups.cells.select("index", metric).drop_nulls()
    if measured[metric].n_unique() < 2:
        return pl.DataFrame(schema=SCHEMA)
    trials = [
        optuna.trial.create_trial(
            params={name: choices[name][numbers[name][index] + 1] for name in names},
            distributions=kinds,
            value=float(value),
        )
        for index, value in measured.iter_rows()
    ]
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study()
        study.add_trials(trials)
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=SEED)
        found = evaluator.evaluate(study, params=names)
    finally:
        optuna.logging.set_verbosity(verbosity)
    columns = {
        "metric": [metric] * len(found),
        "factor": list(found),
        "importance": list(found.values()),
        "cells": [len(measured)] * len(found),
    }
    return pl.DataFrame(columns, schema=SCHEMA)
