"""The client against the real server, in a process of its own: exact, guarded, and bounded."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import httpx
import mlx.core as mx
import pytest

from OnPolicyDistill.errors import PairError, RunError
from OnPolicyDistill.losses.targets import HiddenTargets, TopKTargets
from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.rollout import Rollout, TopLogprobs
from OnPolicyDistill.settings.endpoint import TeacherEndpoint
from OnPolicyDistill.teacher.asking import Asking
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.reached import ServedModel, fetch_head, read_about
from OnPolicyDistill.teacher.remote import RemoteTeacher
from OnPolicyDistill.teacher.scorer import EXACT, LocalModel, TargetForm, shared_vocab_size
from OnPolicyDistill.teacher.scoring import Teacher
from OnPolicyDistill.teacher.wire import Wanted
from tests.backend.teaching.process import TOKEN, served

TEXTS = ["the third of March 1998, half past six", "1998-03-03 18:30", "user assistant system"] * 2
SHAPE = TinyShape(32, 2, 4, 2, 64, 320, True)
TOP_4 = TargetForm("top_k", 4, 2.0)
# One forward of several rows and one of each round differently: sums of 32 products in float32.
CLOSE = 1e-5


@dataclass(frozen=True)
class Place:
    folder: Path
    url: str
    endpoint: TeacherEndpoint


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("served") / "teacher"
    folder.mkdir()
    write_tokenizer(folder, TEXTS, 280)
    write_random_model(folder, SHAPE, 0)
    with pytest.MonkeyPatch.context() as patch, served(str(folder), "--batch-tokens", "512") as url:
        patch.setenv("TEACHER_KEY", TOKEN)
        values = {"url": url, "model": str(folder), "server": "opd", "key_env": "TEACHER_KEY"}
        yield Place(folder, url, TeacherEndpoint.model_validate(values))


def reached(place: Place, form: TargetForm, **changes: object) -> RemoteTeacher:
    endpoint = place.endpoint.model_copy(update=changes)
    asking = Asking(endpoint)
    about = read_about(asking, endpoint)
    size, fingerprint = 0, ""
    head = None
    if about is not None:
        size, fingerprint = about.vocab_size, about.fingerprint
        head = fetch_head(asking, size)
    else:
        size = load_policy(str(place.folder)).vocab_size
    wanted = Wanted(str(endpoint.model), endpoint.server, size, teacher=fingerprint)
    return RemoteTeacher(asking, wanted, form, TeacherCache(10**7), endpoint.top_k, head)


def local(place: Place, form: TargetForm) -> Teacher:
    return Teacher(load_policy(str(place.folder)), TeacherCache(10**7), form)


def rows(num_rows: int = 5) -> list[Rollout]:
    made = []
    for n in range(num_rows):
        completion = tuple(30 + (7 * n + i) % 200 for i in range(3 + n % 4))
        tops = tuple(TopLogprobs((i % 99, 100 + i, 201, 7), (0.0,) * 4) for i in completion)
        prompt = tuple(10 + (3 * n + i) % 250 for i in range(4 + n))
        made.append(Rollout(n, prompt, completion, (), "stop", tops))
    return made


def assert_equal(left: mx.array, right: mx.array) -> None:
    assert left.dtype == right.dtype
    assert mx.allclose(left, right, rtol=CLOSE, atol=CLOSE), (left, right)


def test_hidden_states_from_elsewhere_are_those_of_the_teacher_here(place: Place) -> None:
    remote, here = reached(place, EXACT).score(rows()), local(place, EXACT).score(rows())
    assert isinstance(remote, HiddenTargets)
    assert isinstance(here, HiddenTargets)
    assert_equal(remote.hidden, here.hidden)
    assert_equal(remote.head.logits(remote.hidden), here.head.logits(here.hidden))


def test_chosen_ids_at_any_temperature_are_those_of_the_teacher_here(place: Place) -> None:
    fresh, kept = rows()[:3], rows()[3:]
    likely = mx.array([[3, 4, 5, 6]] * sum(len(row.completion_ids) for row in kept))
    remote, here = (
        teacher.score(fresh, kept, kept_ids=likely)
        for teacher in (reached(place, TOP_4), local(place, TOP_4))
    )
    assert isinstance(remote, TopKTargets)
    assert remote.temperature == 2.0
    assert mx.array_equal(remote.ids, here.arrays[0])
    for got, wanted in zip(remote.arrays[1:], here.arrays[1:], strict=True):
        assert_equal(got, wanted)


def test_the_request_of_vllm_gives_the_logprobs_of_the_teacher_here(place: Place) -> None:
    form = TargetForm("top_k", 4, 1.0)
    remote = reached(place, form, server="vllm").score(rows())
    exact = local(place, EXACT).score(rows())
    assert isinstance(exact, HiddenTargets)
    assert isinstance(remote, TopKTargets)
    logits = exact.head.logits(exact.hidden)
    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    held = remote.logprobs > -mx.inf
    theirs = mx.take_along_axis(logprobs, remote.ids, axis=-1)
    assert_equal(mx.where(held, remote.logprobs, 0), mx.where(held, theirs, 0))
    assert mx.array_equal(remote.top_id, mx.argmax(logits, axis=-1))
    assert held.sum(axis=-1).min().item() >= 4
    # The set's mass and the tail's together are 1.
    total = mx.exp(remote.logprobs).sum(axis=-1) + mx.exp(remote.tail_logprob)
    assert_equal(total, mx.ones_like(total))


def test_rows_that_were_announced_are_asked_once_and_answered_alike(place: Place) -> None:
    teacher = reached(place, TOP_4)
    num_asked = 0
    ask = teacher._asking.ask

    def counted(*given: object) -> object:
        nonlocal num_asked
        num_asked += 1
        return ask(*given)  # type: ignore[arg-type]

    teacher._asking.ask = counted  # type: ignore[method-assign, assignment]
    for row in rows(9):
        teacher.expect(row)
    answered = teacher.score(rows(9))
    assert num_asked == 0
    again = teacher.score(rows(9))
    assert num_asked == 2
    for got, wanted in zip(answered.arrays, again.arrays, strict=True):
        assert_equal(got.astype(mx.float32), wanted.astype(mx.float32))


def test_kept_rows_are_asked_once(place: Place) -> None:
    teacher = reached(place, EXACT)
    first = teacher.score((), rows())
    teacher._asking.close()
    assert_equal(first.arrays[0], teacher.score((), rows()).arrays[0])
    assert teacher.cache_metrics()["teacher_cache_hit_rate"] == 0.5


def test_many_callers_at_once_get_each_their_own_answer(place: Place) -> None:
    teacher, here = reached(place, EXACT, in_flight=8), local(place, EXACT)
    with ThreadPoolExecutor(1) as one:
        several = [one.submit(reached(place, EXACT).score, rows(n)) for n in (1, 2, 3)]
        mine = teacher.score(rows(40))
        theirs = [future.result() for future in several]
    assert_equal(mine.arrays[0], here.score(rows(40)).arrays[0])
    for n, got in zip((1, 2, 3), theirs, strict=True):
        assert_equal(got.arrays[0], here.score(rows(n)).arrays[0])


def test_the_same_tokens_are_known_and_others_told(place: Place, tmp_path: Path) -> None:
    asking = Asking(place.endpoint)
    served_model = ServedModel(asking, place.endpoint, read_about(asking, place.endpoint))
    own = LocalModel("small", place.folder)
    assert shared_vocab_size(own, served_model, "") == load_policy(str(place.folder)).vocab_size
    write_tokenizer(tmp_path, ["other words entirely, wholly unlike"] * 4, 280)
    write_random_model(tmp_path, SHAPE, 0)
    with pytest.raises(PairError, match="known tokens mean different texts"):
        shared_vocab_size(LocalModel("other", tmp_path), served_model, "")
    asking.close()


def test_another_model_than_the_one_that_is_served_is_told(place: Place) -> None:
    endpoint = place.endpoint.model_copy(update={"model": "another"})
    with pytest.raises(RunError, match="not another"):
        read_about(Asking(endpoint), endpoint)


def post(place: Place, body: object, **headers: str) -> httpx.Response:
    given = {"authorization": f"Bearer {TOKEN}", **headers}
    return httpx.post(f"{place.url}/v1/completions", json=body, headers=given, trust_env=False)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "Bearer wrong"}, 401),
        ({"host": "evil.example"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"content-type": "text/plain"}, 415),
    ],
)
def test_it_is_guarded_as_the_local_api_is(
    place: Place, headers: dict[str, str], status: int
) -> None:
    body = {"model": str(place.folder), "prompt": [[1, 2]]}
    assert post(place, body, **headers).status_code == status


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(place: Place) -> None:
    line = HTTPConnection(place.url.removeprefix("http://"), timeout=10)
    line.putrequest("POST", "/v1/completions")
    line.putheader("authorization", f"Bearer {TOKEN}")
    line.putheader("content-type", "application/json")
    line.putheader("content-length", "99000000")
    line.endheaders()
    assert line.getresponse().status == 413
    line.close()


def test_the_head_and_the_description_ask_for_the_token(place: Place) -> None:
    for path in ("/v1/teacher", "/v1/teacher/head", "/v1/models"):
        assert httpx.get(place.url + path, trust_env=False).status_code == 401


EXTENSION = {"teacher": "?", "vocab_size": 100, "starts": [1]}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"prompt": [[1, 2**30]]}, 400),
        ({"prompt": [list(range(2)) * 300]}, 400),
        ({"prompt": [[1, 2]] * 65}, 422),
        ({"prompt": []}, 422),
        ({"prompt": "words"}, 422),
        ({"prompt": [[]]}, 422),
        ({"prompt_logprobs": 5000}, 422),
        ({"max_tokens": 7}, 422),
        ({"model": "other"}, 404),
        ({"distill": EXTENSION}, 409),
    ],
)
def test_what_it_cannot_answer_is_refused(
    place: Place, changes: dict[str, object], status: int
) -> None:
    body = {"model": str(place.folder), "prompt": [[1, 2]], "prompt_logprobs": 1, **changes}
    assert post(place, body).status_code == status


@pytest.mark.parametrize(
    "changes",
    [
        {"starts": [2]},
        {"starts": []},
        {"vocab_size": 10**6},
        {"vocab_size": 2},
        {"top_k": 101},
        {"top_k": 1, "also_ids": [[[1], [2]]]},
        {"top_k": 1, "also_ids": [[[100]]]},
        {"top_k": 1, "also_ids": [[[1]], [[1]]]},
    ],
)
def test_an_extension_that_does_not_fit_its_rows_is_refused(
    place: Place, changes: dict[str, object]
) -> None:
    about = read_about(Asking(place.endpoint), place.endpoint)
    assert about is not None
    whole = {**EXTENSION, "teacher": about.fingerprint}
    body = {"model": str(place.folder), "prompt": [[1, 2]], "distill": whole}
    assert post(place, body).status_code == 200
    assert post(place, {**body, "distill": {**whole, **changes}}).status_code == 400


def test_a_prompt_of_one_row_is_answered_as_vllm_answers_it(place: Place) -> None:
    body = {"model": str(place.folder), "prompt": [5, 6, 7], "prompt_logprobs": 2, "echo": False}
    (choice,) = post(place, body).json()["choices"]
    first, second, third = choice["prompt_logprobs"]
    assert first is None
    assert "6" in second
    assert "7" in third
    assert 2 <= len(second) <= 3
    assert sorted(about["rank"] for about in second.values())[:2] == [1, 2]
    assert choice["finish_reason"] == "length"
