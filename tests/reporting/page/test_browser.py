"""The page in a real browser: it asks for nothing, and its switches and the slider do what they say."""

import os
from pathlib import Path

import pytest
from tests.conftest import missing

import opsin

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright")
    if not CHROMIUM.exists():
        missing("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def explained(browser, every_run, tmp_path):
    """The report of a run with kept evidence."""
    target = opsin.report(every_run["checked"], out=tmp_path / "checked.html")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(target.as_uri())
    yield page
    page.close()


@pytest.fixture
def page(browser, digits_report):
    """The report of the digits; afterwards, nothing may have been said or asked."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(digits_report.as_uri())
    yield page
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [digits_report.as_uri()]
    context.close()


def reach(page, section: str):
    """The view in a section, once it shows something."""
    page.locator(f"#{section}").scroll_into_view_if_needed()
    place = page.locator(f"#{section} .live").last
    place.locator("section").first.wait_for()
    return place


def settled(page, place) -> str:
    """The view's text once nothing is awaited any more."""
    sync_api = pytest.importorskip("playwright.sync_api")
    sync_api.expect(place.get_by_text("Loading", exact=True)).to_have_count(0)
    return place.locator("section").first.inner_text()


@pytest.mark.parametrize("section", ["flow", "film", "scores", "why", "embeddings"])
def test_every_view_shows_what_the_file_holds(page, section):
    place = reach(page, section)
    assert "needs a live model" not in settled(page, place)
    page.wait_for_function(
        """section => [...document.querySelector(`#${section} .live`).shadowRoot.querySelectorAll("canvas, svg, table")]
            .some(item => item.getBoundingClientRect().width > 0)""",
        arg=section,
    )


def test_the_time_line_moves_the_film(page):
    place = reach(page, "film")
    settled(page, place)
    before = place.locator("canvas").first.screenshot(animations="disabled")
    line = page.locator(".timebar input[type=range]")
    line.focus()
    line.press("Home")
    sync_api = pytest.importorskip("playwright.sync_api")
    sync_api.expect(page.locator(".timebar")).to_contain_text("step 0")
    page.wait_for_timeout(300)
    assert place.locator("canvas").first.screenshot(animations="disabled") != before


def test_a_drawn_digit_goes_through_the_network_in_the_file(page):
    """Nothing answers but the page itself: drawing changes the layers' maps and the answer."""
    place = reach(page, "flow")
    text = settled(page, place)
    box = place.locator("canvas").first.bounding_box()
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + box["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(middle, box["y"] + box["height"] * 0.8, steps=12)
    page.mouse.up()
    page.wait_for_function(
        "before => document.querySelector('#flow .live').shadowRoot.querySelector('section').innerText !== before",
        arg=text,
    )
    assert "1" in settled(page, place)


def test_the_language_switch_changes_texts_attributes_and_title(page):
    assert page.locator("#summary-title").inner_text() == "Summary"
    page.click("#language")
    assert page.locator("#summary-title").inner_text() == "概要"
    assert page.title().startswith("训练报告")
    assert page.get_attribute("#theme", "aria-label") == "浅色或深色"
    assert "Summary" not in page.locator("main").inner_text()
    page.keyboard.press("l")
    assert page.locator("#summary-title").inner_text() == "Summary"
    assert "概要" not in page.locator("main").inner_text()


def test_the_theme_switch_changes_the_paper(page):
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.click("#theme")
    dark = page.evaluate(paper)
    assert light != dark
    page.emulate_media(media="print")
    assert page.evaluate(paper) == light
    page.emulate_media(media="screen")
    page.click("#theme")
    assert page.evaluate(paper) == light


def test_the_system_theme_is_followed_without_a_click(browser, digits_report):
    papers = []
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(digits_report.as_uri())
        papers.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.close()
    assert papers[0] != papers[1]


def test_without_javascript_the_last_step_and_one_language_are_seen(browser, digits_report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(digits_report.as_uri())
    text = page.locator("main").inner_text()
    assert "What to distrust" in text
    assert "概要" not in text
    assert page.locator("#film .layer img").first.is_visible()
    assert page.locator("#film svg.chart").first.is_visible()
    context.close()


@pytest.mark.parametrize("width", [1280, 480])
def test_nothing_is_wider_than_the_window(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_keyboard_reaches_every_control(page):
    reached = set()
    focused = "(e => e.id || e.name || e.tagName)(document.activeElement)"
    page.keyboard.press("Tab")
    for _ in range(250):
        reached.add(page.evaluate(focused))
        page.keyboard.press("Tab")
    assert {"language", "theme", "help", "DIV", "A", "SUMMARY"} <= reached  # DIV: a view, with its own controls
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible()


def test_a_badge_opens_to_its_figures_curves_and_control_maps(explained):
    proof = explained.locator("details.proof").nth(1)
    assert not proof.locator("table").is_visible()
    explained.locator("a.verdict.fails").click()
    assert proof.locator("table").is_visible()
    assert proof.locator("svg.chart").count() == 2
    assert proof.locator(".beside img").count() == 4
    text = proof.inner_text()
    assert "its maps stay alike (0.80 on average" in text
    assert "steps 4" in text
    # the badge stands below the page's head, not behind it
    assert proof.locator("summary").bounding_box()["y"] >= 44


def test_the_maps_are_at_whole_pixels_and_fit_the_page(explained):
    sizes = explained.eval_on_selector_all(
        ".why td img", "all => all.map(i => [i.naturalWidth, i.getBoundingClientRect().width])"
    )
    assert len(sizes) == 18
    assert {shown % natural for natural, shown in sizes} == {0}
    assert all(shown > 100 for _, shown in sizes)
    for width in (1280, 480):
        explained.set_viewport_size({"width": width, "height": 900})
        assert explained.evaluate("document.documentElement.scrollWidth") <= width
