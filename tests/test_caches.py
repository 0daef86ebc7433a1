from pathlib import Path

from vmalloc_model import caches

ROOT = Path(__file__).resolve().parent.parent


def test_of_a_checkout_of_an_installation_and_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.delenv("VMALLOC_MODEL_CACHE", raising=False)
    assert caches.cache_folder("engine") == ROOT / "_build" / "cache" / "engine"
    monkeypatch.setattr(caches, "_ROOT", tmp_path / "site-packages")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert caches.cache_folder("sweep") == tmp_path / "cache" / "vmalloc-model" / "sweep"
    monkeypatch.setenv("VMALLOC_MODEL_CACHE", str(tmp_path / "mine"))
    assert caches.cache_folder("numba") == tmp_path / "mine" / "numba"
