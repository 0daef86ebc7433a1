import pytest

from vmalloc_model.contention.measured import load_contention
from vmalloc_model.datafiles import data_path
from vmalloc_model.errors import FileError


@pytest.fixture
def text():
    return data_path("contention.toml").read_text()


def load(text, tmp_path, monkeypatch):
    (tmp_path / "contention.toml").write_text(text)
    monkeypatch.setenv("VMALLOC_MODEL_DATA", str(tmp_path))
    return load_contention()


def test_what_the_mails_say():
    data = load_contention()
    times = dict(zip(data.pairs.jobs, data.pairs.shared, strict=True))
    assert data.pairs.jobs == tuple(range(1, 33))
    assert (times[1], times[2], times[32]) == pytest.approx((576.131, 2683.76, 21086.5))
    assert data.pairs.zones[-1] == pytest.approx(3829.04)
    assert data.pools.wall[0] == 10 * 60 + 51.271
    assert all(row.can and row.cannot for row in data.published)


def test_every_key_is_in_the_bibliography():
    bib = (data_path("contention.toml").parent.parent / "book" / "references.bib").read_text()
    data = load_contention()
    for key in (data.pairs.key, data.pools.key, *(row.key for row in data.published)):
        assert f"{{{key}," in bib


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("jobs = [1, 2, 3,", "jobs = [1, 3, 3,", "pairs.jobs: not ascending"),
        ("jobs = [1, 2,", "jobs = [2, 3,", "pairs.jobs: not ascending"),
        ("global = [0.576131,", "global = [", "pairs.global: wrong length"),
        ("zones = [0.555889", 'zones = ["0.5"', "pairs.zones: wrong value"),
        ("global = [0.576131", "global = [-0.5", "pairs.global: wrong value"),
        ("threads = 64", "threads = 0", "pools.threads: wrong value"),
        ("spinning = [0.9307", "spinning = [93.07", "pools.spinning: not shares"),
        ('kernel = "6.3"', 'kernal = "6.3"', "pairs: wrong keys"),
        ('can = "that 64', 'says = "that 64', "published[1]: wrong keys"),
        ('key = "rezki-v2"', 'key = ""', "published[1].key: wrong value"),
        ("[pools]", "[polls]", "file: wrong keys"),
    ],
)
def test_a_bad_file_names_the_place(text, old, new, said, tmp_path, monkeypatch):
    assert old in text
    with pytest.raises(FileError) as caught:
        load(text.replace(old, new, 1), tmp_path, monkeypatch)
    assert said in str(caught.value)
