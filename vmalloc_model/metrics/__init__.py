"""Metrics over a grid of settings: what a reader sweeps.

`registry` names the metrics, `settings` what can be varied, `tables` puts both into a table.
"""

from vmalloc_model.metrics.registry import METRICS, Case, Metric, find_metric
from vmalloc_model.metrics.settings import SETTINGS, Settings, check_value, settings_of
from vmalloc_model.metrics.tables import Survey, survey

__all__ = [
    "METRICS",
    "SETTINGS",
    "Case",
    "Metric",
    "Settings",
    "Survey",
    "check_value",
    "find_metric",
    "settings_of",
    "survey",
]
