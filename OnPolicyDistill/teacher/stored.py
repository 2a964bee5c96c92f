"""A scorer whose answers are on disk: whom it stands for is asked only for what is not there.

What a row is scored with is what the disk would give back, also the first time: a run that fills
the cache, one that finds it filled and one that finds half of it learn from the same bits. For that
a teacher in this process scores row by row, so that no row's numbers depend on its neighbours. A
key names teacher, adapter, tokenizer and computing type (the identity), form, precision and exact
token ids: rows of another teacher are never taken.

Top-k targets are kept as the teacher compressed them, beside the tokens that the student liked when
it wrote the row; they are not compressed anew for what it likes later.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import mlx.core as mx
from pydantic import JsonValue

from OnPolicyDistill.arrays import int_list
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.targets import HiddenTargets, Targets, TopKTargets
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.settings.teachers import Precision
from OnPolicyDistill.teacher.cache import CacheKey, Entry, TeacherCache, digest_tokens
from OnPolicyDistill.teacher.disk import DiskCache, Stored
from OnPolicyDistill.teacher.heads import HeadError, pack_head, unpack_head
from OnPolicyDistill.teacher.ondemand import OnDemandTeacher
from OnPolicyDistill.teacher.precision import keep_hidden, kept_hidden, loss_of_keeping
from OnPolicyDistill.teacher.scorer import Offer, Scorer, TargetForm

TOP_K_ARRAYS = ("ids", "logprobs", "tail_logprob", "top_id", "label_logprob")


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose answers they are: `key` changes with all that decides them, `name` is for people."""

    key: str
    name: str
    vocab_size: int


