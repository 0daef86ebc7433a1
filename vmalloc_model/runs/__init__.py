"""Recorded runs of real kernels: what each is, and what it holds."""

from vmalloc_model.runs.described import KINDS, Run, Window, find_run, load_runs, run_id
from vmalloc_model.runs.recorded import REQUESTS, measured_overlay, read_requests
from vmalloc_model.traces.overlay import OverlaySummary

__all__ = [
    "KINDS",
    "REQUESTS",
    "OverlaySummary",
    "Run",
    "Window",
    "find_run",
    "load_runs",
    "measured_overlay",
    "read_requests",
    "run_id",
]
