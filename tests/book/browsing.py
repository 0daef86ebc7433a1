"""Driving the system's Chromium over a built book."""

import contextlib
import shutil
import tempfile
from pathlib import Path

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
INNER = {"_static", "_sources", "_downloads", "_images", "_sphinx_design_static"}


def chromium():
    """Path of the browser, None if the machine has none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextlib.contextmanager
def browser():
    """A fresh Chromium with an empty profile."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=chromium(), args=FLAGS, env={"HOME": home}
        )
        try:
            yield opened
        finally:
            opened.close()


def pages(html):
    """Every page of a built book, as paths below it; ``index.html`` only leads to the first."""
    found = (path.relative_to(html) for path in sorted(Path(html).rglob("*.html")))
    return [path for path in found if path.parts[0] not in INNER | {"index.html"}]


def settled(page):
    """Wait until every chart of the page lives."""
    page.wait_for_function(
        "document.querySelectorAll('.report-chart:not(.report-on)').length === 0", timeout=20_000
    )
