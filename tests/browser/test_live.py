"""What goes on elsewhere while a page is open: a training in another process, and a studio that is started anew."""

import os
import re
import subprocess

import pytest
from tests.browser.hosts import OPSIN
from tests.browser.seeing import PATIENCE, changed, chosen, drawn, expect, picture, stroke, tile, until, until_chosen


@pytest.fixture
def train(tmp_path):
    """Starts `opsin train` in a process of its own."""
    started = []

    def start(*arguments: object) -> subprocess.Popen:
        command = [*OPSIN, "train", *map(str, arguments)]
        with (tmp_path / "said.txt").open("w") as said:
            started.append(subprocess.Popen(command, stdout=said, stderr=said, env={**os.environ, "NO_COLOR": "1"}))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_training_is_watched_from_its_first_step_to_its_end(new_page, start_studio, train, tmp_path):
    folder = tmp_path / "runs"  # where the studio looks by itself; it is not there yet
    studio = start_studio(folder=tmp_path)
    page = new_page(studio.origin)
    page.goto(f"{studio.printed}#view=film&language=en")
    expect(page.locator("main")).to_contain_text("There is no run here yet.")
    page.evaluate("window.same = true")
    training = train("mnist5k", "--epochs", 2, "--record-every", 20, "--out", folder / "live")
    line = page.get_by_label("Step of the training")
    line.wait_for(timeout=2 * PATIENCE * 1000)
    expect(page.locator("header.bar select")).to_contain_text("live (running)")
    expect(page.locator("footer")).to_contain_text("live")
    expect(page.locator("main")).to_contain_text("The training goes on")
    frame = page.locator("main figure.now canvas").first
    first = drawn(frame)
    seen = [until(page, lambda: int(line.get_attribute("max") or 0), "no second snapshot comes")]
    while training.poll() is None:
        if (count := int(line.get_attribute("max"))) != seen[-1]:
            seen.append(count)
        page.wait_for_timeout(50)
    assert training.returncode == 0
    assert seen == sorted(seen)
    assert len(seen) > 2, "the film did not grow while the training went on"
    expect(page.locator("header.bar .accuracy")).to_be_visible()
    expect(page.locator("footer")).not_to_contain_text("live")
    expect(page.locator("header.bar select")).not_to_contain_text("running")
    steps = sorted(int(path.stem) for path in (folder / "live" / "snapshots").glob("[0-9]*.safetensors"))
    assert int(line.get_attribute("max")) == len(steps) - 1
    line.press("End")
    expect(page.locator("footer .where")).to_contain_text(f"step {steps[-1]}")
    changed(frame, first)
    line.press("Home")
    expect(page.locator("main figure.now figcaption")).to_contain_text("untrained")
    page.keyboard.press("1")
    drawn(tile(page, "conv1").locator("canvas").first)
    assert page.evaluate("window.same"), "the page was loaded again"
    page.close()
    studio.stop()


def test_a_page_goes_on_when_the_studio_is_started_anew(new_page, start_studio, runs_folder):
    studio = start_studio(runs_folder)
    page = new_page(studio.origin, quiet=False)
    said = []
    page.on("console", lambda message: message.type == "error" and said.append(message.text))
    page.goto(studio.address("digits", "flow", language="en", image="probe/0"))
    answer = page.get_by_role("region", name="Answer").locator("li.top .name")
    expect(answer).to_contain_text("0")
    paper = page.get_by_role("application", name="Drawing area").bounding_box()
    stroke(page, paper["x"] + 94, paper["y"] + 30, paper["x"] + 94, paper["y"] + 150)
    expect(answer).to_have_text("1")
    own = until(page, lambda: chosen(page)["image"] != "probe/0" and chosen(page)["image"], "nothing is drawn")
    shown = picture(tile(page, "conv2").locator("canvas").first)
    studio.stop()
    expect(page.get_by_role("alert")).to_contain_text("The studio does not answer")
    assert picture(tile(page, "conv2").locator("canvas").first) == shown, "what was shown is gone"
    page.get_by_role("button", name="Samples").click()  # asked while nobody answers
    again = start_studio(runs_folder, port=studio.port)
    expect(page.get_by_role("alert")).to_have_count(0)
    drawn(page.locator(".gallery canvas").first)
    # the new process knows the drawing, and answers what it was never asked
    tile(page, "conv2").click()
    page.locator(".deep [role=slider]").click(position={"x": 20, "y": 20})
    until_chosen(page, image=own, layer="conv2", channel=0)
    expect(page.locator(".sum")).to_contain_text("✓")
    assert all(re.search("WebSocket connection .* failed|ERR_CONNECTION_REFUSED", text) for text in said), said
    page.close()
    again.stop()
