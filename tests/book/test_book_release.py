"""The release archive in Chromium: unpacked somewhere, opened from its folder."""

import tarfile
from datetime import UTC, datetime

import pytest
from browsing import settled

from vmalloc_model.report.archive import pack
from vmalloc_model.report.files import files_below

pytestmark = [pytest.mark.browser, pytest.mark.notebooks]


def test_pages_of_the_unpacked_archive_ask_for_nothing_elsewhere(real, chrome, tmp_path):
    html = real / "_build" / "html"
    content = {f"book/{p.relative_to(html).as_posix()}": p.read_bytes() for p in files_below(html)}
    packed = pack("release", content, tmp_path, datetime(2026, 1, 1, tzinfo=UTC))
    with tarfile.open(packed.path) as archive:
        archive.extractall(tmp_path / "elsewhere", filter="data")
    top = tmp_path / "elsewhere" / "release"
    context = chrome.new_context()
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    failed = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.goto((top / "book" / "index.html").as_uri())
    page.wait_for_url("**/notebooks/summary.html")
    settled(page)
    assert page.locator("h1").first.inner_text().startswith("Summary")
    assert not failed
    outside = [url for url in asked if not url.startswith((top.as_uri(), "data:", "blob:"))]
    assert not outside
    assert len(asked) > 5
    context.close()
