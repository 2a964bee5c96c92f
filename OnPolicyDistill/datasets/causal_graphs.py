"""Small causal graphs and what can be asked of them: who is independent of whom, given whom.

A graph is acyclic, connected, and kept in its canonical numbering, so that two graphs that differ
in the names of their variables alone are one and the same. Splits are made by that form.

Asked is whether two variables are independent given others *leaving aside any direct effect of one
on the other*: whether the others d-separate them in the graph without the arrow between them. Two
neighbours are never independent, so without that clause an arrow between them would give the answer
away; with it neighbours are asked the same question as everybody else, and both answers occur.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations, permutations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "validation", "test"]
Edge = tuple[int, int]
Path = tuple[int, ...]

FEWEST_NODES, MOST_NODES = 3, 6
SPLIT_SHARES = 10  # one graph in ten is for the test, another one for validation
# A derivation tells each path; more of them are no short thought.
MOST_PATHS = 8


@dataclass(frozen=True, slots=True)
class Graph:
    """A directed acyclic graph in canonical numbering; edges go from cause to effect."""

    num_nodes: int
    edges: tuple[Edge, ...]

    @property
    def name(self) -> str:
        """Equal for two graphs if and only if they are isomorphic, such as `4-1c`."""
        code = sum(1 << (cause * self.num_nodes + effect) for cause, effect in self.edges)
        return f"{self.num_nodes}-{code:x}"

    def has_edge(self, one: int, other: int) -> bool:
        """Whether one of them is a direct cause of the other."""
        return (one, other) in self.edges or (other, one) in self.edges


@dataclass(frozen=True, slots=True)
class Question:
    """Whether x and y are independent given others, any arrow between the two left aside.

    `is_independent` is the truth, by d-separation.
    """

    x: int
    y: int
    given: tuple[int, ...]
    is_adjacent: bool
    is_independent: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a path is open given some nodes, and the node that shows it.

    A closed path has the first node that blocks it: a common effect that nothing tells of
    (`is_collider`), or another node that is given. An open one has its first common effect, which
    `told_by` tells of, itself or an effect of it; without common effects it has none.
    """

    path: Path
    is_open: bool
    node: int | None
    is_collider: bool
    told_by: int | None = None


def canonical_graph(num_nodes: int, edges: frozenset[Edge] | tuple[Edge, ...]) -> Graph:
    """The graph in the numbering, among all, whose adjacency matrix is the smallest number."""
    matrix = np.zeros((num_nodes, num_nodes), np.int64)
    for cause, effect in edges:
        matrix[cause, effect] = 1
    orders = _orders(num_nodes)
    renumbered = matrix[orders[:, :, None], orders[:, None, :]]  # (orders, nodes, nodes)
    codes = renumbered.reshape(len(orders), -1) @ (1 << np.arange(num_nodes**2))
    best = renumbered[int(codes.argmin())]
    return Graph(num_nodes, tuple((int(a), int(b)) for a, b in np.argwhere(best)))


def split_of(graph: Graph) -> Split:
    """Which part a graph belongs to, whatever its variables are called: a hash of its name."""
    share = zlib.crc32(f"graph {graph.name}".encode()) % SPLIT_SHARES
    return "test" if share == 0 else "validation" if share == 1 else "train"


def draw_graph(chance: random.Random, sizes: range, most_edges: int) -> Graph:
    """Draw a connected graph; the number of nodes is drawn evenly, then how dense it is."""
    while True:
        num_nodes = chance.choice(sizes)
        density = chance.uniform(0.3, 0.8)
        pairs = combinations(range(num_nodes), 2)
        edges = tuple(pair for pair in pairs if chance.random() < density)
        if len(edges) <= most_edges and _is_connected(num_nodes, edges):
            return canonical_graph(num_nodes, edges)


@cache
def questions_of(graph: Graph, most_given: int) -> tuple[Question, ...]:
    """Everything that can be asked of a graph, each pair once, with its right answer.

    Pairs with more than MOST_PATHS paths between them are left out.
    """
    from networkx import DiGraph, is_d_separator  # noqa: PLC0415  (half a second to import)

    found = []
    for x, y in combinations(range(graph.num_nodes), 2):
        if sum(1 for _ in paths_between(graph, x, y)) > MOST_PATHS:
            continue
        rest = DiGraph(edge for edge in graph.edges if set(edge) != {x, y})
        rest.add_nodes_from(range(graph.num_nodes))
        others = [node for node in range(graph.num_nodes) if node not in (x, y)]
        for size in range(min(most_given, len(others)) + 1):
            for given in combinations(others, size):
                is_independent = is_d_separator(rest, {x}, {y}, set(given))
                found.append(Question(x, y, given, graph.has_edge(x, y), is_independent))
    return tuple(found)


def paths_between(graph: Graph, x: int, y: int) -> Iterator[Path]:
    """Yield all paths between two nodes that visit no node twice, but not the direct one."""
    yield from (path for path in _paths(graph, (x,), y) if len(path) > 2)


def judge(graph: Graph, path: Path, given: tuple[int, ...]) -> Verdict:
    """Whether a path carries information given some nodes, by the rules of d-separation."""
    opened: tuple[int, int] | None = None
    for before, node, after in zip(path, path[1:], path[2:], strict=False):
        if (before, node) in graph.edges and (after, node) in graph.edges:
            told_by = next((one for one in _effects(graph, node) if one in given), None)
            if told_by is None:
                return Verdict(path, False, node, True)
            opened = opened or (node, told_by)
        elif node in given:
            return Verdict(path, False, node, False)
    if opened is None:
        return Verdict(path, True, None, False)
    return Verdict(path, True, opened[0], True, opened[1])


def judge_by_habit(graph: Graph, path: Path, given: tuple[int, ...]) -> Verdict:
    """The habit of the small models: as if no variable on a path were a common effect."""
    blocker = next((node for node in path[1:-1] if node in given), None)
    return Verdict(path, blocker is None, blocker, False)


def _effects(graph: Graph, node: int) -> list[int]:
    """A node and all that it is a cause of, the nearest first."""
    found = [node]
    for one in found:
        found += [b for a, b in graph.edges if a == one and b not in found]
    return found


def _paths(graph: Graph, begun: Path, y: int) -> Iterator[Path]:
    if begun[-1] == y:
        yield begun
        return
    for node in range(graph.num_nodes):
        if node not in begun and graph.has_edge(begun[-1], node):
            yield from _paths(graph, (*begun, node), y)


def _is_connected(num_nodes: int, edges: tuple[Edge, ...]) -> bool:
    reached = [0]
    for one in reached:
        linked = {a + b - one for a, b in edges if one in (a, b)}
        reached += sorted(linked - set(reached))
    return len(reached) == num_nodes


@cache
def _orders(num_nodes: int) -> NDArray[np.int64]:
    return np.array(list(permutations(range(num_nodes))), np.int64)
