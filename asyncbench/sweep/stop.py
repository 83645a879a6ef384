"""The stop rule as a configuration gives it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from asyncbench.errors import BadInputError
from asyncbench.sweep.fields import DurationText, RatioText
from asyncbench.sweep.problems import as_custom_error
from asyncbench.units import parse_duration_ns, parse_ratio


class StopConfig(BaseModel):
    """When a cell has been measured for long enough, unless `duration` or `iterations` say so."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    median: RatioText = Field(default="1%", description="Half width of the 95 % interval of the median, at most.")
    p99: RatioText = Field(default="5%", description="Half width of the 95 % interval of the p99, at most.")
    min: DurationText = Field(default="0.5s", description="A cell is measured for at least this long.")
    max: DurationText = Field(default="5s", description="A cell still not exact after this is recorded as imprecise.")

    @property
    def median_ratio(self) -> float:
        """Half width of the median's interval, relative to the median."""
        return parse_ratio(self.median)

    @property
    def p99_ratio(self) -> float:
        """Half width of the p99's interval, relative to the p99."""
        return parse_ratio(self.p99)

    @property
    def min_window_ns(self) -> int:
        """The shortest window."""
        return parse_duration_ns(self.min)

    @property
    def max_window_ns(self) -> int:
        """The longest window."""
        return parse_duration_ns(self.max)

    @model_validator(mode="after")
    def _check_order(self) -> StopConfig:
        if self.min_window_ns > self.max_window_ns:
            problem = f"the shortest window, {self.min}, is longer than the longest, {self.max}"
            raise as_custom_error(BadInputError(problem, remedy="raise max or lower min"))
        return self
