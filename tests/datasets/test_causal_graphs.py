"""Graphs have one name whatever their variables are called; answers are those of d-separation."""

from __future__ import annotations

import random
from itertools import combinations

import networkx
import pytest

from OnPolicyDistill.datasets.causal_graphs import (
    Graph,
    canonical_graph,
    draw_graph,
    judge,
    paths_between,
    questions_of,
    split_of,
)
from OnPolicyDistill.datasets.causal_graphs_told import derive

COLLIDER = canonical_graph(4, ((0, 2), (1, 2), (2, 3)))


def drawn(count: int, sizes: range = range(3, 7)) -> list[Graph]:
    chance = random.Random(7)
    return [draw_graph(chance, sizes, 15) for _ in range(count)]


def in_networkx(graph: Graph) -> networkx.DiGraph:
    return networkx.DiGraph(graph.edges)


def test_a_graph_keeps_its_name_and_its_part_when_its_variables_are_renamed() -> None:
    chance = random.Random(3)
    for graph in drawn(200):
        order = chance.sample(range(graph.num_nodes), graph.num_nodes)
        renamed = canonical_graph(
            graph.num_nodes, tuple((order[a], order[b]) for a, b in graph.edges)
        )
        assert renamed == graph
        assert (renamed.name, split_of(renamed)) == (graph.name, split_of(graph))


def test_graphs_of_different_names_are_not_isomorphic() -> None:
    found = {graph.name: graph for graph in drawn(300, range(3, 6))}
    for one, other in combinations(found.values(), 2):
        assert not networkx.is_isomorphic(in_networkx(one), in_networkx(other))


def test_all_connected_graphs_of_three_and_four_nodes_are_drawn() -> None:
    # 4 and 24 connected unlabelled acyclic graphs: OEIS A101228.
    names = {graph.name for graph in drawn(3000, range(3, 5))}
    assert [sum(name.startswith(f"{n}-") for name in names) for n in (3, 4)] == [4, 24]


def test_every_drawn_graph_is_acyclic_and_connected() -> None:
    for graph in drawn(200):
        assert networkx.is_directed_acyclic_graph(in_networkx(graph))
        assert networkx.is_weakly_connected(in_networkx(graph))
        assert len(in_networkx(graph)) == graph.num_nodes


def test_judging_path_by_path_agrees_with_d_separation_everywhere() -> None:
    num_asked = 0
    for graph in {graph.name: graph for graph in drawn(400)}.values():
        for question in questions_of(graph, 2):
            paths = paths_between(graph, question.x, question.y)
            has_open = any(judge(graph, path, question.given).is_open for path in paths)
            assert question.is_independent != has_open
            num_asked += 1
    assert num_asked > 5000


@pytest.mark.parametrize(
    ("given", "independent"), [((), True), (("effect",), False), (("its effect",), False)]
)
def test_two_causes_become_dependent_once_their_effect_or_its_effect_is_known(
    given: tuple[str, ...], independent: bool
) -> None:
    effects = [b for _, b in COLLIDER.edges]
    (effect,) = {b for b in effects if effects.count(b) == 2}
    causes = tuple(a for a, b in COLLIDER.edges if b == effect)
    (last,) = (b for a, b in COLLIDER.edges if a == effect)
    known = {"effect": effect, "its effect": last}
    asked = (causes, tuple(known[name] for name in given))
    answers = {((q.x, q.y), q.given): q.is_independent for q in questions_of(COLLIDER, 1)}
    assert answers[asked] == independent


def test_an_arrow_between_the_two_is_left_aside() -> None:
    chain = canonical_graph(3, ((0, 1), (1, 2), (0, 2)))
    asked = [question for question in questions_of(chain, 1) if question.is_adjacent]
    assert {question.is_independent for question in asked} == {True, False}


def test_a_derivation_names_every_closed_path_and_ends_with_the_answer() -> None:
    for graph in drawn(60):
        for question in questions_of(graph, 2):
            derived, is_independent = derive(graph, question, "ABCDEF")
            told = derived.splitlines()
            assert is_independent == question.is_independent
            assert ("independent" in told[-1]) == question.is_independent
            paths = list(paths_between(graph, question.x, question.y))
            if question.is_independent:
                assert len(told) == len(paths) + 1
                assert all(line.endswith("closed.") for line in told[:-1])
            else:
                assert told[-2].endswith("open.")
