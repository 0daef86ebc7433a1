"""The floors of DESIGN.md: a module imports only from floors below its own."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "vmalloc_model"
FLOORS = [
    {"errors"},
    {"caches", "dependencies", "wholefiles"},
    {"units", "datafiles", "events", "compiled", "native", "pareto"},
    {"sweep"},
    {"cluster"},
    {"platforms", "callers", "traces"},
    {"runs"},
    {"requests", "run_platforms"},
    {"premises"},
    {"freespace"},
    {"allocator", "workloads"},
    {"interleavings", "replay", "simulate"},
    {"experiments"},
    {"constraints", "contention", "occupancy"},
    {"parameters", "metrics"},
    {"claims"},
    {"studies", "charts"},
    {"recommend"},
    {"report"},
    {"citing"},
    {"cli"},
    {"__main__"},
]
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def modules():
    return sorted(p for p in PACKAGE.rglob("*.py"))


def room_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vmalloc_model"):
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                if parts[0] == "vmalloc_model" and len(parts) > 1:
                    yield parts[1]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_from_floors_below(path):
    room = room_of(path)
    if room == "__init__":
        assert not list(imported_rooms(path))
        return
    for other in imported_rooms(path):
        if other in ("__version__", room):
            continue
        assert FLOOR[other] < FLOOR[room], f"{room} imports {other}"


def test_every_room_is_on_a_floor():
    rooms = {room_of(path) for path in modules()} - {"__init__"}
    assert rooms <= set(FLOOR), rooms - set(FLOOR)


def test_no_relative_imports():
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), path


def test_the_chart_package_imports_nothing():
    """Else touching one chart would rerun the notebooks of all."""
    assert not list(imported_rooms(PACKAGE / "charts" / "__init__.py"))
