"""Hostile and runaway templates end soon, in words, whatever they try."""

import pytest
from jinja2 import TemplateError

from OnPolicyDistill.datasets.template_sandbox import TemplateSandbox


def run(source, **values):
    sandbox = TemplateSandbox()
    return sandbox.bounded(sandbox.compiled(source), values)


def loops(*iterables):
    return "".join(f"{{% for x in {i} %}}" for i in iterables) + "{% endfor %}" * len(iterables)


CALLS_ITSELF = "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}"
GROWS = (
    "{% set ns = namespace(t='aa') %}{% for i in range(30) %}{% set ns.t = ns.t * 9 %}{% endfor %}"
)
RUNAWAYS = {
    "nested loops": loops("range(99999)", "range(99999)"),
    "loops over a text": loops("t", "t", "t"),
    "filtered loops": loops("range(9999) if x", "range(999)|map('abs')"),
    "a macro that calls itself twice": CALLS_ITSELF + "{{ m(40) }}",
    "a macro that calls itself for ever": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "a product": "{{ 'a' * 999999999 }}",
    "products in turn": GROWS,
    "a power": "{{ 9 ** 9 ** 9 }}",
    "a wide format": "{{ '%999999999d' % 1 }}",
    "a padded text": "{{ 'a'.ljust(999999999) }}",
    "much text": "{% for i in range(9000) %}{{ t }}{{ t }}{{ t }}{% endfor %}",
}


@pytest.mark.parametrize("source", RUNAWAYS.values(), ids=RUNAWAYS.keys())
def test_a_runaway_template_is_stopped(source):
    with pytest.raises(RecursionError):
        run(source, t="x" * 1000)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ [].append(1) }}",
        "{{ namespace(__class__=1) }}",
        "{% set ns = namespace() %}{% set ns.__class__ = 1 %}",
        "{{ raise_exception('no') }}",
    ],
)
def test_the_sandbox_refuses_to_reach_python_or_change_values(source):
    with pytest.raises(TemplateError):
        run(source)


def test_a_budget_is_for_one_rendering_only():
    sandbox = TemplateSandbox()
    template = sandbox.compiled("{% for i in range(90000) %}{% endfor %}ok")
    assert {sandbox.bounded(template, {}) for _ in range(20)} == {"ok"}


def test_loops_keep_their_length_their_last_and_their_order():
    source = "{% for a in v %}{{ a }}{{ '.' if loop.last else loop.length }}{% endfor %}"
    assert run(source, v=["a", "b"]) == "a2b."
    assert (
        run("{% for a in v|map('upper') %}{{ a }}{{ loop.length }}{% endfor %}", v="ab") == "A2B2"
    )
    assert run("{% for a in missing %}x{% else %}none{% endfor %}") == "none"
    assert run("{% for k, v in d.items() %}{{ k }}{{ v }}{% endfor %}", d={"a": 1}) == "a1"


def test_the_generation_tag_passes_its_words_through():
    assert run("a{% generation %}b{{ 1 }}{% endgeneration %}c") == "ab1c"


def test_loop_controls_and_json_work_as_in_transformers():
    assert (
        run("{% for i in range(5) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}")
        == "01"
    )
    assert run("{{ v | tojson }}", v={"é": "<b>"}) == '{"é": "<b>"}'
    assert run("{{ v | tojson(indent=1) }}", v=[1]) == "[\n 1\n]"
    assert len(run("{{ strftime_now('%Y') }}")) == 4
