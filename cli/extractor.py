"""Train the classifier of a page's blocks on pages of one's own, and say how good one is beside the one that ships."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

from datassay.cli.query import table
from datassay.corpus.errors import InputError, MissingExtraError, RecipeError
from datassay.corpus.html.classifier import load, load_given, save
from datassay.corpus.html.evaluation import Shares, answer, f1_replicates, interval, page_shares, scores
from datassay.corpus.html.examples import read_examples
from datassay.corpus.html.render import written
from datassay.corpus.html.scan import scan
from datassay.corpus.html.training import Example, Prepared, cross_validation, folds, prepare, train
from datassay.corpus.html.units import united
from datassay.corpus.store import whole_file

N_FOLDS = 5
MIN_FOUND = 0.5
"""A page whose blocks of main text hold less of its text is named: the text may be another page's."""
MAX_NAMED = 5


def train_from_pages(paths: Sequence[str], output: Path, *, seed: int = 1, group: str | None = None) -> str:
    """Train a classifier on files of pages into `output`; says what it was trained on.

    group: the field that names a page's group
    Raises RecipeError if `output` is no .npz, InputError for pages that are wrong or too few.
    """
    if output.suffix != ".npz":
        raise RecipeError(f"{output}: a classifier of blocks is a file that ends in .npz")
    _need_extra()
    pages: list[Prepared] = []
    notes = _Notes()
    for place, example in read_examples(paths, group=group):
        prepared = prepare(example)
        notes.note(place, example, prepared)
        if prepared is not None:
            pages.append(prepared)
    classifier = train(pages, seed=seed)
    with whole_file(output) as part:
        save(classifier, part)
    n_wanted, n_blocks = (sum(int(page.is_wanted.sum()) for page in pages), sum(len(page.is_wanted) for page in pages))
    return (
        f"{output}: {output.stat().st_size:,} bytes, trained on {len(pages)} pages in "
        f"{len({page.group for page in pages})} groups, {n_wanted:,} of {n_blocks:,} blocks main text\n{notes}"
    )


def evaluate_pages(
    paths: Sequence[str],
    model: Path | None = None,
    *,
    n_folds: int | None = None,
    seed: int | None = None,
    group: str | None = None,
) -> str:
    """How good a classifier's answers to files of pages are, beside those of the classifier that ships and of the plain
    rule: a table of F1, precision and recall.

    model: the classifier; if not given, each page is answered by one that is trained on the pages of other folds
    n_folds, seed: of that cross-validation
    Raises RecipeError for folds or a seed with a model, InputError for pages that are wrong or too few.
    """
    if model is not None:
        if n_folds is not None or seed is not None:
            raise RecipeError("--folds and --seed are for cross-validation, which is what happens without --model")
        classifier = load_given(model)
        examples = [example for _, example in read_examples(paths, group=group)]
        return _compared(examples, {model.name: [answer(example.html, classifier)[0] for example in examples]})
    _need_extra()
    notes = _Notes()
    examples, prepared = [], []
    for place, example in read_examples(paths, group=group):
        examples.append(example)
        prepared.append(prepare(example))
        notes.note(place, example, prepared[-1])
    found = _unseen_answers(examples, prepared, n_folds or N_FOLDS, 1 if seed is None else seed)
    best = [_labelled_text(*pair) for pair in zip(examples, prepared, strict=True)]
    return _compared(examples, {"trained on the others": found}, {"blocks as labelled": best}) + str(notes)


def _unseen_answers(
    examples: Sequence[Example], prepared: Sequence[Prepared | None], n_folds: int, seed: int
) -> list[str]:
    """The text that a classifier which has not seen a page's group finds in it."""
    groups = [example.group for example in examples]
    if len(set(groups)) < n_folds:
        raise InputError(
            f"{len(groups)} pages in {len(set(groups))} groups for {n_folds} folds: each fold needs a group; give more "
            f"pages, or fewer folds: --folds"
        )
    found = [""] * len(examples)
    for members, classifier in cross_validation(prepared, folds(groups, n_folds, seed=seed), seed=seed):
        for i in members:
            found[i] = answer(examples[i].html, classifier)[0]
    return found


