"""The studio's frame: its keys, its address, its introduction, and that everybody can use it."""

from urllib.parse import parse_qs

import pytest
from tests.browser.seeing import LANDMARKS, check_access, settled


def address(page) -> dict[str, str]:
    """What the page's address says."""
    return {key: values[0] for key, values in parse_qs(page.url.partition("#")[2]).items()}


def until_at(page, **wanted: str) -> None:
    """Wait until the address says so."""
    page.wait_for_function(
        """wanted => { const at = new URLSearchParams(location.hash.slice(1));
        return Object.entries(wanted).every(([key, value]) => at.get(key) === value); }""",
        arg=wanted,
    )


def focused(page) -> str:
    """The name of what has the focus."""
    return page.evaluate(
        "(e => e.getAttribute('aria-label') || e.innerText.trim().split('\\n')[0])(document.activeElement)"
    )


def ready(page) -> None:
    """Wait until the subject is open and the view is there."""
    page.locator("main .opsin").first.wait_for(timeout=60_000)


def tab_to(page, name: str, most: int = 40) -> None:
    """Press Tab until something of this name has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if focused(page) == name:
            return
    raise AssertionError(f"Tab does not reach {name!r}")


def test_the_keyboard_alone_goes_everywhere(look):
    page = look("flow")
    ready(page)
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the view"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "MAIN"
    for number, view in enumerate(LANDMARKS, 1):
        page.keyboard.press(str(number))
        until_at(page, view=view)
        assert page.locator("nav [aria-current=page]").count() == 1
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    page.keyboard.press("2")  # the list of keys is in front: nothing happens behind it
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert address(page)["view"] == "channel"
    page.evaluate("document.activeElement.blur()")
    tab_to(page, "Language: 中文")
    page.keyboard.press("Enter")
    assert focused(page) == "语言：English"
    page.keyboard.press("l")
    page.keyboard.press("t")
    until_at(page, theme="dark")
    assert address(page)["language"] == "en"
    tab_to(page, "Film")
    page.keyboard.press("Enter")
    until_at(page, view="film")


def test_what_is_typed_is_no_key_of_the_frame(look):
    page = look("flow")
    ready(page)
    page.locator("header.bar select").focus()
    page.keyboard.press("2")
    page.keyboard.press("t")
    page.wait_for_timeout(300)
    assert address(page)["view"] == "flow"
    assert address(page)["theme"] == "light"


def test_back_goes_to_the_view_before_and_a_reload_stays(look):
    page = look("flow", image="probe/3", layer="conv1", channel=2)
    ready(page)
    page.keyboard.press("5")
    until_at(page, view="classes")
    page.keyboard.press("2")
    until_at(page, view="film")
    page.go_back()
    until_at(page, view="classes")
    page.go_back()
    until_at(page, view="flow")
    page.locator("nav [aria-current=page]", has_text="Flow").wait_for()
    page.reload()
    ready(page)
    found = address(page)
    assert (found["view"], found["image"], found["layer"], found["channel"]) == ("flow", "probe/3", "conv1", "2")
    assert page.locator("aside").get_by_text("conv1[2]").is_visible()


def test_another_run_is_chosen_and_back_brings_the_first(look, studio):
    page = look("film")
    ready(page)
    before = address(page)["subject"]
    page.locator("header.bar select").select_option(label="small")
    until_at(page, subject=studio.subjects()["small"])
    ready(page)
    assert page.title() == "small · opsin"
    page.go_back()
    until_at(page, subject=before)
    ready(page)
    assert page.title() == "digits · opsin"


def test_a_view_without_anything_to_show_says_why(new_page, start_studio, runs_folder):
    """A model without a run has no film; it is alone, so there is nothing to compare it with."""
    alone = start_studio(runs_folder / "small" / "weights" / "best.safetensors")
    page = new_page(alone.origin)
    page.goto(f"{alone.printed}#view=flow&language=en")
    ready(page)
    for name, reason in (("Film", "came without a run"), ("Compare", "only this one here")):
        button = page.locator("nav button", has_text=name).first
        assert reason in button.inner_text()
        button.click()
        page.locator("main").get_by_text(reason).wait_for()
    page.close()
    alone.stop()


def test_the_inspector_follows_what_is_chosen_and_lets_go(look):
    page = look("flow", image="probe/0", layer="conv1", unit="3,10,12")
    ready(page)
    inspector = page.locator("aside")
    inspector.get_by_text("conv1[3, 10, 12]").wait_for()
    inspector.get_by_text("9 products").wait_for()
    inspector.get_by_role("button", name="relu1", exact=True).click()
    until_at(page, layer="relu1")
    assert "unit" not in address(page)
    inspector.get_by_role("button", name="Let go: layer").click()
    page.wait_for_function("() => !location.hash.includes('layer=')")


def test_the_introduction_comes_once_and_can_be_called_again(look, studio, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en")
    page = context.new_page()
    page.goto(studio.address("digits", "film", language="en"))
    tour = page.get_by_role("dialog", name="Draw or drop a picture")
    tour.wait_for(timeout=60_000)
    assert address(page)["view"] == "flow"
    page.get_by_role("button", name="Next", exact=True).click()
    page.get_by_role("heading", name="Open any number").wait_for()
    page.get_by_role("button", name="Next", exact=True).click()
    page.get_by_role("heading", name="Move through the training").wait_for()
    until_at(page, view="film")
    page.get_by_role("button", name="Done").click()
    page.reload()
    ready(page)
    assert page.get_by_text("1 of 3").count() == 0
    page.keyboard.press("?")
    page.get_by_role("button", name="Show the introduction").click()
    page.get_by_text("1 of 3").wait_for()
    page.keyboard.press("Escape")
    page.get_by_text("1 of 3").wait_for(state="detached")
    context.close()


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (800, 1000), (768, 900)])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_frame_fits_down_to_a_tablet(look, width, height, language):
    page = look("flow", options={"viewport": {"width": width, "height": height}}, language=language)
    ready(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.scrollHeight") <= height
    bar = page.locator("header.bar")
    assert bar.evaluate("bar => bar.scrollWidth") <= width
    last = bar.get_by_role("button").last.bounding_box()
    assert last is not None
    assert last["x"] + last["width"] <= width
    inspector = page.locator("aside")
    if width < 1100:
        assert not inspector.is_visible()
        page.keyboard.press("i")
    assert inspector.is_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_grave_stands_in_anybodys_way(look, theme):
    page = look("flow", theme=theme, image="probe/0", layer="conv1", channel=1)
    for key, (view, mark) in enumerate(LANDMARKS.items(), 1):
        page.keyboard.press(str(key))
        if view == "compare":
            page.locator("main header select").first.select_option(label="small")
        page.locator("main").locator(mark).first.wait_for()
        settled(page.locator("main"))
        check_access(page)
