import itertools
import shutil
from pathlib import Path

import mlx.core as mx
import pytest

from OnPolicyDistill.arrays import load_tensors
from OnPolicyDistill.errors import StoppedError
from OnPolicyDistill.evaluation.playground import WarmModels, answer
from OnPolicyDistill.evaluation.playground_messages import (
    Ask,
    ChatMessage,
    FinishedMessage,
    GeneratedToken,
    Grade,
    GradesMessage,
    LoadingMessage,
    NoteMessage,
    PlaygroundMessage,
    Role,
    Sampling,
    StartedMessage,
    TokensMessage,
)
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import encode_text
from OnPolicyDistill.models.token_text import token_text
from tests.backend.tiny import write_tiny_adapter, write_tiny_model

MESSAGES = (ChatMessage(role="user", content="the third of March"),)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    student = write_tiny_model(root / "student", seed=0)
    write_tiny_model(root / "teacher", seed=1)
    write_tiny_model(root / "stranger", seed=1, num_base_tokens=270)
    write_tiny_adapter(root / "adapter", student)
    return root


def ask(models: Path, *roles: Role, teacher: str | None = None, adapter: bool = False) -> Ask:
    return Ask(
        id=1,
        roles=roles,
        student=str(models / "student"),
        adapter=str(models / "adapter") if adapter else None,
        teacher=None if teacher is None else str(models / teacher),
        messages=MESSAGES,
        sampling=Sampling(temperature=1.0, max_tokens=19, seed=3),
    )


def heard(question: Ask, warm: WarmModels | None = None) -> list[PlaygroundMessage]:
    return list(answer(warm or WarmModels(), question, lambda: False))


def tokens_of(messages: list[PlaygroundMessage], role: Role) -> list[GeneratedToken]:
    mine = [m for m in messages if isinstance(m, TokensMessage) and m.role == role]
    assert [m.first for m in mine] == list(range(len(mine)))
    return list(itertools.chain.from_iterable(m.tokens for m in mine))


def grades_of(messages: list[PlaygroundMessage]) -> list[Grade]:
    grades: list[Grade] = []
    for message in messages:
        if isinstance(message, GradesMessage):
            assert message.first == len(grades)
            grades.extend(message.grades)
    return grades


def text_of(messages: list[PlaygroundMessage], role: Role) -> str:
    return next(m.text for m in messages if isinstance(m, FinishedMessage) and m.role == role)


def test_every_token_of_the_student_is_graded_by_the_teacher(models: Path) -> None:
    messages = heard(ask(models, "student", teacher="teacher"))
    tokens, grades = tokens_of(messages, "student"), grades_of(messages)
    assert len(tokens) == len(grades) > 8
    for token, grade in zip(tokens, grades, strict=True):
        assert len(token.top) == len(grade.top) == 5
        values = [top.logprob for top in grade.top]
        assert values == sorted(values, reverse=True)
        assert grade.teacher_logprob <= values[0] + 1e-5
        for top in grade.top:
            if top.id == token.id:
                assert top.logprob == pytest.approx(grade.teacher_logprob, abs=1e-5)


def test_a_teacher_equal_to_the_student_gives_the_same_logprobs(models: Path) -> None:
    messages = heard(ask(models, "student", teacher="student"))
    tokens, grades = tokens_of(messages, "student"), grades_of(messages)
    ours = [token.logprob for token in tokens]
    assert ours == pytest.approx([grade.teacher_logprob for grade in grades], abs=1e-4)
    assert [t.top[0].logprob for t in tokens] == pytest.approx(
        [g.top[0].logprob for g in grades], abs=1e-4
    )


def test_a_teacher_wears_its_adapter_and_is_made_ready_anew_for_another(models: Path) -> None:
    plain = ask(models, "teacher", teacher="teacher")
    wearing = plain.model_copy(update={"teacher_adapter": str(models / "adapter")})
    warm = WarmModels()
    texts = [tokens_of(heard(one, warm), "teacher") for one in (plain, wearing, plain, wearing)]
    assert [t.logprob for t in texts[0]] == [t.logprob for t in texts[2]]
    assert [t.logprob for t in texts[1]] == [t.logprob for t in texts[3]]
    assert texts[0] != texts[1]


def test_another_teacher_gives_other_logprobs(models: Path) -> None:
    messages = heard(ask(models, "student", teacher="teacher"))
    tokens, grades = tokens_of(messages, "student"), grades_of(messages)
    assert (
        max(abs(t.logprob - g.teacher_logprob) for t, g in zip(tokens, grades, strict=True)) > 1e-3
    )


