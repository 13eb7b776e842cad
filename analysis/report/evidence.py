"""What a report rests on: the records, and everything that is computed from them, once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from analysis.effects.interactions import METRICS, interactions
from analysis.effects.interactions import SCHEMA as INTERACTIONS
from analysis.effects.losses import cell_losses, configuration_losses
from analysis.effects.power import detectable_differences
from analysis.effects.prices import SCHEMA as PRICES
from analysis.effects.prices import price_of_safety
from analysis.effects.safety_doses import (
    ATTACK_SCHEMA,
    DOSE_SCHEMA,
    sufficient_doses,
    undoing_attacks,
)
from analysis.fronts.uncertain import UncertainFront, uncertain_fronts
from analysis.records.configurations import Configurations, varying
from analysis.records.loading import Records
from analysis.uncertainty.draws import Draws, draw
from analysis.uncertainty.pooling import pooled
from search_spaces.metrics import RATES, Metric
from search_spaces.space import Objective


@dataclass(frozen=True)
class Evidence:
    """A study's records and what follows from them; each part is computed when first asked for."""

    records: Records
    replicates: int = 2000

    @cached_property
    def objectives(self) -> tuple[Objective, ...]:
        """The declared objectives that any cell has a value for."""
        return tuple(o for o in self.records.objectives if self.measured(o.metric))

    @cached_property
    def missing_objectives(self) -> tuple[Objective, ...]:
        """The declared objectives that no cell has a value for."""
        return tuple(o for o in self.records.objectives if o not in self.objectives)

    @cached_property
    def rates(self) -> tuple[Metric, ...]:
        """The shares of answers that any cell has."""
        return tuple(metric for metric in RATES if self.measured(metric))

    @cached_property
    def draws(self) -> Draws:
        """Replicates of the objectives and rates."""
        metrics = [objective.metric for objective in self.objectives]
        return draw(self.records, [*metrics, *self.rates], self.replicates)

    @property
    def configurations(self) -> Configurations:
        """What the `ok` cells are cells of."""
        return self.draws.configurations

    @cached_property
    def fronts(self) -> Mapping[str, UncertainFront]:
        """The front of each device (of any, where no objective depends on it); none where no
        configuration has every objective."""
        if not self.objectives or not len(self.configurations):
            return {}
        found = uncertain_fronts(self.draws, self.objectives)
        return {device: front for device, front in found.items() if len(front.table)}

    @cached_property
    def losses(self) -> pl.DataFrame:
        """Every compressed configuration against its own model before compression."""
        return configuration_losses(self.draws, self._compared)

    @cached_property
    def cell_losses(self) -> pl.DataFrame:
        """Every compressed cell against its own model before compression, answer by answer."""
        return cell_losses(self.records, self._compared)

    @cached_property
    def interactions(self) -> pl.DataFrame:
        """Pairs of factors whose effects may depend on each other; empty without answers."""
        if self.records.responses.is_empty():
            return pl.DataFrame(schema=INTERACTIONS)
        return interactions(self.records, self._compared)

    @cached_property
    def prices(self) -> pl.DataFrame:
        """What less harm costs, after each attack; empty where harm was not measured."""
        if "harmful_compliance" not in self.rates:
            return pl.DataFrame(schema=PRICES)
        return price_of_safety(pooled(self.draws))

    @cached_property
    def doses(self) -> pl.DataFrame:
        """The smallest safety doses that keep harm under a bound; empty where none vary."""
        if not self._dosed:
            return pl.DataFrame(schema=DOSE_SCHEMA)
        return sufficient_doses(self.draws)

    @cached_property
    def undoing(self) -> pl.DataFrame:
        """The weakest attacks that undo safety doses; empty where none vary."""
        if not self._dosed:
            return pl.DataFrame(schema=ATTACK_SCHEMA)
        return undoing_attacks(self.draws)

    @property
    def _dosed(self) -> bool:
        varies = varying(self.configurations.table, ["safety_examples"])
        return bool(varies) and "harmful_compliance" in self.rates

    @cached_property
    def detectable(self) -> pl.DataFrame:
        """The smallest differences that the study would have found."""
        return detectable_differences(self.records, self._compared)

    @property
    def _compared(self) -> list[Metric]:
        return [metric for metric in METRICS if metric in self.rates]

    @cached_property
    def failed(self) -> pl.DataFrame:
        """The cells whose last attempt failed."""
        return self.records.table.filter(pl.col("status") != "ok")

    def measured(self, metric: Metric) -> bool:
        """True if any `ok` cell has a value."""
        ok = self.records.ok
        return metric in ok.columns and ok[metric].drop_nulls().len() > 0
