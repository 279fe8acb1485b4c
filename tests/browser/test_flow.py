"""The way of a person's own drawing through the network down to one number, by mouse and by keys alone."""

import re

import pytest
from tests.browser.seeing import changed, drawn, expect, stroke, tile, until, until_chosen, until_other

LAYERS = ("conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "fc1", "fc2")

# What has the focus: its name, and whether a person sees that it has it.
FOCUSED = """() => {
  const item = document.activeElement;
  const style = getComputedStyle(item);
  const name = item.getAttribute("aria-label") || item.labels?.[0]?.innerText || item.innerText || item.tagName;
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
  const box = item.getBoundingClientRect();
  const inside = box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight;
  return [name.trim().split("\\n")[0], ring && inside, item === document.body];
}"""


def number(text: str) -> float:
    """The first number of a text."""
    return float(re.search(r"-?\d[\d.]*(e-?\d+)?", text.replace("−", "-"))[0])


def tab_to(page, name: str, most: int = 80) -> str:
    """Press Tab until something whose name begins so has the focus; each on the way shows that it has it."""
    for _ in range(most):
        page.keyboard.press("Tab")
        found, seen, left = page.evaluate(FOCUSED)
        assert seen or left, f"nobody sees that {found!r} has the focus"
        if found.startswith(name):
            return found
    raise AssertionError(f"Tab does not reach {name!r}")


def test_a_drawn_digit_goes_through_all_layers_down_to_one_number(look):
    page = look("flow", image="probe/0")
    answer = page.get_by_role("region", name="Answer")
    expect(answer.locator("li.top .name")).to_contain_text("0")
    before = {layer: drawn(tile(page, layer).locator("canvas").first) for layer in LAYERS}
    paper = page.get_by_role("application", name="Drawing area").bounding_box()
    middle = paper["x"] + paper["width"] / 2
    stroke(page, middle, paper["y"] + 30, middle, paper["y"] + paper["height"] - 30)
    expect(answer.locator("li.top .name")).to_have_text("1")
    for layer in LAYERS:
        changed(tile(page, layer).locator("canvas").first, before[layer])
    assert until_other(page, "image", "probe/0").startswith("own/")
    tile(page, "conv2").click()
    page.locator(".deep [role=slider]").click(position={"x": 80, "y": 20})
    channel = until_other(page, "channel")
    place = page.get_by_role("slider", name=f"Place in channel {channel} of conv2")
    place.click(position={"x": 90, "y": 90})
    unit = [int(index) for index in until_other(page, "unit").split(",")]
    expect(page.locator(".sum code")).to_have_text(f"conv2[{unit[0]}, {unit[1]}, {unit[2]}]")
    of_map = number(place.get_attribute("aria-valuetext").partition("= ")[2])
    total, own = (number(page.locator(".sum span", has_text=word).inner_text()) for word in ("total", "own"))
    assert total == pytest.approx(own, rel=1e-5, abs=1e-6)
    assert own == pytest.approx(of_map, rel=0.006)  # written with three digits


def test_the_keyboard_leads_to_one_units_arithmetic_and_back_and_through_the_film(look, digits_run):
    page = look("flow", image="probe/0")
    drawn(tile(page, "conv2").locator("canvas").first)
    tab_to(page, "Skip to the view")
    page.keyboard.press("Enter")
    tab_to(page, "input")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert page.evaluate(FOCUSED)[0].startswith("conv2")
    page.keyboard.press("Enter")
    until_chosen(page, layer="conv2")
    tab_to(page, "conv2, 64")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    until_chosen(page, channel=1)
    tab_to(page, "Place in channel 1 of conv2")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    unit = until_other(page, "unit")
    expect(page.locator(".sum code")).to_have_text(f"conv2[{unit.replace(',', ', ')}]")
    expect(page.locator(".sum")).to_contain_text("✓")
    for name in ("unit", "channel", "layer"):
        page.keyboard.press("Escape")
        until_chosen(page, **{name: None})
    until(page, lambda: page.evaluate(FOCUSED)[0].startswith("conv2"), "the focus is lost on the way back")
    page.keyboard.press("2")
    until_chosen(page, view="film")
    frame = page.locator("main .now canvas").first
    last = drawn(frame)
    tab_to(page, "Step of the training")
    steps = digits_run.snapshot_steps
    for step in (steps[-2], steps[-3]):
        page.keyboard.press("ArrowLeft")
        until_chosen(page, step=step)
        expect(page.locator("main .now figcaption")).to_contain_text(f"step {step}")
        last = changed(frame, last)
    page.keyboard.press("Home")
    until_chosen(page, step=0)
    expect(page.locator("main .now figcaption")).to_contain_text("untrained")
