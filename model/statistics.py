"""What a difference in loss is worth: contrasts between variants, their intervals, and what they could not have seen.

Each variant is trained with the same seeds. A score is modelled as variant + seed + residual (two-way layout without
replication: Scheffé, The Analysis of Variance, 1959, ch. 4), so the residual is pooled over all variants and has
(variants - 1) * (seeds - 1) degrees of freedom, where three seeds compared pair by pair would have two.

Pooling assumes that the variants are equally noisy; Welch's test, which does not, is reported beside, and so is a
bootstrap over the validation documents. Bits per byte (bpb) throughout: lower is better, a negative difference helps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.hashing import splitmix64

ALPHA = 0.05
"""A contrast is decided where its p, corrected for the number of contrasts (Holm), lies below."""
POWER = 0.8
"""With what probability the smallest detectable effect would have been found."""
SD_CONFIDENCE = 0.9
"""The residual's deviation is at most its upper bound with this confidence; a deviation from three seeds flatters."""
N_REPLICATES = 2000
MIN_DOCUMENTS = 100
MIN_BYTES = 100_000
"""Below these, a domain's validation set is too small: ten times the noise was measured with 28 documents."""
MEAN = "mean"
"""Name of the unweighted mean over domains, the primary contrast."""

Kind = Literal["cumulative", "total", "minus", "preset"]
Verdict = Literal["helps", "hurts", "not measurable at this budget", "same documents"]


@dataclass(frozen=True, slots=True)
class Score:
    """What one run scored on the documents of one domain."""

    variant: str
    seed: int
    domain: str
    nats: NDArray[np.float64]
    """(documents,) summed over the document's tokens; the same documents in the same order for every run."""
    n_bytes: NDArray[np.int64]
    """(documents,) of the original UTF-8 text."""

    @property
    def bpb(self) -> float:
        return float(self.nats.sum() / self.n_bytes.sum() / math.log(2))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Which two variants show a step: the difference is always with the step less without it."""

    step: str
    kind: Kind
    """cumulative: after the steps before it; total: all steps at once; minus: with all the other steps; preset: its
    rules in place of the recipe's."""
    variant: str
    """With the step."""
    versus: str
    """Without it."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """The effect of one step on one domain, in bits per byte; negative is better."""

    domain: str
    step: str
    kind: Kind
    variant: str
    versus: str
    difference: float
    low: float
    high: float
    """95 % confidence interval from the pooled residual, not corrected for the number of contrasts."""
    p: float
    p_holm: float
    """Corrected over the contrasts of this domain; the verdict rests on it."""
    verdict: Verdict
    smallest_detectable: float
    """An effect of this size is found with probability `POWER`, even at the upper bound of the noise and at the
    strictest level of Holm's procedure."""
    p_welch: float | None
    """Of Welch's test, unpaired and with a variance for each variant; None where neither variant varies."""
    pairing_correlation: float | None
    """Of the two variants' scores over seeds; None below three seeds. Pairing gains only where it is positive."""
    bootstrap_low: float
    bootstrap_high: float
    """95 % percentile interval over validation documents and seeds together."""


@dataclass(frozen=True, slots=True)
class Noise:
    """How much a score of one domain varies that neither variant nor seed explains."""

    domain: str
    sd: float
    df: int
    sd_upper: float
    smallest_detectable: float
    n_documents: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class VariantScore:
    """Bits per byte of one variant on one domain."""

    variant: str
    domain: str
    bpb: float
    sd: float
    """Over seeds, with what the seeds have in common."""
    by_seed: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that the runs say about the steps, domain by domain; the mean over domains comes first."""

    variants: tuple[str, ...]
    seeds: tuple[int, ...]
    """Seeds that all variants have finished; runs of other seeds are left out."""
    domains: tuple[str, ...]
    target: str | None
    """The domain that was declared to count, before the runs."""
    scores: tuple[VariantScore, ...]
    contrasts: tuple[Contrast, ...]
    noise: tuple[Noise, ...]
    notes: tuple[str, ...]


def residual(scores: NDArray[np.float64]) -> tuple[float, int]:
    """Standard deviation and degrees of freedom of what variant and seed leave unexplained.

    scores: (variants, seeds), at least two of each
    """
    n_variants, n_seeds = scores.shape
    if n_variants < 2 or n_seeds < 2:
        raise ValueError(f"{n_variants} variants x {n_seeds} seeds leave no residual; at least 2 x 2 are needed")
    left = scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=0, keepdims=True) + scores.mean()
    df = (n_variants - 1) * (n_seeds - 1)
    return math.sqrt(float((left**2).sum()) / df), df


def sd_upper(sd: float, df: int, confidence: float = SD_CONFIDENCE) -> float:
    """Upper confidence bound of a standard deviation: df * sd**2 / sigma**2 is chi-square distributed."""
    from scipy.stats import chi2

    return sd * math.sqrt(df / float(chi2.ppf(1 - confidence, df)))


def standard_error(sd: float, n_seeds: int) -> float:
    """Standard error of the difference of two variants' means over `n_seeds` seeds."""
    return sd * math.sqrt(2 / n_seeds)


