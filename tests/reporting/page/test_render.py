"""The page: nothing unescaped, nothing fetched, nothing said but from the catalogue."""

import base64
import hashlib
import json
import re
import unicodedata
from html.parser import HTMLParser

import numpy as np
import pytest
from tests.reporting.conftest import EVIL

import opsin
from opsin.reporting.page.render import Page, carried, number, render
from opsin.reporting.parts.material import Material
from opsin.reporting.report import make_parts
from opsin.reporting.texts import Catalogue, packaged
from opsin.reporting.views.stored import Chunk, Stored, stored
from opsin.reporting.views.subject import Subject

VOID = {"meta", "img", "input", "br", "link"}


class Reader(HTMLParser):
    """Collects elements, and every visible piece of text with the attributes of the elements around it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict]] = []
        self.elements: list[tuple[str, dict]] = []
        self.texts: list[tuple[str, list[tuple[str, dict]]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, dict(attrs)))

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1][0] == tag, f"</{tag}> closes {self.open[-1][0]}"
        self.open.pop()

    def handle_data(self, data):
        if data.strip() and not {"script", "style", "title"} & {tag for tag, _ in self.open}:
            self.texts.append((data.strip(), list(self.open)))


def page_of(run: opsin.Run, catalogue: Catalogue | None = None, language="en") -> str:
    return render(Page(run.name, make_parts(run), "0", "today", catalogue or packaged()), language)


def test_every_kind_of_run_has_a_page_that_says_only_what_the_catalogue_says(every_run):
    for kind, run in every_run.items():
        reader = Reader(page_of(run))
        assert not reader.open, kind
        for text, around in reader.texts:
            letters = any(
                unicodedata.category(c).startswith("L") for c in re.sub(r"\b(ECE|AUROC|F1|e)\b|\de-?\d|^p = ", "", text)
            )
            ours = any("lang" in attributes for tag, attributes in around if tag != "html")
            data = any(attributes.get("translate") == "no" for _, attributes in around)
            assert ours or data or not letters, (kind, text)
        for tag, attributes in reader.elements:
            for name in ("aria-label", "alt", "title", "placeholder"):
                if attributes.get(name):
                    assert f"data-{name}-zh-cn" in attributes, (kind, tag, attributes[name])
            if tag == "img":
                assert "alt" in attributes, kind


def test_the_check_above_sees_a_string_that_bypasses_the_catalogue(make_run):
    reader = Reader('<html lang="en"><p>Hello <span lang="en">there</span></p></html>')
    assert [text for text, around in reader.texts if not any("lang" in a for t, a in around if t != "html")] == [
        "Hello"
    ]


def test_what_users_name_is_never_markup(every_run):
    html = page_of(every_run["evil"])
    assert "<script>alert" not in html
    for piece in ("<i>note</i>", "<b>method</b>", "<b>markup</b>", "<note>", "<does>"):
        assert piece not in html
    assert "49 &amp; {name}" not in html
    assert "{{ 7*7 }} &amp; {name}" in html
    reader = Reader(html)
    assert not {tag for tag, _ in reader.elements} & {"iframe", "object", "embed", "base", "link", "template"}
    assert not any(name.startswith("on") for _, attributes in reader.elements for name in attributes)
    assert sum(tag == "script" for tag, _ in reader.elements) == 1


def test_nothing_is_fetched_and_only_the_own_script_may_run(every_run):
    html = page_of(every_run["no test images"])
    for tag, attributes in Reader(html).elements:
        for name in ("src", "href", "action", "srcset", "poster"):
            value = attributes.get(name, "")
            assert not value or value.startswith(("data:image/png;base64,", "#")), (tag, value[:60])
        assert tag not in ("link", "iframe", "object", "embed", "base")
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)", html)
    script = html.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in html or f"script-src 'sha256-{digest}'" in html
    assert "default-src 'none'" in html


def test_anchors_lead_somewhere_and_ids_are_unique(every_run):
    for run in every_run.values():
        elements = Reader(page_of(run)).elements
        ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        wanted = {attributes["href"][1:] for tag, attributes in elements if tag == "a"}
        assert wanted <= set(ids)


def test_it_opens_in_the_language_asked_for(make_run):
    run = make_run()
    english, chinese = page_of(run), page_of(run, language="zh-CN")
    assert '<html lang="en"' in english
    assert '<html lang="zh-CN"' in chinese
    assert "<title>Training report" in english
    assert "<title>训练报告" in chinese
    # The body holds both, so that the button needs no second file.
    assert "What to distrust" in chinese
    assert "哪些结论需要存疑" in english


def test_all_words_come_from_the_catalogue_that_is_given(make_run):
    marked = Catalogue({
        key: {language: f"⟦{text}⟧" for language, text in texts.items()} for key, texts in packaged().entries.items()
    })  # fmt: skip
    reader = Reader(page_of(make_run(), marked))
    ours = [text for text, around in reader.texts if any("lang" in a for t, a in around if t != "html")]
    assert len(ours) > 200
    assert all(text.startswith("⟦") and text.endswith("⟧") for text in ours)


def test_what_the_views_read_first_cannot_end_its_element():
    part = Stored((Chunk("id", EVIL, b""),), {}, None, (), live=False)
    text = str(carried(part))
    assert "<" not in text
    assert ">" not in text
    assert tuple(json.loads(text)["chunks"][0]["keys"]) == EVIL


@pytest.fixture(scope="module")
def living(every_run):
    """Pages with views, by kind of run."""
    pages = {}
    for kind in ("evil", "foreign", "just begun"):
        run = every_run[kind]
        pages[kind] = render(Page(run.name, make_parts(run), "0", "today", stored=stored(Subject.of(run))), "en")
    return pages


def test_a_page_with_views_is_whole_and_allows_just_its_own_scripts(living):
    for html in living.values():
        reader = Reader(html)
        assert not reader.open
        ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        wanted = {attributes["href"][1:] for tag, attributes in reader.elements if tag == "a"}
        assert wanted <= set(ids)
        scripts = re.findall(r'<script(?: type="module")?>(.*?)</script>', html, re.DOTALL)
        assert len(scripts) == 2
        for script in scripts:
            assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in html.partition("<title>")[0]
        chunks = json.loads(html.partition('id="opsin-report">')[2].partition("</script>")[0])["chunks"]
        assert {chunk["id"] for chunk in chunks} <= set(ids)


def test_a_view_stands_where_there_is_something_to_show(living):
    shown = {
        kind: {attributes.get("data-view") for _, attributes in Reader(html).elements} - {None}
        for kind, html in living.items()
    }
    assert not shown["just begun"] & {"flow", "why", "classes"}
    assert {"film", "timeline", "classes", "space"} <= shown["evil"]
    assert "flow" not in shown["foreign"]  # its network is not in the folder


def test_the_curves_stand_once(living):
    """The film's view holds them; the page's own are behind it, for readers without scripts."""
    sections = [attributes["id"] for tag, attributes in Reader(living["evil"]).elements if tag == "section"]
    assert "curves" not in sections
    assert 'href="#curves"' not in living["evil"].partition("</header>")[0]


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (-1.59123, "-1.59"), (12345.6, "12,346"), (1.2e-8, "1.2e-08")])
def test_numbers_have_three_figures(value, text):
    assert number(value) == text


def test_the_report_of_the_digits_stays_small(digits_report):
    assert digits_report.stat().st_size < 6_000_000


def test_large_photographs_are_shown_small_and_small_images_large(make_run, monkeypatch):
    from opsin.reporting.parts.material import Thumbnail

    photo = Thumbnail(np.zeros((150, 224, 3), np.uint8), (1500, 2240))
    monkeypatch.setattr(Material, "thumbnail", lambda *_: photo)
    sizes = [(attributes["class"], int(attributes["width"]), int(attributes["height"]))
             for tag, attributes in Reader(page_of(make_run())).elements
             if tag == "img" and "original" in attributes.get("data-alt-en", "").lower()]  # fmt: skip
    assert set(sizes) == {("photo", 112, 75)}


def test_every_map_carries_a_badge_and_every_badge_leads_to_its_figures(every_run):
    html = page_of(every_run["checked"])
    reader = Reader(html)
    tables = html.count('<table class="why')
    assert tables == 1
    grid = html.partition('<table class="why')[2].partition("</table>")[0]
    cells = re.findall(r"<td>(.*?)</td>", grid, re.DOTALL)
    assert len(cells) == 6 * 3
    for cell in cells:
        assert cell.count("<img") == cell.count('class="badge ') == 1
    badges = re.findall(r'<a class="verdict (\w+)" href="#(why-1-\w+)"', grid)
    assert badges == [
        ("better", "why-1-grad_cam"), ("fails", "why-1-guided_backprop"), ("unchecked", "why-1-saliency")
    ]  # fmt: skip
    inside = [attributes.get("id") for _, attributes in reader.elements]
    assert all(place in inside for _, place in badges)
    assert "rise" in html.partition('id="why"')[2].partition("</section>")[0]  # the damaged one is named


def test_a_page_of_explanations_is_the_same_page_without_the_run(every_run):
    from tests.reporting.conftest import make_explanation

    from opsin.reporting import explained

    html = render(explained.page_of([make_explanation()], name="a network"), "en")
    reader = Reader(html)
    assert not reader.open
    assert "<title>Explanations · a network</title>" in html
    assert [attributes["id"] for tag, attributes in reader.elements if tag == "section"] == ["why"]
    assert 'id="opsin-report"' not in html
    assert "play the film" not in html
