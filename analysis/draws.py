"""Plausible values of every configuration's metrics, given the prompts and seeds at hand."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.configurations import Configurations, Floats
from search_spaces.metrics import Metric


@dataclass(frozen=True)
class Draws:
    """Replicates of every configuration's metrics, paired: one replicate is one and the same draw
    of prompts and seeds for all configurations."""

    configurations: Configurations
    estimates: Mapping[Metric, Floats]
    """What was measured, by metric: (configurations,); nan where it was not."""
    values: Mapping[Metric, Floats]
    """Replicates, by metric: (replicates, configurations); nan where the estimate is."""
    noise: Mapping[Metric, str]
    """What the replicates vary by: `prompts and seeds`, `prompts`, `standard errors`, `nothing`."""

    def interval(self, metric: Metric, level: float = 0.95) -> tuple[Floats, Floats]:
        """The equal-tailed interval of each configuration: (low, high), each (configurations,)."""
        tail = (1 - level) / 2
        low, high = np.nanquantile(self.values[metric], [tail, 1 - tail], axis=0)
        return low, high
