"""The scripts that the book brings along: it opens from a folder, without any network.

They are made in ``_build/assets/vendor``, once for all builds, and not in ``book/_static``: Jupyter
Book loads every script it finds there on every page, and these two are large.
"""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from report_pages.elsewhere import root_of

PACKAGES: Final = ("vl-convert-python", "sphinx-mathjax-offline")
"""The distributions the scripts are taken out of."""


def provide(app: Sphinx) -> None:
    """Write the scripts unless these very versions are there already, and have them served."""
    if app.builder.format != "html":
        return
    assets = root_of(app) / "_build" / "assets"
    vendor = assets / "vendor"
    stamp = vendor / "versions.json"
    wanted = json.dumps({name: version(name) for name in PACKAGES}, indent=1) + "\n"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        vendor.mkdir(parents=True, exist_ok=True)
        _put(vendor / "vega.js", _vega().encode())
        _put(vendor / "mathjax.js", _mathjax())
        _put(stamp, wanted.encode())
    app.config.html_static_path.append(str(assets))


def _put(path: Path, content: bytes) -> None:
    """Write a file whole: another book may be built at the same time."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)


def _vega() -> str:
    import vl_convert

    # The bundle declares short names at its top level; a function keeps them off the page.
    return f"(() => {{{vl_convert.javascript_bundle()}\n}})();\n"


def _mathjax() -> bytes:
    # The package is read, not loaded: as an extension it would add 24 MB of fonts and parts. This
    # one file draws all of TeX in SVG and asks for nothing else.
    spec = find_spec("sphinx-mathjax-offline")
    if spec is None or not spec.submodule_search_locations:
        raise ExtensionError("sphinx-mathjax-offline is not installed")
    return (
        Path(spec.submodule_search_locations[0]) / "static/mathjax/tex-svg-full.js"
    ).read_bytes()


def setup(app: Sphinx) -> None:
    """Provide the scripts once Jupyter Book has listed those of ``_static``."""
    app.connect("builder-inited", provide)
