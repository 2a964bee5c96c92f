"""What a run's last event says of questions that were asked at its end, as people read it."""

from __future__ import annotations

from collections.abc import Mapping

from OnPolicyDistill.evaluation.intervals import wilson_interval

COUNT, MOVED = "num_asked", "projector_moved"
# Figures in the order in which they tell the story.
SHARES = {
    "accuracy": "right without thinking",
    "accuracy_thinking": "right with thinking",
    "well_formed_thoughts": "thoughts that open, close and end in an answer",
    "wrong_picture_accuracy": "right with the picture of another question",
    "blank_picture_accuracy": "right with a blank picture",
}


def describe_asked(figures: Mapping[str, float]) -> list[str]:
    """Lines on the questions, with 95 % intervals; none where none were asked."""
    num_asked = round(figures.get(COUNT, 0))
    if not num_asked:
        return []
    width = max(map(len, SHARES.values()))
    lines = [f"Asked at the end: {num_asked} held-out questions"]
    for key, words in SHARES.items():
        if key in figures:
            interval = wilson_interval(round(figures[key] * num_asked), num_asked)
            low, high = 100 * interval.low, 100 * interval.high
            share = f"{100 * figures[key]:5.1f} %  ({low:.1f} to {high:.1f} %)"
            lines.append(f"  {words:<{width}}  {share}")
    if figures.get("language_model_unchanged") == figures.get("vision_tower_unchanged") == 1:
        lines.append(
            "Tower and language model are as they were, byte by byte; the projector moved by "
            f"{figures[MOVED]:.3g} (Euclidean)."
        )
    return lines
