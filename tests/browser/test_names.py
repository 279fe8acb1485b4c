"""Names of classes, files and runs can hold any text, and are text: in the studio, the report and the notebook."""

import pytest
from tests.browser.conftest import EVIL_CLASSES, EVIL_FILE, EVIL_RUN
from tests.browser.seeing import drawn, expect, settled, tile


def check(page, place) -> None:
    """Nothing that a name says has been done, and no element has been made of one."""
    page.wait_for_timeout(100)  # a picture that cannot be loaded says so a little later
    assert page.evaluate("window.evil") is None
    assert place.locator("img[src=x]").count() == 0
    assert place.locator("script:not([src])").count() == 0


def test_in_every_view_of_the_studio(look, evil_run):
    assert set(evil_run.classes) == set(EVIL_CLASSES)
    page = look("flow", EVIL_RUN, image="test/0")
    main = page.locator("main")
    answer = page.get_by_role("region", name="Answer")
    for name in EVIL_CLASSES:
        expect(answer.locator(".name", has_text=name)).to_have_count(1)
    expect(page).to_have_title(f"{EVIL_RUN} · opsin")
    expect(page.get_by_role("complementary")).to_contain_text(EVIL_FILE)
    answer.get_by_role("button").first.click()  # the class stands in the inspector
    expect(page.get_by_role("complementary")).to_contain_text(evil_run.classes[0])
    for key in range(1, 10):
        page.keyboard.press(str(key))
        settled(main)
        check(page, page.locator("body"))
    page.keyboard.press("5")
    for name in EVIL_CLASSES:
        expect(main.locator("table.matrix tbody th", has_text=name)).to_have_count(1)
    page.keyboard.press("3")
    expect(main).to_contain_text(EVIL_FILE)
    page.keyboard.press("4")
    expect(main.get_by_text(EVIL_CLASSES[1]).first).to_be_visible()


def test_in_the_report(new_page, evil_report):
    page = new_page(evil_report.as_uri())
    page.goto(evil_report.as_uri())
    expect(page.locator("h1")).to_contain_text(EVIL_RUN)
    for view in ("flow", "film", "why", "space", "classes"):
        place = page.locator(f".live[data-view={view}]")
        place.scroll_into_view_if_needed()
        settled(place)
        check(page, place)
    for name in EVIL_CLASSES:
        expect(page.locator("table.matrix tbody th", has_text=name)).to_have_count(1)
        answer = page.locator(".live[data-view=flow]").get_by_role("region", name="Answer")
        expect(answer.locator(".name", has_text=name)).to_have_count(1)
    check(page, page.locator("main"))


def test_in_the_notebook(notebook, evil_run):
    page = notebook(evil_run)
    drawn(tile(page, "input").locator("canvas").first)
    for name in EVIL_CLASSES:
        expect(page.get_by_role("region", name="Answer").locator(".name", has_text=name)).to_have_count(1)
    for tab in page.get_by_role("tab").all():
        tab.click()
        settled(page.locator(".widget"))
        check(page, page.locator("body"))
    page.get_by_role("tab", name="Classes").click()
    expect(page.locator("table.matrix tbody th", has_text=EVIL_CLASSES[2])).to_have_count(1)


def test_a_page_that_took_them_for_markup_would_be_noticed(new_page):
    """Planted: the same names put into a page as HTML."""
    page = new_page("about:", quiet=False)
    for name in (EVIL_CLASSES[1], EVIL_FILE, EVIL_RUN):
        page.goto("about:blank")
        check(page, page.locator("body"))
        page.evaluate("text => { document.body.innerHTML = text; }", name)
        with pytest.raises(AssertionError):
            check(page, page.locator("body"))
