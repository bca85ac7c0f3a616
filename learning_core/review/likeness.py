"""Which texts say nearly the same thing: near-duplicates found by the words and letters they share.

It compares wording, never meaning: a question put in altogether other words is another question here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

ALIKE = 0.5
"""Share (0-1) of all shingles that two long texts must have in common, by Jaccard's index."""

ALIKE_IF_SHORT = 0.85
"""The same for short texts, where one word is the question: "VAT rate for books", "VAT rate for hotels"."""

SHORT_WORDS, LONG_WORDS = 8, 24
"""Mean number of words of a pair up to which, and from which on, it is judged as short and as long."""

CONTAINED = 0.95
"""Share (0-1) of the smaller text's shingles that the larger must hold to be the same with more around it."""

CONTAINED_WORDS = 6
TIMES_AS_LARGE = 3
COMPARED_WORDS = 4
"""Texts of fewer words are alike only if they are equal once normalised."""

READ_CHARACTERS = 20_000
SIMILAR = 0.25
"""Estimates below this are what any two texts of one field and language share."""

SHINGLE_CHARACTERS = 5
BANDS, ROWS = 42, 3
PERMUTATIONS = 128
SEED = 1
SLACK = 0.1
"""What an estimate may fall short before a pair is no longer compared exactly: over two standard errors."""

NEIGHBOURS = 256
"""With how many others of its bucket a text is compared: the nearest, as a bucket is sorted by signature."""

FAILURES = 64
"""Vain exact comparisons per text: enough for all but crowds that share a footer and little besides."""

KNOWN_AT_ONCE = 4096

_DIGITS = re.compile(r"\d+")
_NUMBERS = re.compile(r"\b0(?: 0)+\b")
_NO_LETTER = re.compile(r"[^\w\s]|_")
_IDEOGRAPH = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)

_Shingles = npt.NDArray[np.uint32]
_Numbers = npt.NDArray[np.int64]


class _Sketches(NamedTuple):
    shingles: list[_Shingles]
    sizes: _Numbers
    words: _Numbers
    signatures: npt.NDArray[np.uint32]


class _Pairs(NamedTuple):
    one: _Numbers
    other: _Numbers

    def where(self, kept: npt.NDArray[np.bool_]) -> _Pairs:
        return _Pairs(self.one[kept], self.other[kept])


def normalise(text: str) -> str:
    """Return what is compared of a text: its words in lower case, every number as 0, punctuation gone.

    Only the first 20,000 characters are read. Dates and amounts written apart become one 0, and ideographs
    become words of their own, because no spaces part them.

    >>> normalise("Is the VAT rate 19% -- or 7.5% -- since 2024-01-01?")
    'is the vat rate 0 or 0 since 0'
    """
    folded = unicodedata.normalize("NFKC", text[:READ_CHARACTERS]).casefold()[:READ_CHARACTERS]
    # Normalised again, because case folding and dropping soft hyphens can bring marks and letters together.
    bare = unicodedata.normalize("NFKC", _NO_LETTER.sub(_replacement, folded))
    words = _IDEOGRAPH.sub(r" \g<0> ", _DIGITS.sub("0", bare)).split()
    return _NUMBERS.sub("0", " ".join(words))


def fingerprint(text: str) -> str:
    """Return 32 hexadecimal digits that texts share if they differ in case, punctuation and numbers alone."""
    return blake2b(normalise(text).encode(), digest_size=16).hexdigest()