def test_an_adapter_that_is_written_anew_under_its_name_is_read_again(
    models: Path, tmp_path: Path
) -> None:
    shutil.copytree(models / "adapter", tmp_path / "adapter")
    question = ask(models, "student").model_copy(update={"adapter": str(tmp_path / "adapter")})
    warm, file = WarmModels(), str(tmp_path / "adapter" / "adapters.safetensors")
    before = tokens_of(heard(question, warm), "student")
    weights, _ = load_tensors(file)
    mx.eval(weights)
    mx.save_safetensors(file, {name: -3.0 * array for name, array in weights.items()})
    after = tokens_of(heard(question, warm), "student")
    assert after != before
    assert after == tokens_of(heard(question), "student")


def test_the_base_answers_as_if_there_were_no_adapter(models: Path) -> None:
    warm = WarmModels()
    plain = heard(ask(models, "student"), warm)
    both = heard(ask(models, "base", "student", adapter=True), warm)
    again = heard(ask(models, "student"), warm)
    assert tokens_of(both, "base") == tokens_of(plain, "student")
    assert tokens_of(both, "student") != tokens_of(plain, "student")
    assert tokens_of(again, "student") == tokens_of(plain, "student")


def test_models_are_loaded_once(models: Path) -> None:
    warm = WarmModels()
    question = ask(models, "student", "teacher", teacher="teacher", adapter=True)
    first, second = heard(question, warm), heard(question, warm)
    assert [m.role for m in first if isinstance(m, LoadingMessage)] == ["student", "teacher"]
    assert not any(isinstance(m, LoadingMessage) for m in second)
    assert [t.id for t in tokens_of(first, "teacher")] == [
        t.id for t in tokens_of(second, "teacher")
    ]
    alone = heard(ask(models, "student"), warm)
    assert warm.teacher is None
    assert not grades_of(alone)


def test_a_teacher_with_other_tokens_answers_but_does_not_grade(models: Path) -> None:
    messages = heard(ask(models, "student", "teacher", teacher="stranger"))
    assert not grades_of(messages)
    assert any(isinstance(m, NoteMessage) and "cannot grade" in m.text for m in messages)
    assert text_of(messages, "teacher")


def test_a_teacher_that_answers_grades_only_where_that_is_asked_for(models: Path) -> None:
    question = ask(models, "student", "teacher", teacher="teacher")
    graded = heard(question)
    plain = heard(question.model_copy(update={"graded": False}))
    assert len(grades_of(graded)) == len(tokens_of(graded, "student"))
    assert grades_of(plain) == []
    assert text_of(plain, "teacher") == text_of(graded, "teacher")


def test_the_texts_of_the_tokens_make_the_text(models: Path) -> None:
    messages = heard(ask(models, "student"))
    tokens = tokens_of(messages, "student")
    pieces = "".join(token.adds for token in tokens)
    whole = text_of(messages, "student")
    assert whole.startswith(pieces)


def test_tokens_are_told_as_rollouts_tell_them(models: Path) -> None:
    question = ask(models, "student")
    tokens = tokens_of(heard(question), "student")
    policy = load_policy(question.student)
    assert [token.text for token in tokens] == [token_text(policy, t.id) for t in tokens]
    assert "" not in [token.text for token in tokens]
    assert all(token_text(policy, top.id) == top.text for t in tokens for top in t.top)


def test_a_text_is_continued_without_a_template_and_best_tokens_are_left_out(models: Path) -> None:
    plain = ask(models, "student").model_copy(
        update={"messages": (), "text": "the third", "num_top": 0}
    )
    messages = heard(plain)
    (started,) = [m for m in messages if isinstance(m, StartedMessage)]
    policy = load_policy(plain.student)
    assert started.num_prompt_tokens == len(encode_text(policy, "the third"))
    assert all(token.top == () for token in tokens_of(messages, "student"))


def test_a_stop_is_heard_between_two_tokens(models: Path) -> None:
    num_heard = 0

    def after_three() -> bool:
        return num_heard >= 3

    with pytest.raises(StoppedError):  # noqa: PT012 (the loop is what is tested)
        for message in answer(WarmModels(), ask(models, "student"), after_three):
            num_heard += isinstance(message, TokensMessage)
    assert 3 <= num_heard <= 4
