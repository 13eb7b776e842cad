"""Replicates of a metric for the models at hand: what other prompts would have shown."""

from dataclasses import dataclass

import numpy as np

from analysis.records.configurations import Floats
from analysis.uncertainty.links import LOGIT, Link


@dataclass(frozen=True)
class Replicated:
    """A metric's replicates for fixed seeds."""

    values: Floats
    """(replicates, configurations)."""
    covariance: Floats
    """Of the configurations' values in a unit, as far as prompts and chance explain it:
    (configurations, configurations). So much of the spread between seeds is no seed's."""
    by: str
    """What the replicates vary by; empty: nothing."""


@dataclass(frozen=True)
class Reported:
    """A metric of which only a summary is known, each (configurations,), nan where it is not."""

    means: Floats
    errors: Floats
    """Standard errors."""
    counts: Floats
    """Numbers of prompts."""


def replicate_prompts(answered: Floats, weights: Floats, rng: np.random.Generator) -> Replicated:
    """From outcomes (configurations, units, prompts) and weights (replicates, prompts) that all
    metrics of a prompt set share.

    For a single unit this is the Jeffreys posterior Beta(k + 1/2, n - k + 1/2), k of n counted.
    """
    means = nan_mean(answered, axis=1)
    seen = (~np.isnan(means)).astype(float)
    # what no prompt at hand shows, each configuration has for itself
    size = (len(weights), len(means))
    successes, failures = rng.standard_gamma(0.5, size), rng.standard_gamma(0.5, size)
    counted = weights @ np.nan_to_num(means).T + successes
    values = counted / (weights @ seen.T + successes + failures)
    return Replicated(values, _residual_covariance(answered, means), "prompts")


def replicate_report(
    reported: Reported, link: Link, replicates: int, rng: np.random.Generator
) -> Replicated:
    """A parametric bootstrap: Jeffreys where a share's prompts were counted, else normal.

    The units of a configuration answer the same prompts, so that their errors do not average out.
    """
    means, errors, counts = reported.means, np.nan_to_num(reported.errors), reported.counts
    size = (replicates, len(means))
    none = np.zeros((len(means), len(means)))
    known = ~np.isnan(means)
    if link is LOGIT and known.any() and not np.isnan(counts[known]).any():
        successes = np.nan_to_num(means * counts)
        failures = np.nan_to_num(counts) - successes
        return Replicated(rng.beta(successes + 0.5, failures + 0.5, size), none, "counts")
    if not errors.any():
        return Replicated(np.tile(means, (replicates, 1)), none, "")
    noise = rng.standard_normal(size)
    if link is LOGIT:
        # on the logit a share of 1 +- .01 would have no finite error
        values = np.clip(means + errors * noise, 0, 1)
    else:
        values = link.backward(link.forward(means) + errors / link.slope(means) * noise)
    return Replicated(values, none, "standard errors")


def nan_mean(values: Floats, axis: int) -> Floats:
    """The mean of what is known; nan, without a warning, where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0).sum(axis=axis)
    mean: Floats = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean


def _residual_covariance(answered: Floats, means: Floats) -> Floats:
    """The interaction of a two-way analysis of variance, units by prompts."""
    units = (~np.isnan(answered)).any(axis=2).sum(axis=1)
    prompts = answered.shape[2]
    residual = answered - means[:, None]
    residual -= nan_mean(residual, axis=2)[:, :, None]
    flat = np.nan_to_num(residual).reshape(len(means), -1)
    freedom = np.sqrt(np.maximum(units - 1, 1) * max(prompts - 1, 1) * prompts)
    covariance: Floats = (flat @ flat.T) / np.outer(freedom, freedom)
    return covariance