def clusters(texts: Sequence[str], threshold: float = ALIKE) -> list[int]:
    """Return a cluster number for each text: texts that say nearly the same share one.

    Two texts belong together if they are equal once normalised; if their shingles (runs of five characters,
    words, pairs of words) overlap by at least the threshold, measured by Jaccard's index; or if the larger,
    up to three times as large, holds nearly all of the smaller, as with a greeting before the question. What
    is like the same text is alike, so a cluster may hold two texts that are not like each other.

    One word tells two short questions apart and hardly matters in a paragraph. The threshold therefore holds
    for pairs of 24 words or more; it rises to 0.85 for pairs of 8 words or fewer, and texts of up to three
    words must be equal. A dataset loses little by splitting two questions of one topic, and loses its honesty
    by testing on a long story that it was trained on: in doubt long texts are joined and short ones are not.

    Whether two texts are alike depends on these two alone. Candidates come from MinHash signatures in bands:
    Broder (1997), "On the resemblance and containment of documents", Proceedings of Compression and
    Complexity of Sequences, 21-29; Leskovec, Rajaraman and Ullman (2014), "Mining of Massive Datasets",
    section 3.4. A pair with Jaccard's index s is found with probability 1 - (1 - s^3)^42: 0.996 at 0.5 and
    0.94 at 0.4. What is found is compared exactly. Only in crowds of hundreds that share much, yet too little
    to be alike, are some pairs left out, lest the work grow with their square.

    Args:
        texts: Any texts. Those without a letter or digit are each alone.
        threshold: Jaccard's index (0-1) from which long texts are alike.

    Returns:
        Cluster numbers from 0, in order of first appearance.

    >>> clusters(["What is the VAT rate for books?", "How is rent taxed?", "what is the vat-rate for BOOKS"])
    [0, 1, 0]
    """
    forms = {text: normalise(text) for text in dict.fromkeys(texts)}
    distinct = [form for form in dict.fromkeys(forms.values()) if form]
    labels = dict(zip(distinct, _label(distinct, threshold).tolist(), strict=True))
    numbers: dict[int, int] = {}
    # An empty text gets a label that no other text has.
    found = (labels.get(forms[text], -1 - position) for position, text in enumerate(texts))
    return [numbers.setdefault(label, len(numbers)) for label in found]


def nearest(texts: Sequence[str], known: Iterable[str]) -> list[float]:
    """Estimate for each text how much of its wording it shares with the known text most like it.

    The estimate is the share of 128 MinHash values that agree (Broder 1997); its standard error is at most
    0.045. It takes half a kilobyte for each known text.

    Returns:
        Jaccard's index (0-1) for each text: 1.0 for equal wording, 0.0 if nothing known is similar.
    """
    forms = dict.fromkeys(form for form in map(normalise, known) if form)
    # One row for each permutation, because numpy adds up columns twice as fast as rows.
    signatures = np.ascontiguousarray(_sign(_shingle(form) for form in forms).T)
    return [_best(signature, signatures) for signature in _signatures(_shingle(normalise(t)) for t in texts)]


def _replacement(match: re.Match[str]) -> str:
    """Marks belong to words in many scripts, and what cannot be seen (soft hyphens) parts none."""
    category = unicodedata.category(match[0])
    if category.startswith("M"):
        return match[0]
    return "" if category == "Cf" else " "


def _label(forms: Sequence[str], threshold: float) -> _Numbers:
    labels, failures = np.arange(len(forms)), np.zeros(len(forms), dtype=np.int64)
    if len(forms) < 2:
        return labels
    sketches = _sketch(forms)
    for pairs in _neighbours(sketches):
        is_open = labels[pairs.one] != labels[pairs.other]
        is_open &= np.minimum(failures[pairs.one], failures[pairs.other]) < FAILURES
        _join(_promising(pairs.where(is_open), sketches, threshold), sketches, threshold, labels, failures)
    return labels


def _sketch(forms: Sequence[str]) -> _Sketches:
    shingles = [_shingle(form) for form in forms]
    sizes = np.array([len(of_one) for of_one in shingles])
    words = np.array([form.count(" ") + 1 for form in forms])
    return _Sketches(shingles, sizes, words, _sign(shingles))


def _shingle(form: str) -> _Shingles:
    """Hashes of the runs of characters, the words and the pairs of words: sorted, each once."""
    letters = np.frombuffer(f" {form} ".encode("utf-32-le"), dtype="<u4").astype(np.uint64)
    words = np.array([crc32(word.encode()) for word in form.split()], dtype=np.uint64)
    runs = [_hash_runs(letters, SHINGLE_CHARACTERS), _hash_runs(words, 1), _hash_runs(words, 2)]
    # 32 bits suffice: of the shingles of two texts hardly ever two collide.
    return np.unique(np.concatenate(runs) >> np.uint64(32)).astype(np.uint32)


def _hash_runs(items: npt.NDArray[np.uint64], length: int) -> npt.NDArray[np.uint64]:
    runs = max(len(items) - length + 1, 0)
    hashes = np.zeros(runs, dtype=np.uint64)
    for offset in range(length):
        hashes = (hashes + items[offset : offset + runs]) * _MULTIPLIER
    return hashes


