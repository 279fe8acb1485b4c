"""What a notebook is given of each record: short text, HTML that stands by itself, and names that stay text."""

import html.parser

import numpy as np
import pytest
from tests.reporting.conftest import CLASSES, EVIL, answers_of, make_evidence, make_explanation, make_scores

from opsin.records import Trace
from opsin.records.trace import no_terms, term_array
from opsin.reporting.notebook import bundles

ALLOWED = {"p", "b", "br", "ul", "li", "code", "img", "table", "thead", "tbody", "tr", "th", "td"}


def make_trace(layer: str = "conv1", note: str = "", count: int = 30) -> Trace:
    if note:
        return Trace(layer, "softmax", (0, 1, 2), 0.5, no_terms(), note=note)
    weights = np.arange(count) - 10.0
    terms = term_array(
        layer, np.stack([np.zeros(count), np.arange(count), np.arange(count)], 1), np.ones(count), weights, weights
    )
    return Trace(layer, "conv2d", (0, 1, 2), float(weights.sum() + 0.25), terms, bias=0.25, formula="a < b")


@pytest.fixture
def records(make_run):
    """One of each kind, with names that are code wherever a name can stand."""
    labels = np.arange(30) % 3
    explanation = make_explanation(
        classes=EVIL, names=tuple(f"{EVIL[i % 3]}/{i}.png" for i in range(12)), layer=EVIL[0]
    )
    return [
        explanation,
        make_evidence(explanation),
        make_scores(answers_of(labels, 0.7, 0.9, 0), labels, EVIL, notes=EVIL),
        make_trace(EVIL[0]),
        make_trace(EVIL[0], note=EVIL[0]),
        make_run(classes=EVIL),
    ]


@pytest.fixture
def notebook(monkeypatch):
    """As in a kernel, without widgets."""
    monkeypatch.setattr(bundles, "in_notebook", lambda: True)
    monkeypatch.setattr(bundles, "has_widgets", lambda: False)


class Tags(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_names_are_text_everywhere(records, notebook):
    for record in records:
        found = record._repr_mimebundle_()
        assert set(found) == {"text/plain", "text/html"}
        seen = Tags(found["text/html"])
        assert seen.tags <= ALLOWED, type(record)
        assert seen.attributes <= {"alt", "style", "src"}
    assert Tags(EVIL[0]).tags == {"script"}  # the parser would see one


def test_in_a_terminal_there_is_text_alone(records):
    for record in records:
        found = record._repr_mimebundle_()
        assert set(found) == {"text/plain"}
        assert len(found["text/plain"]) < 2000


def test_an_explanation_is_its_pictures_and_says_that_it_was_not_checked(notebook):
    found = make_explanation()._repr_mimebundle_()
    assert found["text/plain"] == "Explanation: grad_cam at 2, 12 images: not checked yet"
    assert 'src="data:image/png;base64,' in found["text/html"]
    assert "not checked yet" in found["text/html"]


def test_scores_name_the_worst_class_first_and_the_mistakes(notebook):
    labels = np.arange(30) % 3
    scores = make_scores(answers_of(labels, 0.7, 0.9, 0), labels, CLASSES)
    found = scores._repr_mimebundle_()
    assert found["text/plain"].startswith(f"Scores: accuracy {scores.accuracy:.1%} [")
    worst = min(scores.per_class, key=lambda row: row.recall)
    assert found["text/html"].split("<tbody><tr><td>")[1].startswith(f"{worst.name}<")
    wrong = scores.confusion.copy()
    np.fill_diagonal(wrong, 0)
    assert f"<td>{wrong.max()}</td></tr>" in found["text/html"].split("answered")[1]


def test_a_trace_shows_its_largest_terms_and_how_many_are_left(notebook):
    found = make_trace()._repr_mimebundle_()
    assert found["text/plain"].splitlines()[0] == "conv1[0, 1, 2] = 135.25 (conv2d): 30 products, bias 0.25, sum 135.25"
    assert found["text/plain"].splitlines()[1] == "  conv1[0, 29, 29] 1 × 19 = 19"
    assert "and 18 smaller terms" in found["text/plain"]
    assert "a &lt; b" in found["text/html"]
    closed = make_trace(note="softmax does not open")._repr_mimebundle_()["text/plain"]
    assert closed == "conv1[0, 1, 2] = 0.5 (softmax): softmax does not open"


def test_a_run_without_widgets_says_what_is_missing(make_run, notebook):
    found = make_run()._repr_mimebundle_()
    assert "anywidget, which is not installed; run pip install" in found["text/html"]


def test_a_run_that_cannot_be_opened_says_why_and_shows_what_is_known(make_run, notebook, monkeypatch):
    run = make_run()
    monkeypatch.setattr(bundles, "has_widgets", lambda: True)
    monkeypatch.setattr(bundles, "show", lambda _: (_ for _ in ()).throw(bundles.OpsinError("no <views>")))
    found = run._repr_mimebundle_()
    assert "no &lt;views&gt;" in found["text/html"]
    assert run.name in found["text/html"]