class StoredTeacher:
    """A `Scorer` that looks on disk before it asks the one it stands for.

    `cache` keeps rows that come again in memory as well. `errors` has mean and largest
    KL(teacher || teacher from what is kept), nats a token, of the rows met so far, with their
    number of tokens. `found` are names of rows that were on disk, `made` of those asked for.
    """

    def __init__(
        self,
        teacher: Scorer,
        identity: Identity,
        disk: DiskCache,
        cache: TeacherCache,
        precision: Precision,
    ) -> None:
        self.form = teacher.form
        self.identity = identity
        self.disk = disk
        self.cache = cache
        self.errors = (0.0, 0.0, 0)
        self.found: set[str] = set()
        self.made: set[str] = set()
        self._teacher = teacher
        self._precision: Precision = precision
        self._head: VocabularyHead | None = None
        self._seen = (0, 0, 0, 0)

    @property
    def offer(self) -> Offer:
        """What the one it stands for offers."""
        return self._teacher.offer

    @property
    def is_loaded(self) -> bool:
        """Whether the weights of the one it stands for are in memory."""
        return self._teacher.is_loaded

    @property
    def policy(self) -> Policy:
        """The policy of the one it stands for, which is loaded for it."""
        return self._teacher.policy

    def leave(self) -> None:
        """Let the one it stands for give its memory back, where it is in this process."""
        if isinstance(self._teacher, OnDemandTeacher):
            self._teacher.leave()

    def expect(self, rollout: Rollout) -> None:
        """Let one that lives elsewhere begin with a row that is not on disk."""
        if not self.has(rollout):
            self._teacher.expect(rollout)

    def compresses_anew(self, form: TargetForm | None = None) -> bool:
        """No: what is on disk holds for every student."""
        return False

    def has(self, rollout: Rollout, form: TargetForm | None = None) -> bool:
        """Whether a row is on disk, and what its numbers need."""
        form = form or self.form
        is_there = self._name(rollout, form) in self.disk
        return is_there and (form.kind == "top_k" or f"{self.identity.key}/head" in self.disk)

    def score(
        self,
        fresh: Sequence[Rollout],
        kept: Sequence[Rollout] = (),
        form: TargetForm | None = None,
        kept_ids: mx.array | None = None,
    ) -> Targets:
        """Score rollouts, from disk where they are there; see `Scorer.score`."""
        form = form or self.form
        rows = [*fresh, *kept]
        again = {self._name(row, form) for row in kept}
        found = self._known(rows, form)
        missing = {self._name(row, form): row for row in rows}
        missing = {name: row for name, row in missing.items() if name not in found}
        for name, entry in zip(missing, self._asked([*missing.values()], form), strict=True):
            found[name] = entry
        for name in again:
            self.cache.put(self._key(name), found[name])
        parts = [found[self._name(row, form)] for row in rows]
        joined = tuple(mx.concatenate(list(part)) for part in zip(*parts, strict=True))
        mx.eval(*joined)
        return self._targets(joined, form)

    def told(
        self, keys: Sequence[JsonValue], make: Callable[[list[int]], Sequence[JsonValue]]
    ) -> list[JsonValue]:
        """What the teacher said to questions of other kinds, from disk where it is there.

        A key holds all that an answer depends on beside the teacher and the tokens it shares with
        the student; `make` answers the places that are missing, for which it may have to be loaded.
        """
        names = [self._name_of(key) for key in keys]
        found = {name: self.disk.get(name) for name in dict.fromkeys(names)}
        answers = {name: _text_of(kept) for name, kept in found.items() if kept is not None}
        missing = [n for n, name in enumerate(names) if name not in answers]
        made = make(missing) if missing else []
        for place, answer in zip(missing, made, strict=True):
            answers[names[place]] = answer
            self.disk.put(names[place], _as_array(answer), {"teacher": self.identity.name})
        return [answers[name] for name in names]

    def cache_metrics(self) -> dict[str, float]:
        """What both caches did since the last call, and what keeping rows cost so far."""
        disk, cache = self.disk, self.cache
        metrics = cache.metrics_since(self._seen[:2])
        hits, misses = disk.hits - self._seen[2], disk.misses - self._seen[3]
        self._seen = (cache.hits, cache.misses, disk.hits, disk.misses)
        metrics["teacher_disk_mb"] = disk.num_bytes / 1e6
        if hits + misses:
            metrics["teacher_disk_hit_rate"] = hits / (hits + misses)
        if self.errors[2]:
            metrics["teacher_disk_error"] = self.errors[0]
        return metrics

    def _known(self, rows: Sequence[Rollout], form: TargetForm) -> dict[str, Entry]:
        """Entries in memory or on disk, by name; none where the head to read them is missing."""
        if form.kind == "hidden_states" and self._find_head() is None:
            return {}
        found: dict[str, Entry] = {}
        for name in dict.fromkeys(self._name(row, form) for row in rows):
            entry = self.cache.get(self._key(name))
            stored = self.disk.get(name) if entry is None else None
            if stored is not None:
                self.found |= {name} - self.made
                entry = self._read(stored, form)
            if entry is not None:
                found[name] = entry
        return found

    def _asked(self, rows: Sequence[Rollout], form: TargetForm) -> list[Entry]:
        """Entries of rows that are not on disk, put there, as the disk would give them back."""
        if not rows:
            return []
        if self._teacher.offer.completes:
            # One in this process: row by row, or numbers would depend on neighbours. Each is kept
            # before the next is read, so that a stop loses none.
            return [self._kept(r, self._teacher.score([r], form=form), form) for r in rows]
        parts = _cut(self._teacher.score(rows, form=form), rows)
        return [self._kept(row, targets, form) for row, targets in zip(rows, parts, strict=True)]

    def _kept(self, row: Rollout, targets: Targets, form: TargetForm) -> Entry:
        about = {"teacher": self.identity.name, "tokens": str(len(row.completion_ids))}
        if isinstance(targets, TopKTargets):
            arrays = dict(zip(TOP_K_ARRAYS, targets.arrays, strict=True))
        else:
            self._keep_head(targets.head)
            hidden = targets.hidden
            arrays = keep_hidden(hidden, self._precision)
            about["dtype"] = str(hidden.dtype).removeprefix("mlx.core.")
            about["width"] = str(hidden.shape[-1])
            read = kept_hidden(arrays, about["dtype"], hidden.shape[-1])
            if self._precision != "exact":
                mean, most = loss_of_keeping(hidden, read, targets.head)
                about |= {"kl_mean": f"{mean:.9g}", "kl_max": f"{most:.9g}"}
        stored, name = Stored(arrays, about), self._name(row, form)
        self.made.add(name)
        self.disk.put(name, arrays, about)
        return self._read(stored, form)

    def _read(self, stored: Stored, form: TargetForm) -> Entry:
        """A row as it is used."""
        if form.kind == "top_k":
            return tuple(stored.arrays[name] for name in TOP_K_ARRAYS)
        self._count_error(stored.about)
        width = int(stored.about["width"])
        return (kept_hidden(stored.arrays, stored.about["dtype"], width),)

    def _count_error(self, about: Mapping[str, str]) -> None:
        if "kl_mean" not in about:
            return
        mean, most, seen = self.errors
        tokens = int(about["tokens"])
        total = mean * seen + float(about["kl_mean"]) * tokens
        self.errors = (
            total / (seen + tokens),
            max(most, float(about["kl_max"])),
            seen + tokens,
        )

    def _find_head(self) -> VocabularyHead | None:
        name = f"{self.identity.key}/head"
        if self._head is None and name in self.disk:
            stored = self.disk.get(name)
            if stored is not None:
                try:
                    self._head = unpack_head(stored.arrays, stored.about, self.identity.vocab_size)
                except HeadError:
                    return None
        return self._head

    def _keep_head(self, head: VocabularyHead) -> None:
        if self._head is None:
            self._head = head
            arrays, told = pack_head(head)
            self.disk.put(f"{self.identity.key}/head", arrays, told)

    def _targets(self, entry: Entry, form: TargetForm) -> Targets:
        if form.kind == "hidden_states":
            assert self._head is not None
            return HiddenTargets(entry[0], self._head)
        ids, logprobs, tail_logprob, top_id, label_logprob = entry
        return TopKTargets(ids, logprobs, tail_logprob, top_id, label_logprob, form.temperature)

    def _name_of(self, key: JsonValue) -> str:
        asked = json.dumps([self.identity.vocab_size, key], sort_keys=True)
        digest = hashlib.sha256(asked.encode()).hexdigest()[:32]
        return f"{self.identity.key}/said/{digest[:2]}/{digest}"

    def _key(self, name: str) -> CacheKey:
        return CacheKey(self.identity.key, "disk", name.encode())

    def _name(self, row: Rollout, form: TargetForm) -> str:
        """Where a row is kept."""
        digest = digest_tokens(row.token_ids, len(row.prompt_ids)).hex()
        if form.kind == "hidden_states":
            kind = f"{form.name}.{self._precision}"
        else:
            # What is kept depends on the vocabulary and on what the student liked at the time.
            kind = f"{form.name}_of_{self.identity.vocab_size}"
            digest += _liked(row, form.top_k)
        return f"{self.identity.key}/{kind}/{digest[:2]}/{digest}"


def _liked(row: Rollout, k: int) -> str:
    """A digest of the ids that the sampler kept of each position; empty where it kept none."""
    if not row.top_logprobs:
        return ""
    ids = array("q", [token for top in row.top_logprobs for token in (*top.ids[:k], -1)])
    return hashlib.blake2b(ids.tobytes(), digest_size=8).hexdigest()


def _as_array(answer: JsonValue) -> dict[str, mx.array]:
    return {"json": mx.array(list(json.dumps(answer).encode()), mx.uint8)}


def _text_of(stored: Stored) -> JsonValue:
    found: JsonValue = json.loads(bytes(int_list(stored.arrays["json"])))
    return found


def _cut(targets: Targets, rows: Sequence[Rollout]) -> list[Targets]:
    """Targets of each row."""
    parts: list[Targets] = []
    start = 0
    for row in rows:
        end = start + len(row.completion_ids)
        parts.append(targets.with_arrays(*(part[start:end] for part in targets.arrays)))
        start = end
    return parts
