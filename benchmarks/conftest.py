"""Print what a benchmark measured besides its time: rates, memory."""

import pytest


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter, config):
    for benchmark in config._benchmarksession.benchmarks:
        facts = [f"{name} {round(value, 2):,}" for name, value in benchmark.extra_info.items()]
        if facts:
            terminalreporter.write_line(f"{benchmark.name}: {', '.join(facts)}")