def _compared(examples: Sequence[Example], own: dict[str, list[str]], best: dict[str, list[str]] | None = None) -> str:
    """A table of answers beside those that need no training, and how far the own ones are from the shipped one's."""
    if not examples:
        raise InputError("no pages in these files; each line or row should be a page, with html and text")
    shipped = load()
    texts = own | {
        "shipped": [answer(example.html, shipped)[0] for example in examples],
        "plain rule": [answer(example.html, None)[0] for example in examples],
    }
    texts |= best or {}
    groups: list[Hashable] = [example.group for example in examples]
    shares = {
        name: [page_shares(example.text, text) for example, text in zip(examples, found, strict=True)]
        for name, found in texts.items()
    }
    n_groups = len(set(groups))
    rows = [_row(name, of_pages, groups) for name, of_pages in shares.items()]
    lines = [
        f"{len(examples)} pages in {n_groups} groups\n",
        table(["answers", "F1", "low", "high", "precision", "recall", "empty"], rows),
    ]
    if n_groups > 1:
        (name,) = own
        difference = f1_replicates(shares[name], groups) - f1_replicates(shares["shipped"], groups)
        low, high = interval(difference)
        value = scores(shares[name])[0] - scores(shares["shipped"])[0]
        lines.append(f"\nF1 of {name} less that of shipped: {value:+.4f} ({low:+.4f} to {high:+.4f})\n")
    return "".join(lines)


def _row(name: str, shares: Sequence[Shares], groups: Sequence[Hashable]) -> tuple[object, ...]:
    low, high = interval(f1_replicates(shares, groups)) if len(set(groups)) > 1 else (None, None)
    f1, precision, recall = scores(shares)
    n_empty = sum(true + false == 0 for true, false, _ in shares)
    return name, *(None if value is None else f"{value:.4f}" for value in (f1, low, high, precision, recall)), n_empty


def _labelled_text(example: Example, prepared: Prepared | None) -> str:
    """The text of the blocks that training takes for main text: the best answer that a choice of blocks can give."""
    if prepared is None:
        return ""
    content = np.frombuffer(example.html, np.uint8)
    blocks = scan(content)
    return written(content, blocks, prepared.is_wanted[united(blocks)[1]])


class _Notes:
    """Pages that say little: those without blocks, and those whose text is not in their blocks."""

    def __init__(self) -> None:
        self._without_blocks: list[str] = []
        self._elsewhere: list[str] = []

    def note(self, place: str, example: Example, prepared: Prepared | None) -> None:
        """Look at a page."""
        if prepared is None:
            self._without_blocks.append(place)
            return
        true, _, missed = page_shares(example.text, _labelled_text(example, prepared))
        if true < MIN_FOUND * (true + missed):
            self._elsewhere.append(place)

    def __str__(self) -> str:
        lines = []
        if self._without_blocks:
            lines.append(f"pages without text, left out: {_named(self._without_blocks)}")
        if self._elsewhere:
            lines.append(f"pages that hold less than half of their text (another page's?): {_named(self._elsewhere)}")
        return "".join(f"{line}\n" for line in lines)


def _named(places: Sequence[str]) -> str:
    return f"{len(places)}, " + "; ".join(places[:MAX_NAMED]) + ("; …" if len(places) > MAX_NAMED else "")


def _need_extra() -> None:
    for module in ("lightgbm", "rapidfuzz"):
        try:
            import_module(module)
        except (ImportError, OSError) as error:  # OSError: LightGBM's own library needs OpenMP's
            raise MissingExtraError(
                f'training needs {module}: pip install "datassay[extractor]" (importing it: {error})'
            ) from error
