"""`opsin.show`: which views, and what is refused."""

import pytest

import opsin
from opsin.errors import OpsinError
from opsin.reporting.notebook import show as showing
from opsin.reporting.notebook.show import show, views_of
from opsin.reporting.views.subject import Subject


@pytest.fixture(scope="module")
def model():
    return opsin.build_model("simple_cnn", classes=("a", "b"), channels=1, size=28, seed=0)


def test_a_model_shows_what_needs_no_run(model):
    found = show(model)
    assert list(found.views) == ["flow", "why", "maps", "filters", "channel"]
    assert found.view == "flow"
    assert found.selection == {"image": "example/0"}
    found.close()


def test_views_can_be_named(model):
    found = show(model, "maps", "flow", language="zh-CN", theme="dark")
    assert (found.view, found.views, found.language, found.theme) == ("maps", ["maps", "flow"], "zh-CN", "dark")
    found.close()


def test_a_run_without_its_network_shows_its_records(make_run, foreign_run):
    assert "flow" not in views_of(Subject.of(make_run()))
    assert {"film", "classes", "space"} <= set(views_of(Subject.of(make_run())))
    assert "classes" not in views_of(Subject.of(foreign_run))


def test_slow_questions_have_a_network_of_their_own(model):
    twin = showing._again(model)().model
    assert twin is not model
    assert twin.module is not model.module
    assert twin.classes == model.classes
    for own, other in zip(twin.module.parameters(), model.module.parameters(), strict=True):
        assert own is not other
        assert (own == other).all()


@pytest.mark.parametrize(
    ("arguments", "settings", "why"),
    [
        (("flwo",), {}, r"no view 'flwo'.*flow"),
        (("compare",), {}, "no view 'compare'"),
        ((), {"language": "fr"}, "expected one of en, zh-CN"),
        ((), {"theme": "pink"}, "expected auto, light or dark"),
    ],
)
def test_what_is_refused(model, arguments, settings, why):
    with pytest.raises(OpsinError, match=why):
        show(model, *arguments, **settings)


def test_nothing_to_open(tmp_path):
    with pytest.raises(OpsinError):
        show(tmp_path / "none")


def test_without_anywidget_one_line_says_so(model, monkeypatch):
    monkeypatch.setattr(showing, "find_spec", lambda _: None)
    with pytest.raises(OpsinError, match='run pip install "opsin\\[notebook\\]"'):
        show(model)
