"""Two decisions on the same documents: the counts once more by hand, and a page that opens offline."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from datassay.cli.compare import compare, compared, kappa, side
from datassay.cli.run import Request, run_recipe
from datassay.cli.run_folder import RunFolder, open_run
from datassay.corpus.errors import InputError, RecipeError, StoreError

OTHER = """
name = "other"
[input]
paths = ["none.jsonl"]
[language]
min_score = 0.3
[[rules]]
preset = "c4"
[quality]
reference = ["none.jsonl"]
keep = "top 60%"
"""


@pytest.fixture(scope="module")
def run(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that has come to its tokens."""
    folder = tmp_path_factory.mktemp("decided") / "run"
    assert run_recipe(Request(tiny.parent / "decided.toml", folder, until="tokens", workers=0)) == 0
    return open_run(folder)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    path = tmp_path / "other.toml"
    path.write_text(OTHER, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def second(tiny: Path, run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another run over the same input."""
    folder = tmp_path_factory.mktemp("second") / "run"
    shutil.copytree(run.path, folder)
    changes = ("quality.keep=top 40%", "language.min_score=0.2", 'rules=[{preset="c4"}]')
    assert run_recipe(Request(tiny.parent / "decided.toml", folder, changes=changes, until="decide", workers=0)) == 0
    return folder


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        # 20 + 15 of 50 agree, .7; A keeps 25 and B 30 of 50, so chance gives .5 x .6 + .5 x .4 = .5: (.7 - .5) / .5
        ((20, 5, 10, 15), 0.4),
        ((10, 0, 0, 10), 1.0),
        ((0, 10, 10, 0), -1.0),
        ((5, 5, 5, 5), 0.0),
        ((7, 0, 0, 0), None),
        ((0, 0, 0, 7), None),
        ((0, 0, 0, 0), None),
    ],
)
def test_kappa(cells: tuple[int, int, int, int], expected: float | None) -> None:
    found = kappa(*cells)
    assert found is None if expected is None else found == pytest.approx(expected)


def kept(run: RunFolder) -> dict[str, bool]:
    """Whether each document of the input is kept."""
    sources = dict(run.connect().execute("SELECT id, source FROM documents").fetchall())
    rows = [row for path in run.files("decide", "decisions") for row in pq.ParquetFile(path).read().to_pylist()]
    return {row["id"]: row["keep"] for row in rows if sources[row["id"]] == "input"}


def test_two_runs_counted_by_hand(run: RunFolder, second: Path) -> None:
    with side(run.path, None) as a, side(second, None) as b:
        found = compared(a, b)
    in_a, in_b = kept(run), kept(open_run(second))
    assert in_a.keys() == in_b.keys()
    cells = [(in_a[name], in_b[name]) for name in in_a]
    total = found.total
    assert (total.both, total.only_a, total.only_b, total.neither) == tuple(
        cells.count(cell) for cell in ((True, True), (True, False), (False, True), (False, False))
    )
    sizes = dict(run.connect().execute("SELECT id, n_bytes FROM text").fetchall())
    assert total.only_a_bytes == sum(sizes[name] for name in in_a if in_a[name] and not in_b[name])
    assert (found.n_unmatched, found.n_other_texts) == ((0, 0), 0)
    assert sum(group.n for group in found.domains) == total.n
    assert sum(group.only_b for group in found.languages) == total.only_b
    (dropped_by_b, dropped_by_a) = found.drops
    reasons = {
        row["id"]: [reason["rule"] for reason in row["reasons"]] + ["duplicate"] * (row["kept_for"] is not None)
        for path in open_run(second).files("decide", "decisions")
        for row in pq.ParquetFile(path).read().to_pylist()
    }
    only_a = [name for name in in_a if in_a[name] and not in_b[name]]
    for rule, n, alone in dropped_by_b:
        assert n == sum(rule in reasons[name] for name in only_a)
        assert alone == sum(reasons[name] == [rule] for name in only_a)
    assert {sample.id for sample in found.samples[0]} == set(sorted(only_a)[:8])
    assert bool(dropped_by_a) == bool(total.only_b)


def test_a_recipe_decides_as_a_run_with_it_would(run: RunFolder, second: Path, tmp_path: Path) -> None:
    path = tmp_path / "as-second.toml"
    path.write_text(
        OTHER.replace("top 60%", "top 40%").replace("min_score = 0.3", "min_score = 0.2")
        + "[dedup]\nminhash = { bands = 32, rows = 8, min_jaccard = 0.7 }\n",
        encoding="utf-8",
    )
    by_recipe = compare(run.path, path)
    by_run = compare(run.path, second)
    note = (
        f"note: {path}: quality.reference is another than the run's; the scores are those of the run's classifier\n\n"
    )
    assert note in by_recipe
    assert by_recipe.replace(note, "").split("\n", 2)[2] == by_run.split("\n", 2)[2]
    assert "kept by both" in by_run
    assert "only B      " in compare(path, path, on=run.path)


def test_a_run_agrees_with_itself(run: RunFolder) -> None:
    text = compare(run.path, run.path)
    assert "Cohen's kappa 1.000" in text
    assert "what B drops of what A keeps\n  nothing\n" in text
    assert "only A, with the reasons of B\n  none\n" in text


class Tags(HTMLParser):
    """Names of all tags, and all links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_opens_offline_and_escapes(run: RunFolder, tmp_path: Path) -> None:
    """A rule's condition, a name of a file and a text are what users write: nothing of them is markup."""
    evil = tmp_path / "<script>alert(1)<" / "evil.toml"
    evil.parent.mkdir()
    limit = "language = '<img src=x onerror=alert(1)>' OR word_count >= 40"
    evil.write_text(OTHER + f'[[rules]]\nname = "<b>bold</b>"\nkeep = "{limit}"\n', encoding="utf-8")
    pages = [tmp_path / name for name in ("a.html", "b.html")]
    for page in pages:
        text = compare(run.path, evil, html=page)
        assert f"page: {page}" in text
    assert pages[0].read_bytes() == pages[1].read_bytes()
    content = pages[0].read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(content)
    assert not {"script", "img", "b", "link", "iframe"} & set(tags.names)
    assert tags.links == []
    assert "&lt;img src=x onerror=alert(1)&gt;" in content
    assert re.search(r'http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src', content)
    assert "url(" not in content


def test_the_same_text_twice(run: RunFolder, other: Path) -> None:
    assert compare(run.path, other) == compare(run.path, other)


def small_run(folder: Path, texts: list[str], name: str = "rows.jsonl") -> Path:
    folder.mkdir()
    (folder / name).write_text("".join(f'{{"text": "{text}"}}\n' for text in texts), encoding="utf-8")
    recipe = folder / "small.toml"
    recipe.write_text(f'[input]\npaths = ["{name}"]\n[[rules]]\nname = "words"\nkeep = "word_count >= 3"\n')
    assert run_recipe(Request(recipe, folder / "run", until="decide", workers=0)) == 0
    return folder / "run"


def test_runs_over_other_inputs(tmp_path: Path) -> None:
    """Ids are places in files of a name: what lies at the same place counts as the same document."""
    texts = ["one two three", "four five", "six seven eight nine"]
    first = small_run(tmp_path / "a", texts)
    longer = small_run(tmp_path / "b", ["one two three!", *texts[1:], "ten eleven twelve", "thirteen fourteen fifteen"])
    elsewhere = small_run(tmp_path / "c", texts, name="others.jsonl")
    text = compare(first, longer)
    assert "note: compared are the 3 documents of both; 0 are only in A, 2 only in B\n" in text
    assert "note: 1 documents have other texts in B; bytes are those of A\n" in text
    with pytest.raises(
        InputError, match=r"no document in common \(3 and 3\)\. Ids follow .* compare runs over the same"
    ):
        compare(first, elsewhere)


def test_what_cannot_be_compared(tiny: Path, run: RunFolder, other: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"a recipe decides over what a run has measured; name the run with --on RUN"):
        compare(other, other)
    with pytest.raises(StoreError, match="no run here"):
        compare(run.path, tmp_path / "nowhere")
    assert run_recipe(Request(tiny.parent / "decided.toml", tmp_path / "begun", until="clean", workers=0)) == 0
    with pytest.raises(StoreError, match="stage 'decide' has not run"):
        compare(run.path, tmp_path / "begun")
