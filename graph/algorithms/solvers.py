"""Exact algorithms on the components that one task holds; arrays in, one value a vertex out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from strata.graph.algorithms.arrays import Floats, Ints, Part
from strata.graph.algorithms.components import smallest_code

WEDGES_AT_ONCE = 5_000_000


def strong(part: Part) -> pa.Array:
    """The smallest id in the strongly connected component of every vertex (SciPy, Pearce's algorithm)."""
    return part.ids.take(pa.array(smallest_code(part.n, part.src, part.dst, connection="strong")))


def simple_pairs(part: Part) -> tuple[Ints, Ints]:
    """The undirected simple graph: every tied pair once, smaller code first, no self-loops."""
    low, high = np.minimum(part.src, part.dst), np.maximum(part.src, part.dst)
    keys = np.unique(low[low != high] * part.n + high[low != high])
    return keys // max(part.n, 1), keys % max(part.n, 1)


def core(part: Part) -> pa.Array:
    """Core number: peel the vertices of the smallest degree, round by round (Batagelj and Zaversnik, 2003).

    Every round touches only the peeled vertices and their ties, so a chain costs no more than its length.
    """
    low, high = simple_pairs(part)
    start, near = adjacency(part.n, np.concatenate([low, high]), np.concatenate([high, low]))
    degree, cores, alive = np.diff(start), np.zeros(part.n, dtype=np.int64), np.ones(part.n, dtype=bool)
    while alive.any():
        level = int(degree[alive].min())
        peel = np.flatnonzero(alive & (degree <= level))
        while len(peel):
            cores[peel], alive[peel] = level, False
            touched = near[spans(start[peel], start[peel + 1])]
            touched = touched[alive[touched]]
            np.subtract.at(degree, touched, 1)
            peel = np.unique(touched[degree[touched] <= level])
    return pa.array(cores)


def triangle_count(part: Part) -> pa.Array:
    """In how many triangles every vertex is."""
    low, high = simple_pairs(part)
    total = np.zeros(part.n, dtype=np.int64)
    for corners, _ in triangles_of(part.n, low, high):
        for corner in corners:
            total += np.bincount(corner, minlength=part.n)
    return pa.array(total)


def clustering(part: Part, *, directed: bool) -> pa.Array:
    """Edges among the neighbours, over their possible number d(d - 1); directed edges count by direction (LDBC)."""
    low, high = simple_pairs(part)
    ties = np.full(len(low), 2, dtype=np.int64)
    if directed:
        arrows = np.unique((part.src * part.n + part.dst)[part.src != part.dst])
        ties = np.isin(low * part.n + high, arrows).astype(np.int64) + np.isin(high * part.n + low, arrows)
    found = np.zeros(part.n)
    for corners, sides in triangles_of(part.n, low, high):
        for corner, opposite in zip(corners, sides):
            found += np.bincount(corner, weights=ties[opposite], minlength=part.n)
    degree = np.bincount(np.concatenate([low, high]), minlength=part.n).astype(float)
    possible = degree * (degree - 1)
    return pa.array(np.divide(found, possible, out=np.zeros(part.n), where=possible > 0))


def triangles_of(n: int, low: Ints, high: Ints) -> Iterator[tuple[tuple[Ints, Ints, Ints], tuple[Ints, Ints, Ints]]]:
    """All triangles in blocks: their corners, and for every corner the index of the opposite pair.

    Pairs point from the lower to the higher degree, so no vertex has more than sqrt(2 m) out-going ones and
    a hub with a million leaves costs nothing (Chiba and Nishizeki, 1985).
    """
    degree = np.bincount(np.concatenate([low, high]), minlength=n)
    rank = np.empty(n, dtype=np.int64)
    rank[np.lexsort((np.arange(n), degree))] = np.arange(n)
    tail, head = np.where(rank[low] < rank[high], (low, high), (high, low))
    order = np.lexsort((rank[head], rank[tail]))
    tail, head = tail[order], head[order]
    keys = rank[tail] * n + rank[head]
    row_end = np.searchsorted(rank[tail], rank[tail], side="right")
    later = row_end - np.arange(len(tail)) - 1
    for block in _blocks(later):
        first = np.repeat(block, later[block])
        second = spans(block + 1, row_end[block])
        wanted = rank[head[first]] * n + rank[head[second]]
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        hit = keys[place] == wanted
        first, second, third = first[hit], second[hit], place[hit]
        corners = (tail[first], head[first], head[second])
        yield corners, (order[third], order[second], order[first])


def distances(part: Part, *, source: int | str, weighted: bool, directed: bool) -> pa.Array:
    """Length of the shortest way from ``source``, null when there is none (Dijkstra; hops without weights)."""
    begin = int(pc.index(part.ids, pa.scalar(source, part.ids.type)).as_py())
    if begin < 0:
        return pa.nulls(part.n, pa.float64())
    src, dst, length = part.src, part.dst, part.weight if weighted else np.ones(len(part.src))
    if not directed:
        src, dst, length = np.concatenate([src, dst]), np.concatenate([dst, src]), np.concatenate([length, length])
    # Sorted by length, the first of parallel edges is the shortest; SciPy would add them up.
    order = np.lexsort((length, dst, src))
    src, dst, length = src[order], dst[order], length[order]
    first = np.append(True, (src[1:] != src[:-1]) | (dst[1:] != dst[:-1]))[: len(src)]
    start, near = adjacency(part.n, src[first], dst[first])
    reached = dijkstra(csr_array((length[first], near, start), shape=(part.n, part.n)), indices=begin)
    return pa.array(reached, mask=np.isinf(reached))


def propagate_labels(part: Part, *, iterations: int, directed: bool) -> pa.Array:
    """Synchronous label propagation: the commonest label among the neighbours, the smallest at a tie (LDBC CDLP)."""
    src, dst = (part.src, part.dst) if directed else _unordered(part)
    to, of = np.concatenate([dst, src]), np.concatenate([src, dst])
    label = np.arange(part.n)
    for _ in range(iterations if len(to) else 0):
        votes, count = np.unique(to * part.n + label[of], return_counts=True)
        voter, choice = votes // part.n, votes % part.n
        best = np.lexsort((choice, -count, voter))
        winner = best[np.append(True, voter[best][1:] != voter[best][:-1])]
        changed = label.copy()
        changed[voter[winner]] = choice[winner]
        if np.array_equal(changed, label):
            break
        label = changed
    return part.ids.take(pa.array(label))


def step_matrix(part: Part, *, weighted: bool) -> tuple[csr_array, Floats]:
    """The transition matrix of a random walk (row: to, column: from) and 1.0 for every sink."""
    weight = part.weight if weighted else np.ones(len(part.src))
    # Divided by the largest first: a sum of very large weights would overflow.
    largest = np.zeros(part.n)
    np.maximum.at(largest, part.src, weight)
    weight = weight / largest[part.src]
    share = weight / np.bincount(part.src, weights=weight, minlength=part.n)[part.src]
    return csr_array((share, (part.dst, part.src)), shape=(part.n, part.n)), (largest == 0).astype(float)


def adjacency(n: int, src: Ints, dst: Ints) -> tuple[Ints, Ints]:
    """Compressed rows: where every vertex's neighbours start, and the neighbours."""
    start = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(np.bincount(src, minlength=n), out=start[1:])
    return start, dst[np.argsort(src, kind="stable")]


def spans(begin: Ints, end: Ints) -> Ints:
    """All integers of [begin[0], end[0]), then of [begin[1], end[1]), and so on."""
    length = end - begin
    shift = np.repeat(begin - np.concatenate([[0], np.cumsum(length)[:-1]]), length) if len(length) else length
    return np.arange(len(shift), dtype=np.int64) + shift


def _unordered(part: Part) -> tuple[Ints, Ints]:
    low, high = np.minimum(part.src, part.dst), np.maximum(part.src, part.dst)
    keys = np.unique(low * part.n + high)
    return keys // max(part.n, 1), keys % max(part.n, 1)


def _blocks(sizes: Ints) -> Iterator[Ints]:
    # At least one row a block; the work of a block stays near the limit.
    block = np.cumsum(sizes) // WEDGES_AT_ONCE
    rows = np.arange(len(sizes))
    yield from (rows[chosen] for chosen in _runs(block))


def _runs(values: Ints) -> Iterator[slice]:
    edges = np.flatnonzero(np.diff(values)) + 1
    bounds = [0, *edges.tolist(), len(values)]
    yield from (slice(a, b) for a, b in zip(bounds, bounds[1:]) if b > a)