def p_values(differences: NDArray[np.float64], *, se: float, df: int) -> NDArray[np.float64]:
    """Two-sided p of each difference under Student's t; 1 where there is no difference."""
    from scipy.stats import t

    if se == 0:
        return np.where(differences == 0, 1.0, 0.0)
    return np.asarray(2 * t.sf(np.abs(differences) / se, df), np.float64)


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """p values corrected for their number so that the chance of any false positive stays below alpha.

    p: (contrasts,), may be empty
    Holm: A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6 (1979).
    """
    order = np.argsort(p, kind="stable")
    strictness = len(p) - np.arange(len(p))  # the smallest p times n, the next times n - 1, …
    adjusted = np.empty(len(p), np.float64)
    adjusted[order] = np.maximum.accumulate(np.minimum(p[order] * strictness, 1.0))
    return adjusted


def smallest_detectable(se: float, df: int, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """The true difference that a two-sided t test at level `alpha` finds with probability `power`.

    Given the estimated deviation s (in units of the true one), the statistic exceeds the limit with a normal tail's
    probability; that is averaged over quantiles of s, because SciPy's noncentral t is NaN far out in its lower tail.
    For large df the result is (z_{1-alpha/2} + z_{power}) * se.
    """
    from scipy.optimize import brentq
    from scipy.stats import chi2, norm, t

    n_quantiles = 4000
    s = np.sqrt(chi2.ppf((np.arange(n_quantiles) + 0.5) / n_quantiles, df) / df)
    limit = float(t.ppf(1 - alpha / 2, df)) * s

    def shortfall(effect: float) -> float:  # in standard errors
        return float(np.mean(norm.sf(limit - effect) + norm.cdf(-limit - effect))) - power

    return float(brentq(shortfall, 0.0, float(limit.max()) + 10)) * se


def welch_p(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Two-sided p of Welch's test on two variants' scores over seeds; None if neither varies."""
    from scipy.stats import ttest_ind

    if np.ptp(a) == 0 and np.ptp(b) == 0:
        return None
    return float(ttest_ind(a, b, equal_var=False).pvalue)


def pairing_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Correlation of two variants' scores over seeds; None below three seeds or where one does not vary."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def resampling_weights(seed: int, n: int, *, n_replicates: int = N_REPLICATES) -> NDArray[np.float64]:
    """How often each of `n` units is drawn in each bootstrap replicate: (replicates, n), each row sums to n.

    Drawn from splitmix64, whose numbers never change, so the interval is the same everywhere.
    """
    uniform = (splitmix64(seed, n_replicates * n) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    drawn = (uniform * n).astype(np.int64).reshape(n_replicates, n)
    cells = (np.arange(n_replicates)[:, None] * n + drawn).ravel()
    return np.bincount(cells, minlength=n_replicates * n).reshape(n_replicates, n).astype(np.float64)


def bootstrap_bpb(
    nats: NDArray[np.float64],
    n_bytes: NDArray[np.int64],
    *,
    document_weights: NDArray[np.float64],
    seed_weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Bits per byte of each variant in each replicate, over resampled documents and resampled seeds.

    nats:             (variants, seeds, documents)
    document_weights: (replicates, documents)
    seed_weights:     (replicates, seeds)
    returns:          (replicates, variants); all variants share the draw, so differences stay paired
    """
    totals = np.einsum("rd,vsd->rvs", document_weights, nats, optimize=True)
    by_seed = totals / (document_weights @ n_bytes)[:, None, None] / math.log(2)  # (replicates, variants, seeds)
    means: NDArray[np.float64] = np.einsum("rvs,rs->rv", by_seed, seed_weights) / seed_weights.shape[1]
    return means


def analyse(
    scores: Sequence[Score],
    comparisons: Sequence[Comparison],
    *,
    same_as: Mapping[str, str] | None = None,
    target: str | None = None,
) -> Analysis:
    """The effect of each compared step on each domain, and on their mean.

    same_as: for a variant that holds the same documents as an earlier one, that one's name; it has no scores of its
             own, or its residual would be counted twice

    Only seeds that every variant has finished count, so an ablation that is half done can be analysed as it is.
    Raises ValueError below two common seeds or two variants, or if runs scored different documents.
    """
    copies = same_as or {}
    variants = tuple(dict.fromkeys(score.variant for score in scores))
    trained = {c: (copies.get(c.variant, c.variant), copies.get(c.versus, c.versus)) for c in comparisons}
    n_tests = len(distinct_pairs(trained.values()))
    seeds = _common_seeds(scores, variants)
    domains = tuple(sorted({score.domain for score in scores}))
    if target is not None and target not in domains:
        raise ValueError(f"target domain {target!r} was not scored, only {', '.join(domains)}")
    tables = {domain: _domain_table(scores, domain, variants, seeds) for domain in domains}

    seed_weights = resampling_weights(0, len(seeds))
    bpb: dict[str, NDArray[np.float64]] = {}
    replicates: dict[str, NDArray[np.float64]] = {}
    for i, (domain, (nats, n_bytes)) in enumerate(tables.items()):
        bpb[domain] = nats.sum(axis=2) / n_bytes.sum() / math.log(2)  # (variants, seeds)
        weights = resampling_weights(1 + i, len(n_bytes))
        replicates[domain] = bootstrap_bpb(nats, n_bytes, document_weights=weights, seed_weights=seed_weights)
    if len(domains) > 1:
        bpb = {MEAN: np.mean(list(bpb.values()), axis=0), **bpb}
        replicates = {MEAN: np.mean(list(replicates.values()), axis=0), **replicates}

    contrasts: list[Contrast] = []
    noise: list[Noise] = []
    for domain, table in bpb.items():
        sizes = [tables[name][1] for name in (domains if domain == MEAN else (domain,))]
        contrasts += _contrasts(domain, table, trained, variants=variants, replicates=replicates[domain])
        noise.append(_noise(domain, table, n_tests, sizes=sizes))
    return Analysis(
        variants=variants,
        seeds=seeds,
        domains=tuple(bpb),
        target=target,
        scores=tuple(_variant_scores(bpb, variants)),
        contrasts=tuple(contrasts),
        noise=tuple(noise),
        notes=tuple(_small_domains({domain: n_bytes for domain, (_, n_bytes) in tables.items()})),
    )


def _common_seeds(scores: Sequence[Score], variants: Sequence[str]) -> tuple[int, ...]:
    """Seeds that every variant has, in order. Raises ValueError if there are fewer than two, or fewer variants."""
    done = {variant: {score.seed for score in scores if score.variant == variant} for variant in variants}
    seeds = sorted(set.intersection(*done.values())) if done else []
    if len(seeds) < 2 or len(variants) < 2:
        raise ValueError(
            f"{len(variants)} variants have {len(seeds)} finished seeds in common; at least 2 of each are needed"
        )
    return tuple(seeds)


def _domain_table(
    scores: Sequence[Score], domain: str, variants: Sequence[str], seeds: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Nats of (variants, seeds, documents) and bytes of (documents,). Raises ValueError if documents differ."""
    found = {(score.variant, score.seed): score for score in scores if score.domain == domain}
    try:
        cells = [[found[variant, seed] for seed in seeds] for variant in variants]
    except KeyError as error:
        raise ValueError(f"domain {domain!r} lacks the run (variant, seed) {error}") from error
    n_bytes = cells[0][0].n_bytes
    for score in found.values():
        if not np.array_equal(score.n_bytes, n_bytes):
            raise ValueError(f"domain {domain!r}: run {score.variant}, seed {score.seed} scored other documents")
    return np.array([[cell.nats for cell in row] for row in cells]), n_bytes


def _contrasts(
    domain: str,
    bpb: NDArray[np.float64],
    comparisons: Mapping[Comparison, tuple[str, str]],
    *,
    variants: Sequence[str],
    replicates: NDArray[np.float64],
) -> list[Contrast]:
    """The contrasts of one domain; each comparison comes with the two variants that were trained for it.

    bpb:        (variants, seeds)
    replicates: (replicates, variants)
    """
    from scipy.stats import t

    row = {variant: i for i, variant in enumerate(variants)}
    family = distinct_pairs(comparisons.values())
    sd, df = residual(bpb)
    se = standard_error(sd, bpb.shape[1])
    half_width = float(t.ppf(0.975, df)) * se
    means = bpb.mean(axis=1)
    p = p_values(np.array([means[row[a]] - means[row[b]] for a, b in family]), se=se, df=df)
    p_holm = holm(p)
    detectable = _detectable(bpb, len(family))

    contrasts = []
    for comparison, pair in comparisons.items():
        if pair not in family:
            contrasts.append(_same_documents(domain, comparison))
            continue
        i, a, b = family.index(pair), row[pair[0]], row[pair[1]]
        difference = float(means[a] - means[b])
        bootstrap_low, bootstrap_high = np.quantile(replicates[:, a] - replicates[:, b], [0.025, 0.975])
        contrast = Contrast(
            domain=domain,
            step=comparison.step,
            kind=comparison.kind,
            variant=comparison.variant,
            versus=comparison.versus,
            difference=difference,
            low=difference - half_width,
            high=difference + half_width,
            p=float(p[i]),
            p_holm=float(p_holm[i]),
            verdict=verdict(difference, float(p_holm[i])),
            smallest_detectable=detectable,
            p_welch=welch_p(bpb[a], bpb[b]),
            pairing_correlation=pairing_correlation(bpb[a], bpb[b]),
            bootstrap_low=float(bootstrap_low),
            bootstrap_high=float(bootstrap_high),
        )
        contrasts.append(contrast)
    return contrasts


def distinct_pairs(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The different pairs of two different variants: what Holm's procedure corrects for."""
    return list(dict.fromkeys(pair for pair in pairs if pair[0] != pair[1]))


def _same_documents(domain: str, comparison: Comparison) -> Contrast:
    """The contrast of a step that drops no document."""
    return Contrast(
        domain=domain,
        step=comparison.step,
        kind=comparison.kind,
        variant=comparison.variant,
        versus=comparison.versus,
        difference=0.0,
        low=0.0,
        high=0.0,
        p=1.0,
        p_holm=1.0,
        verdict="same documents",
        smallest_detectable=0.0,
        p_welch=None,
        pairing_correlation=None,
        bootstrap_low=0.0,
        bootstrap_high=0.0,
    )


def _detectable(bpb: NDArray[np.float64], n_tests: int) -> float:
    """Smallest detectable effect at the upper bound of the noise and at Holm's strictest level, alpha / n_tests."""
    sd, df = residual(bpb)
    se = standard_error(sd_upper(sd, df), bpb.shape[1])
    return smallest_detectable(se, df, alpha=ALPHA / max(1, n_tests))


def _noise(domain: str, bpb: NDArray[np.float64], n_tests: int, *, sizes: Sequence[NDArray[np.int64]]) -> Noise:
    """The noise of one domain (or of the mean over several), whose documents have `sizes` in bytes."""
    sd, df = residual(bpb)
    return Noise(
        domain=domain,
        sd=sd,
        df=df,
        sd_upper=sd_upper(sd, df),
        smallest_detectable=_detectable(bpb, n_tests),
        n_documents=sum(map(len, sizes)),
        n_bytes=sum(int(size.sum()) for size in sizes),
    )


def verdict(difference: float, p_holm: float) -> Verdict:
    """In words. A difference that was not found is never called absent: the budget may be too small for it."""
    if p_holm >= ALPHA:
        return "not measurable at this budget"
    return "helps" if difference < 0 else "hurts"


def _variant_scores(bpb: Mapping[str, NDArray[np.float64]], variants: Sequence[str]) -> list[VariantScore]:
    return [
        VariantScore(variant, domain, float(row.mean()), float(row.std(ddof=1)), tuple(row.tolist()))
        for domain, table in bpb.items()
        for variant, row in zip(variants, table, strict=True)
    ]


def _small_domains(n_bytes: Mapping[str, NDArray[np.int64]]) -> list[str]:
    """What to say about domains whose validation set is too small."""
    return [
        f"domain {domain!r} has {len(sizes)} validation documents and {int(sizes.sum())} bytes; below {MIN_DOCUMENTS} "
        f"documents or {MIN_BYTES} bytes the interval over documents says little"
        for domain, sizes in n_bytes.items()
        if len(sizes) < MIN_DOCUMENTS or int(sizes.sum()) < MIN_BYTES
    ]