def _sign(shingles: Iterable[_Shingles]) -> npt.NDArray[np.uint32]:
    signatures = list(_signatures(shingles))
    return np.array(signatures, dtype=np.uint32).reshape(len(signatures), PERMUTATIONS)


def _signatures(shingles: Iterable[_Shingles]) -> Iterator[npt.NDArray[np.uint32]]:
    # Imported here because it brings scipy along: two seconds that only those who compare should wait.
    from datasketch import MinHash  # type: ignore[import-untyped]  # it ships no type information

    hashes = (of_one.tolist() for of_one in shingles)
    sketches = MinHash.generator(hashes, num_perm=PERMUTATIONS, seed=SEED, hashfunc=int)
    return (sketch.hashvalues for sketch in sketches)


def _neighbours(sketches: _Sketches) -> Iterator[_Pairs]:
    """Pairs of texts that agree in all values of a band, for each band.

    Sorting takes the place of datasketch's MinHashLSH: asked for each of a crowd of texts that are all alike,
    that lists the whole crowd each time.
    """
    comparable = np.flatnonzero(sketches.words >= COMPARED_WORDS)
    for start in range(0, BANDS * ROWS, ROWS):
        signatures = np.roll(sketches.signatures[comparable], -start, axis=1)
        order = np.lexsort(signatures.T[: 2 * ROWS][::-1])
        band, texts = signatures[order, :ROWS], comparable[order]
        first = np.arange(len(order))
        for distance in range(1, NEIGHBOURS + 1):
            first = first[first + distance < len(order)]
            first = first[(band[first] == band[first + distance]).all(axis=1)]
            if not len(first):
                break
            yield _Pairs(texts[first], texts[first + distance])


def _promising(pairs: _Pairs, sketches: _Sketches, threshold: float) -> _Pairs:
    agreeing = np.mean(sketches.signatures[pairs.one] == sketches.signatures[pairs.other], axis=1)
    shared = agreeing / (1 + agreeing) * (sketches.sizes[pairs.one] + sketches.sizes[pairs.other])
    return pairs.where(_are_alike(pairs, shared, sketches, threshold, SLACK))


def _join(pairs: _Pairs, sketches: _Sketches, threshold: float, labels: _Numbers, failures: _Numbers) -> None:
    """Give texts that are alike the same label, and count for each how often it was not."""
    for one, other in zip(*pairs, strict=True):
        if labels[one] == labels[other]:
            continue
        both = np.intersect1d(sketches.shingles[one], sketches.shingles[other], assume_unique=True)
        pair = _Pairs(np.array([one]), np.array([other]))
        if _are_alike(pair, np.array([float(len(both))]), sketches, threshold)[0]:
            labels[labels == labels[other]] = labels[one]
        else:
            failures[[one, other]] += 1


def _are_alike(
    pairs: _Pairs, shared: npt.NDArray[np.float64], sketches: _Sketches, threshold: float, slack: float = 0
) -> npt.NDArray[np.bool_]:
    """Whether so many shared shingles make each pair alike."""
    sizes = np.array([sketches.sizes[pairs.one], sketches.sizes[pairs.other]])
    words = np.array([sketches.words[pairs.one], sketches.words[pairs.other]])
    smaller, larger = sizes.min(axis=0), sizes.max(axis=0)
    strictest = max(threshold, ALIKE_IF_SHORT)
    needed = np.interp(words.mean(axis=0), [SHORT_WORDS, LONG_WORDS], [strictest, threshold])
    alike: npt.NDArray[np.bool_] = shared >= (needed - slack) * (smaller + larger - shared)
    framed = (words.min(axis=0) >= CONTAINED_WORDS) & (larger <= TIMES_AS_LARGE * smaller)
    alike |= framed & (shared >= (CONTAINED - slack) * smaller)
    return alike


def _best(signature: npt.NDArray[np.uint32], known: npt.NDArray[np.uint32]) -> float:
    starts = range(0, known.shape[1], KNOWN_AT_ONCE)
    blocks = (known[:, start : start + KNOWN_AT_ONCE] == signature[:, np.newaxis] for start in starts)
    best = max((int(block.sum(axis=0, dtype=np.uint8).max()) for block in blocks), default=0)
    return best / PERMUTATIONS if best >= SIMILAR * PERMUTATIONS else 0.0
