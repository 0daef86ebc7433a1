"""Replay recorded kernel runs: predict what the kernel did, and count what was right."""
