import mlx.core as mx

from OnPolicyDistill.teacher.cache import CacheKey, TeacherCache, digest_tokens


def key(number: int, teacher: str = "t", form: str = "hidden_states") -> CacheKey:
    return CacheKey(teacher, form, digest_tokens([number], 1))


def entry(value: float) -> tuple[mx.array, ...]:
    return (mx.full((10,), value, dtype=mx.float32),)  # 40 bytes


def test_the_least_recently_used_entry_goes_first() -> None:
    cache = TeacherCache(120)
    for number in range(3):
        assert cache.put(key(number), entry(number))
    assert cache.get(key(0)) is not None
    cache.put(key(3), entry(3))
    assert key(1) not in cache
    assert key(0) in cache
    assert (cache.num_bytes, cache.evictions, len(cache)) == (120, 1, 3)


def test_an_entry_larger_than_the_cache_evicts_nothing() -> None:
    cache = TeacherCache(60)
    cache.put(key(0), entry(0))
    assert not cache.put(key(1), (*entry(1), *entry(1)))
    assert key(0) in cache
    assert cache.evictions == 0


def test_putting_an_entry_again_replaces_it_without_counting_its_bytes_twice() -> None:
    cache = TeacherCache(100)
    cache.put(key(0), entry(1.0))
    cache.put(key(0), entry(2.0))
    found = cache.get(key(0))
    assert found is not None
    assert found[0][0].item() == 2.0
    assert cache.num_bytes == 40


def test_hits_and_misses_are_counted() -> None:
    cache = TeacherCache(100)
    assert cache.get(key(0)) is None
    cache.put(key(0), entry(0))
    cache.get(key(0))
    assert (cache.hits, cache.misses) == (1, 1)


def test_another_teacher_form_or_split_of_the_same_tokens_is_another_key() -> None:
    keys = {
        key(1),
        key(1, teacher="other"),
        key(1, form="top_8_at_2"),
        CacheKey("t", "hidden_states", digest_tokens([1], 0)),
        CacheKey("t", "hidden_states", digest_tokens([1, 0], 1)),
    }
    assert len(keys) == 5


def test_a_cleared_cache_holds_nothing() -> None:
    cache = TeacherCache(100)
    cache.put(key(0), entry(0))
    cache.clear()
    assert (len(cache), cache.num_bytes) == (0, 0)
