"""A class out of a tutorial, with the weights that its reader saved: what flows through it, and where it breaks."""

import importlib.util

import pytest
import torch
from tests.browser.seeing import drawn, expect, settled, stroke, tile, until_chosen

TUTORIAL = """
import torch
from torch import nn
import torch.nn.functional as F


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.fc1 = nn.Linear(FLAT, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        return self.fc2(F.relu(self.fc1(x)))
"""


@pytest.fixture
def own_studio(start_studio, tmp_path):
    """Starts the studio in the folder of the file. Tests ask for it before pages: it ends after them."""
    started = []

    def start(flat: int, *arguments: object):
        (tmp_path / "my.py").write_text(TUTORIAL.replace("FLAT", str(flat)))
        spec = importlib.util.spec_from_file_location("own_of_a_test", tmp_path / "my.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        torch.manual_seed(0)
        torch.save(module.CNN().state_dict(), tmp_path / "cnn.pth")
        started.append(start_studio("my.py:CNN", "--weights", "cnn.pth", *arguments, folder=tmp_path))
        return started[-1]

    yield start
    for studio in started:
        studio.stop()


def test_a_persons_own_class_is_looked_through(own_studio, new_page):
    studio = own_studio(1600)
    page = new_page(studio.origin)
    page.goto(f"{studio.printed}#language=en")
    paper = page.get_by_role("application", name="Drawing area").bounding_box()
    stroke(page, paper["x"] + 94, paper["y"] + 30, paper["x"] + 94, paper["y"] + 150)
    for layer in ("conv1", "conv2", "fc1", "fc2"):
        drawn(tile(page, layer).locator("canvas").first)
    expect(page.get_by_role("region", name="Answer").locator("li")).to_have_count(10)
    tile(page, "conv2").click()
    page.locator(".deep [role=slider]").click(position={"x": 20, "y": 20})
    until_chosen(page, layer="conv2", channel=0)
    expect(page.locator(".sum")).to_contain_text("288 products")
    expect(page.locator(".sum")).to_contain_text("✓")


def test_a_wrong_flatten_is_shown_up_to_there_and_explained(own_studio, new_page):
    studio = own_studio(10816, "--size", 28)
    page = new_page(studio.origin)
    page.goto(f"{studio.printed}#language=en")
    failure = page.locator("main .failed[role=alert]")
    expect(failure).to_contain_text("The network fails at fc1 (linear).")
    expect(failure).to_contain_text("1600")
    expect(failure).to_contain_text("10816")
    expect(page.get_by_role("img", name="The network fails here: linear")).to_be_visible()
    settled(page.locator("main"))
    for layer in ("conv1", "conv2"):
        drawn(tile(page, layer).locator("canvas").first)
    tile(page, "conv2").click()
    page.locator(".deep [role=slider]").click(position={"x": 20, "y": 20})
    expect(page.locator(".sum")).to_contain_text("✓")
