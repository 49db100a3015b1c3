"""Block lists for URLs: what they find among hosts of known category, and how fast.

Needs the shared data (DATASSAY_SHARED). Hosts are UT1's: gambling, dating and warez are to be blocked; press, bank and
shopping are not. Prints shares with Wilson's 95 % intervals, and URLs a second beside tldextract and a set of names.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tldextract
from numpy.typing import NDArray

from datassay.corpus.hashing import seed_of, uniform
from datassay.filters.url_lists import UrlLists, UrlListSettings, load_lists, url_list_settings, url_signals

N_URLS = 200_000
N_ENTRIES = 5_000_000


def main() -> None:
    """Print recall, false positives and speed."""
    hosts = pq.read_table(Path(os.environ["DATASSAY_SHARED"]) / "data" / "misc" / "domains.parquet")
    names = hosts["domain"].to_pylist()
    is_listed = uniform(seed_of("half", 0), names) < 0.5
    with TemporaryDirectory() as temp:
        settings = half_list(Path(temp), names, is_listed & hosts["block"].to_numpy())
        print("(a) a list of half of the bad hosts, no words; pages of hosts below each host (of addresses, their own)")
        urls = [f"https://{name if name[-1].isdigit() else 'shop.' + name}/page/1?q=a" for name in names]
        show(hosts, urls, settings, is_listed)
        print("(b) the shipped words alone, in the front page of each host")
        words = url_list_settings(UrlLists())
        show(hosts, [f"https://{name}/" for name in names], words, np.ones(len(names), bool))
        print("(c) speed, one core")
        speed(Path(temp), names, settings, words)


def half_list(folder: Path, names: Sequence[str], is_chosen: NDArray[np.bool_]) -> UrlListSettings:
    (folder / "half").write_text("\n".join(name for name, chosen in zip(names, is_chosen, strict=True) if chosen))
    return url_list_settings(UrlLists(block_files=(str(folder / "half"),), shipped_words=False))


def show(hosts: pa.Table, urls: Sequence[str], settings: UrlListSettings, is_listed: NDArray[np.bool_]) -> None:
    """Print the share blocked of each category: of hosts that are listed, and of the others if there are any."""
    batch, _ = url_signals(pa.array(urls), pa.array(urls), settings)
    is_blocked = batch["url_is_blocked"].to_numpy(zero_copy_only=False)
    categories = np.array(hosts["category"].to_pylist())
    for category in ("gambling", "dating", "warez", "press", "bank", "shopping"):
        for title, half in (("listed half", is_listed), ("other half", ~is_listed)):
            mine = is_blocked[(categories == category) & half]
            if len(mine):
                low, high = wilson(int(mine.sum()), len(mine))
                part = title if not is_listed.all() else "all hosts"
                print(f"  {category:9} {part:12} {mine.mean():.4f} [{low:.4f}, {high:.4f}] of {len(mine)}")


def wilson(n: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z, share = 1.959964, n / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * np.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def speed(folder: Path, names: Sequence[str], settings: UrlListSettings, words: UrlListSettings) -> None:
    """Print URLs a second, seconds to load a large list and its bytes an entry."""
    paths = ("", "/", "/news/2021/05/some-title-of-a-page.html", "/Item?id=12345&ref=HOME#top", "/a/b/c/d/e/f/")
    urls = [f"https://www.{names[i % len(names)]}{paths[i % len(paths)]}" for i in range(N_URLS)]
    ids, column = pa.array(map(str, range(N_URLS))), pa.array(urls)
    other = pa.array([f"https://пример{i % 5000}.рф/стр{i}" for i in range(N_URLS)])
    made = (folder / "made").open("w")
    with made:
        made.writelines(f"host{i * 2654435761 % 2**32:08x}.example{i % 997}.com\n" for i in range(N_ENTRIES))
    large = url_list_settings(UrlLists(block_files=(str(folder / "made"),)))
    begin = time.perf_counter()
    matcher, _ = load_lists(large)
    n_bytes = sum(array.nbytes for array in matcher.hosts)
    print(f"  {N_ENTRIES:,} entries: {time.perf_counter() - begin:.1f} s to load, {n_bytes / N_ENTRIES:.1f} bytes each")
    for title, chosen, texts in (
        ("half list", settings, column),
        ("words", words, column),
        (f"{N_ENTRIES:,} entries and words", large, column),
        ("the same, hosts in other scripts", large, other),
    ):
        print(f"  {title}: {rate(lambda s=chosen, t=texts: url_signals(ids, t, s)):,.0f} URLs/s")  # type: ignore[misc]
    listed = set(names)
    set_bytes = (sys.getsizeof(listed) + sum(map(sys.getsizeof, listed))) / len(listed)
    print(f"  a set of str: {set_bytes:.0f} bytes an entry")
    extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    def plain() -> list[bool]:
        found = map(extract, column.to_pylist())
        return [f"{name.domain}.{name.suffix}" in listed or name.fqdn in listed for name in found]

    print(f"  tldextract and a set of str, hosts alone: {rate(plain):,.0f} URLs/s")
    assert pc.all(url_signals(ids, column, settings)[0]["url_is_blocked"].is_valid()).as_py()


def rate(function: Callable[[], object]) -> float:
    """URLs a second of processor time, the better of three."""
    seconds = []
    for _ in range(3):
        begin = time.process_time()
        function()
        seconds.append(time.process_time() - begin)
    return N_URLS / min(seconds)


if __name__ == "__main__":
    main()
