"""A real studio, a report and a notebook's page, all in one browser: pages whose every mistake is noticed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.browser.hosts import Kernel, Studio, guarded
from tests.conftest import missing

import opsin

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SLOWEST = 30_000  # milliseconds that anything may take on a busy machine

# Names that are code wherever they are not taken as text; of a table, so that classes can hold a slash.
EVIL_CLASSES = (
    "<script>window.evil = 1</script>",
    """</script><img src=x onerror='window.evil = 2'>"quoted" {{ 7 * 7 }} ${7 * 7}""",
    "🦉 \u202eثعلب הבית",
)
EVIL_FILE = "<img src=x onerror=window.evil=3>'\"🦉"
EVIL_RUN = "<img src=x onerror=window.evil=4>"


@pytest.fixture(scope="module")
def browser():
    """Of one file of tests: nothing of it may be left when others run loops of their own."""
    try:
        from playwright.sync_api import expect, sync_playwright
    except ImportError:
        missing("playwright")
    if not CHROMIUM.exists():
        missing("chromium")
    expect.set_options(timeout=SLOWEST)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser) -> Iterator[Callable]:
    """Opens pages that may ask nothing but what is local, and say nothing on the console."""
    opened = []

    def make(local: str, *, quiet: bool = True, **options):
        settings = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light", "locale": "en", **options}
        context = browser.new_context(**settings)
        context.set_default_timeout(SLOWEST)
        context.add_init_script("try { localStorage.setItem('opsin-welcomed', 'yes'); } catch { /* no storage */ }")
        opened.append((context, *guarded(context, local), quiet))
        return context.new_page()

    yield make
    for context, left, said, quiet in opened:
        context.close()
        assert left == []
        assert not quiet or said == []


@pytest.fixture(scope="session")
def small_run(digits, tmp_path_factory):
    """A second network for the same digits: the smallest, after one epoch."""
    from opsin.training.view import Quiet

    recipe = opsin.Recipe(epochs=1, record=False, embeddings=0)
    model = opsin.build_model("simple_cnn", classes=digits.classes, channels=1, size=28, seed=0)
    return opsin.train(model, digits, recipe, out=tmp_path_factory.mktemp("small") / "small", view=Quiet())


@pytest.fixture(scope="session")
def evil_run(digits, tmp_path_factory):
    """A run whose classes and files are called what would be code in a page."""
    from PIL import Image

    from opsin.data.preprocess import Preprocess
    from opsin.training.view import Quiet

    folder = tmp_path_factory.mktemp("evil")
    pixels = digits.pixels(Preprocess.simple(1, 28)).squeeze(-1)
    lines = ["path\tlabel\tsplit"]
    for split, most in (("train", 40), ("validation", 10), ("test", 10)):
        places = getattr(digits, split)
        for label, name in enumerate(EVIL_CLASSES):
            for row in places.indices[places.labels == label][:most]:
                file = f"{EVIL_FILE}{row}.png"
                Image.fromarray(pixels[row]).save(folder / file)
                quoted = [f'"{text.replace(chr(34), 2 * chr(34))}"' for text in (file, name)]
                lines.append("\t".join([*quoted, split]))
    (folder / "evil.tsv").write_text("\n".join(lines), "utf-8")
    data = opsin.load_data(folder / "evil.tsv")
    model = opsin.build_model("simple_cnn", classes=data.classes, channels=1, size=28, seed=0)
    recipe = opsin.Recipe(epochs=2, record_every=2, embeddings=40)
    return opsin.train(model, data, recipe, out=folder / EVIL_RUN, view=Quiet())


@pytest.fixture(scope="session")
def runs_folder(digits_run, small_run, evil_run, tmp_path_factory) -> Path:
    """What the studio is opened on."""
    folder = tmp_path_factory.mktemp("studio") / "runs"
    folder.mkdir()
    for run in (digits_run, small_run, evil_run):
        shutil.copytree(run.path, folder / run.name)
    return folder


@pytest.fixture(scope="session")
def start_studio(tmp_path_factory) -> Iterator[Callable[..., Studio]]:
    """Starts `opsin studio`, as a person does."""
    state = tmp_path_factory.mktemp("state")
    started: list[Studio] = []

    def start(*arguments: object, port: int = 0, folder: Path | None = None) -> Studio:
        started.append(Studio(arguments, port, state, folder))
        return started[-1]

    yield start
    for studio in started:
        studio.stop()


@pytest.fixture(scope="session")
def studio(start_studio, runs_folder) -> Studio:
    """On the runs; tests leave them as they are."""
    return start_studio(runs_folder)


@pytest.fixture
def look(new_page, studio) -> Callable:
    """Opens a view of a run in the studio: `look("flow", image="probe/0")`."""

    def open_view(view: str, subject: str = "digits", *, page=None, options=None, **chosen):
        page = page or new_page(studio.origin, **(options or {}))
        page.goto(studio.address(subject, view, **{"language": "en", "theme": "light", **chosen}))
        return page

    return open_view


@pytest.fixture(scope="session")
def evil_report(evil_run, tmp_path_factory) -> Path:
    """The report of the run with strange names."""
    return opsin.report(evil_run, out=tmp_path_factory.mktemp("evil-report") / "evil.html")


@pytest.fixture
def notebook(new_page) -> Iterator[Callable]:
    """Shows a widget in a page, as a notebook does: `notebook(run, "flow")`."""
    kernels = []

    def show(*thing, options=None, **state):
        page = new_page("blob:", **(options or {}))
        kernels.append(Kernel(opsin.show(*thing, **state)))
        kernels[-1].show(page)
        return page

    yield show
    for kernel in kernels:
        kernel.close()
