"""Build the sample that ships with the project, the same bytes every time.

    python examples/build_sample SOURCE_DATA examples/sample

SOURCE_DATA is a folder as `sources.py` describes it. Prints what was written and the figures that the sample's README
states; exits with an error if a promise (size, share of good prose, separation of the splits) does not hold.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from archive import N_FILES, write_archives
from compose import compose, naive
from figures import drop_overlapping, print_figures
from pages import Page
from sources import originals, texts
from splits import reference, validation, write_texts


def write_truth(path: Path, pages: list[Page], files: list[str]) -> None:
    """One row a page: what the page is. For measuring; no stage reads it."""
    rows = [
        {
            "url": page.url,
            "file": file,
            "kind": page.kind,
            "good": page.good,
            "lang": page.lang,
            "charset": page.charset,
            "copy_of": page.copy_of,
            "source": page.source,
            "license": page.license,
            "n_chars": len(naive(page)),
            "n_prose_chars": len(page.prose) if page.good else 0,
        }
        for page, file in zip(pages, files, strict=True)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd", compression_level=19)


def main() -> None:
    """Read, compose, write, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source_data", type=Path)
    parser.add_argument("sample", type=Path)
    arguments = parser.parse_args()
    (arguments.sample / "validation").mkdir(parents=True, exist_ok=True)

    all_texts, crawled = texts(arguments.source_data), originals(arguments.source_data)
    pages = compose(all_texts, crawled)
    good = reference(all_texts)
    held_out = drop_overlapping(validation(arguments.source_data, all_texts, crawled), pages, good)

    files = write_archives(arguments.sample, pages)
    assert len(set(files)) == N_FILES
    write_truth(arguments.sample / "truth.parquet", pages, files)
    write_texts(arguments.sample / "reference.parquet", good)
    for domain, chosen in held_out.items():
        write_texts(arguments.sample / "validation" / f"{domain}.parquet", chosen)
    print_figures(arguments.sample, pages, good, held_out)


if __name__ == "__main__":
    main()
