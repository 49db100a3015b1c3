"""Quality classifier against people's labels: AUC of the classifier beside AUC of text length alone.

Needs the shared data (DATASSAY_SHARED). Prints the model card, seconds, and AUC with 95 % intervals.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import orjson
import pyarrow.parquet as pq

from datassay.corpus.engine import Inputs
from datassay.corpus.store import Outputs
from datassay.filters.quality import QualitySettings, auc, load_model, quality_scores, train_quality


def main() -> None:
    """Train on the shared reference set against raw shards, score the labelled documents."""
    data = Path(os.environ["DATASSAY_SHARED"]) / "data"
    labelled = pq.read_table(data / "quality" / "labels.parquet")
    texts, label = labelled["text"].to_pylist(), labelled["label"].to_numpy()
    with TemporaryDirectory() as temp:
        reference = pq.read_table(data / "quality" / "reference.parquet", filters=[("label", "==", "high")])
        pq.write_table(reference.select(["id", "text"]), Path(temp) / "reference.parquet")
        corpus = tuple(sorted((data / "corpus").glob("raw-*.parquet")))
        inputs = Inputs({"reference": (Path(temp) / "reference.parquet",), "clean": corpus})
        settings = QualitySettings()
        out = Outputs(Path(temp), 0)
        begin = time.perf_counter()
        train_quality(inputs, settings, out)
        print(f"trained twice in {time.perf_counter() - begin:.1f} s")
        print(orjson.dumps(orjson.loads((Path(temp) / "quality_card/part-00000.json").read_bytes())).decode())
        model = load_model(Path(temp) / "quality_model/part-00000.bin", "good")
        begin = time.perf_counter()
        scores = quality_scores(model, texts, settings.scoring)
        print(f"scored {len(texts) / (time.perf_counter() - begin):.0f} documents/s")
    n_chars = np.array([len(text) for text in texts], np.float64)
    for name, values in (("classifier", scores), ("length", n_chars)):
        area, low, high = auc(values[label == 1], values[label == 0])
        print(f"AUC of {name} on {len(texts)} labelled documents: {area:.3f} [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
