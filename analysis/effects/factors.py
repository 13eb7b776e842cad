"""The factors of a study, their levels, and the number of each configuration's level."""

import numpy as np
import polars as pl

from analysis.records.configurations import Floats, Whole, varying

FACTOR_NAMES = (
    "study",
    "device",
    "model",
    "safety_examples",
    "safety_form",
    "attack_label",
    "compression_label",
    "calibration_data",
    "order",
)
"""Columns of a configurations table that effects are told for."""


def varying_factors(table: pl.DataFrame) -> list[str]:
    """The factors that have more than one level, nulls aside."""
    return varying(table, [name for name in FACTOR_NAMES if name in table.columns])


def levels(table: pl.DataFrame, factor: str) -> list[str]:
    """The factor's levels, nulls aside: numbers in their order, words as the table has them."""
    found = table[factor].drop_nulls().unique(maintain_order=True)
    return (found.sort() if found.dtype.is_numeric() else found).cast(pl.String).to_list()


def level_numbers(table: pl.DataFrame, factor: str) -> Whole:
    """Each row's level as its place in `levels`; -1 where it is null."""
    names = levels(table, factor)
    numbers = table[factor].cast(pl.String).replace_strict(names, range(len(names)), default=-1)
    return numbers.cast(pl.Int64).to_numpy()


def indicators(numbers: Whole) -> Floats:
    """One column for each distinct number, 1 in its rows: (rows, numbers)."""
    return np.asarray(numbers[:, None] == np.unique(numbers), np.float64)


def group_numbers(*columns: Whole) -> Whole:
    """Equal for the rows that are equal in all columns; from 0 without gaps."""
    _, numbers = np.unique(np.column_stack(columns), axis=0, return_inverse=True)
    return np.asarray(numbers, np.int64).ravel()
