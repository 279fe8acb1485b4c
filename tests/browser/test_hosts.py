"""The same views in a studio, a report and a notebook: in each language and theme, alone with themselves, and equal."""

import re
from functools import cache

import pytest
from tests.browser.hosts import texts
from tests.browser.seeing import LANDMARKS, Picture, check_access, drawn, expect, said, settled, stroke, tile

IN_A_REPORT = ("flow", "film", "why", "space", "classes")

# every host in both languages and both themes, every language in both themes
SAMPLES = [
    ("studio", "en", "light"), ("studio", "zh-CN", "dark"), ("report", "en", "dark"),
    ("report", "zh-CN", "light"), ("notebook", "en", "dark"), ("notebook", "zh-CN", "light"),
]  # fmt: skip
HAN = re.compile(r"[\u4e00-\u9fff]+")


@cache
def phrases() -> frozenset[str]:
    """English of three words and more: whole texts, and what stands between the values that are filled in."""
    english = texts("en")
    assert set(english) == set(texts("zh-CN"))
    parts = (part.strip() for text in english.values() for part in re.split(r"\{[^}]*\}", text))
    return frozenset(part for part in parts if len(re.findall("[A-Za-z]+", part)) > 2)


def check_language(place, language: str) -> None:
    """What is said in a part of a page is said in its language."""
    spoken = said(place)
    assert len(spoken) > 5
    if language == "en":
        strange = [text for text in spoken if HAN.search(text) and not re.search("Language: 中文|^中$", text)]
        assert strange == []
    else:
        assert [text for text in spoken if any(phrase in text for phrase in phrases())] == []
        assert sum(bool(HAN.search(text)) for text in spoken) > 3


def check_theme(place, theme: str) -> None:
    """Ink is lighter than paper in the dark."""
    ink = place.evaluate("item => getComputedStyle(item).color")
    light = sum(int(part) for part in re.findall(r"\d+", ink)[:3]) > 3 * 128
    assert light == (theme == "dark"), ink


@pytest.fixture
def walk(request, look, notebook, new_page, digits_run):
    """Every view of a host, one after the other: its name, and the place where it is shown."""

    def studio(language, theme):
        page = look("flow", language=language, theme=theme, image="probe/0", layer="conv1")
        for key, view in enumerate(LANDMARKS, 1):
            page.keyboard.press(str(key))
            if view == "compare":
                page.locator("main header select").first.select_option(label="small")
            assert page.evaluate("document.documentElement.lang") == language
            yield view, page.locator("main"), page.locator("div.opsin").first

    def book(language, theme):
        page = notebook(digits_run, language=language, theme=theme)
        widget = page.locator(".widget")
        for tab in widget.locator("[role=tab]").all():
            tab.click()
            assert widget.get_attribute("lang") == language
            yield tab.get_attribute("data-view"), widget, widget

    def report(language, theme):
        file = request.getfixturevalue("digits_report")
        page = new_page(file.as_uri())
        page.goto(file.as_uri())
        if language == "zh-CN":
            page.click("#language")
        if theme == "dark":
            page.click("#theme")
        assert page.evaluate("document.documentElement.lang") == language
        check_language(page.locator("main"), language)
        for view in IN_A_REPORT:
            place = page.locator(f".live[data-view={view}]")
            place.scroll_into_view_if_needed()
            yield view, place, place.locator(".opsin").first

    return {"studio": studio, "notebook": book, "report": report}


@pytest.mark.parametrize(("host", "language", "theme"), SAMPLES)
def test_every_view_of_every_host_is_whole(walk, host, language, theme):
    """In its language and theme; the page says nothing on the console and asks for nothing from elsewhere."""
    seen = []
    for view, place, root in walk[host](language, theme):
        mark = place.locator(LANDMARKS[view]).first
        mark.wait_for()
        settled(place)
        if LANDMARKS[view].endswith("canvas"):
            drawn(mark)
        expect(place).not_to_contain_text("undefined")
        expect(place).not_to_contain_text("needs a live model")
        check_language(place, language)
        check_theme(root, theme)
        seen.append(view)
    all_views = set(LANDMARKS) - ({"compare"} if host == "notebook" else set())
    assert set(seen) == (set(IN_A_REPORT) if host == "report" else all_views)


def test_studio_and_report_draw_the_same(look, new_page, digits_report):
    """The report's maps come out of the browser's own arithmetic, the studio's out of PyTorch."""
    report = new_page(digits_report.as_uri())
    report.goto(digits_report.as_uri())
    place = report.locator(".live[data-view=flow]")
    place.scroll_into_view_if_needed()
    width = place.locator("section.flow").bounding_box()["width"]
    image = report.evaluate("JSON.parse(document.getElementById('opsin-report').textContent).image")
    # as wide as the report's: navigation and inspector stand beside it
    studio = look("flow", image=image, options={"viewport": {"width": int(width) + 420, "height": 900}})
    assert studio.locator("section.flow").bounding_box()["width"] == int(width)
    shown = [shown_in_flow(page) for page in (studio, report)]
    assert shown[0] == shown[1]
    for page in (studio, report):
        draw_a_one(page)
        expect(page.get_by_role("region", name="Answer").locator("li.top .name")).to_have_text("1")
        settled(page.locator("section.flow"))
    own = [shown_in_flow(page) for page in (studio, report)]
    assert own[0] == own[1] != shown[0]


def draw_a_one(page) -> None:
    paper = page.get_by_role("application", name="Drawing area")
    paper.scroll_into_view_if_needed()
    box = paper.bounding_box()
    stroke(page, box["x"] + box["width"] / 2, box["y"] + 30, box["x"] + box["width"] / 2, box["y"] + 150)


def shown_in_flow(page) -> tuple[dict[str, Picture], list[str]]:
    """What the tiles of all layers show, and the answer."""
    tiles = page.locator(".graph button.tile:has(canvas)")
    tiles.first.wait_for()
    layers = tiles.evaluate_all("all => all.map(item => item.dataset.layer)")
    assert {"input", "conv1", "conv2", "fc1"} <= set(layers)
    pictures = {layer: drawn(tile(page, layer).locator("canvas").first) for layer in layers}
    answer = page.get_by_role("region", name="Answer").locator("li").all_inner_texts()
    assert len(answer) == 10
    return pictures, answer


def test_studio_and_report_tell_the_same_of_classes(look, new_page, digits_report):
    report = new_page(digits_report.as_uri())
    report.goto(digits_report.as_uri())
    report.locator(".live[data-view=classes]").scroll_into_view_if_needed()
    studio = look("classes")
    cells = []
    for page in (studio, report):
        page.locator("table.matrix button").first.wait_for()
        cells.append(
            page.locator("table.matrix button").evaluate_all(
                "all => all.map(cell => [cell.getAttribute('aria-label'), cell.style.background, cell.innerText])"
            )
        )
    assert len(cells[0]) == 100
    assert cells[0] == cells[1]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_grave_stands_in_the_way_of_a_reports_reader(new_page, digits_report, theme):
    page = new_page(digits_report.as_uri(), color_scheme=theme)
    page.goto(digits_report.as_uri())
    for view in IN_A_REPORT:
        place = page.locator(f".live[data-view={view}]")
        place.scroll_into_view_if_needed()
        settled(place)
    check_access(page)


def test_nothing_grave_stands_in_the_way_in_a_notebook(notebook, digits_run):
    page = notebook(digits_run)
    for tab in page.get_by_role("tab").all():
        tab.click()
        settled(page.locator(".widget"))
        check_access(page, "document.getElementById('output')")
