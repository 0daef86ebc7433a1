import os
import subprocess
import sys

import minibook
import pytest
from browsing import browser, chromium


@pytest.fixture(scope="session")
def mini(tmp_path_factory):
    """Folder of the small book, built without a warning."""
    root = tmp_path_factory.mktemp("mini")
    minibook.make(root)
    built = minibook.build(root)
    assert built.returncode == 0, built.stdout + built.stderr
    return root


@pytest.fixture(scope="session")
def real():
    """Folder of this project, its book built."""
    if not (minibook.ROOT / "_build" / "html" / "index.html").is_file():
        command = [sys.executable, "-m", "vmalloc_model", "build"]
        subprocess.run(command, cwd=minibook.ROOT, check=True)
    return minibook.ROOT


@pytest.fixture(scope="session", params=["mini", "real"])
def html(request):
    """Folder of the pages: of the small book, then of the real one."""
    return request.getfixturevalue(request.param) / "_build" / "html"


@pytest.fixture(scope="session")
def chrome():
    """A running Chromium."""
    if chromium() is None:
        reason = "no Chromium on this machine"
        if os.environ.get("VMALLOC_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason + " (VMALLOC_REQUIRE_BROWSER=1 makes this a failure)")
    with browser() as opened:
        yield opened
