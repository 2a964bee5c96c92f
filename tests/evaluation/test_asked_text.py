from OnPolicyDistill.evaluation.asked_text import describe_asked


def test_questions_are_told_with_their_intervals() -> None:
    figures = {
        "num_asked": 24.0,
        "accuracy": 23 / 24,
        "accuracy_thinking": 0.5,
        "well_formed_thoughts": 1.0,
        "wrong_picture_accuracy": 0.0,
        "language_model_unchanged": 1.0,
        "vision_tower_unchanged": 1.0,
        "projector_moved": 2.765,
    }
    lines = describe_asked(figures)
    assert lines[0] == "Asked at the end: 24 held-out questions"
    # Wilson's score interval of 23 of 24 and of 12 of 24, by its formula.
    assert lines[1].endswith("  95.8 %  (79.8 to 99.3 %)")
    assert lines[2].endswith("  50.0 %  (31.4 to 68.6 %)")
    assert lines[4].startswith("  right with the picture of another question")
    assert lines[-1].endswith("the projector moved by 2.77 (Euclidean).")


def test_a_run_that_asked_nothing_has_nothing_to_tell() -> None:
    assert describe_asked({"before_eval_loss": 1.0}) == []
