"""Photograph every page of the built book: wide, narrow and dark.

Run as ``python -m tests.book.screenshots OUTDIR [--pages NAME ...] [--html DIR]``.
"""

import argparse
from pathlib import Path

from tests.book.browsing import browser, pages, settled

ROOT = Path(__file__).resolve().parents[2]
VIEWS = {
    "wide": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "narrow": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
}


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.book.screenshots")
    parser.add_argument("out", type=Path)
    parser.add_argument("--pages", nargs="*", help="page names such as 'coverage'; default all")
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html")
    given = parser.parse_args()
    chosen = [page for page in pages(given.html) if not given.pages or page.stem in given.pages]
    given.out.mkdir(parents=True, exist_ok=True)
    with browser() as opened:
        for view, settings in VIEWS.items():
            context = opened.new_context(**settings)
            for name in chosen:
                page = context.new_page()
                page.goto((given.html / name).resolve().as_uri())
                settled(page)
                target = given.out / f"{name.stem}-{view}.png"
                page.screenshot(path=target, full_page=True)
                page.close()
                print(target)
            context.close()


if __name__ == "__main__":
    main()
