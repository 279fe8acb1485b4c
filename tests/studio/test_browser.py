"""What a browser makes of the studio's rules: a page of the studio, and pages of others that try to get in."""

import http.server
import os
import threading
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.conftest import missing

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP rebound.example 127.0.0.1",
]  # fmt: skip

PAGE = """<!DOCTYPE html><title>nothing ran</title>
<script>document.title = "inline";</script>
<img src="data:," onerror="document.title = 'attribute'">
<a id="link" href="javascript:document.title='link'">link</a>
<script src="static/a.js"></script>"""

ATTACK = """<!DOCTYPE html><title>elsewhere</title>
<a id="plain" href="STUDIO/">in</a><a id="token" href="STUDIO/?token=TOKEN">in</a>
<script src="STUDIO/static/a.js"></script>
<iframe id="frame" src="STUDIO/"></iframe>
<script>
const told = {};
const kept = (name, promise) => promise.then((value) => { told[name] = value; }, () => { told[name] = "refused"; });
const socket = new Promise((resolve, reject) => {
  const line = new WebSocket("STUDIO/ws?subject=SUBJECT".replace("http", "ws"));
  line.onopen = () => resolve("open");
  line.onerror = reject;
});
kept("socket", socket);
kept("list", fetch("STUDIO/api/subjects", { credentials: "include" }).then((answer) => answer.text()));
const blind = fetch("STUDIO/api/subjects", { credentials: "include", mode: "no-cors" });
kept("blind", blind.then((answer) => answer.type));
kept("post", fetch("STUDIO/api/subjects", { method: "POST", body: "x", credentials: "include" }).then(() => "sent"));
</script>"""


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


@pytest.fixture(scope="module")
def page_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("static")
    (folder / "studio.html").write_text(PAGE)
    (folder / "a.js").write_text(
        "document.title = 'script ran'; window.entered = true;"
        "try { eval('document.title = \"eval\"'); } catch { window.refused = true; }"
    )
    return folder


@pytest.fixture
def page(browser):
    context = browser.new_context()
    yield context.new_page()
    context.close()


class Elsewhere(NamedTuple):
    port: int
    seen: list[str]


@pytest.fixture
def elsewhere(shared_studio):
    """Another server of this machine, whose page attacks."""
    values = {
        "STUDIO": f"http://{shared_studio.host}",
        "TOKEN": shared_studio.session.token,
        "SUBJECT": shared_studio.subjects()[0]["id"],
    }
    text = ATTACK
    for name, value in values.items():
        text = text.replace(name, value)
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Elsewhere(server.server_address[1], seen)
        server.shutdown()


def enter(page, studio):
    page.goto(f"http://{studio.host}/?token={studio.session.token}#view=film")
    assert page.title() == "script ran"


def test_the_token_leaves_the_address_and_the_cookie_is_not_for_scripts(page, shared_studio):
    enter(page, shared_studio)
    assert page.url == f"http://{shared_studio.host}/#view=film"
    assert page.evaluate("document.cookie") == ""
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["expires"]) == (True, "Strict", -1)


def test_only_the_studios_own_files_run_and_nothing_is_fetched_from_elsewhere(page, shared_studio, elsewhere):
    enter(page, shared_studio)
    page.click("#link")
    assert page.title() == "script ran"
    assert page.evaluate("window.refused")
    other = f"http://127.0.0.1:{elsewhere.port}"
    assert page.evaluate(f"fetch('{other}/').then(() => 'sent', () => 'refused')") == "refused"
    drawn = "new Promise((done) => {{ const image = new Image(); image.onerror = () => done('refused'); {0} }})"
    assert page.evaluate(drawn.format(f"image.src = '{other}/x.png'; document.body.append(image);")) == "refused"
    assert elsewhere.seen == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_of_another_server_gets_nothing(page, shared_studio, elsewhere, host):
    """On 127.0.0.1 it is of the same site, and the browser sends our cookie along with its requests."""
    enter(page, shared_studio)
    page.goto(f"http://{host}:{elsewhere.port}/")
    page.wait_for_function("Object.keys(told).length === 4")
    told = page.evaluate("told")
    assert told["socket"] == told["list"] == "refused"
    assert told["blind"] in ("refused", "opaque")
    assert page.title() == "elsewhere"
    assert not page.evaluate("'entered' in window")
    (frame,) = (frame for frame in page.frames if frame is not page.main_frame)
    assert frame.title() != "script ran"


def test_the_attack_would_work_without_the_guard(page, shared_studio, elsewhere, monkeypatch):
    """Planted: the same page gets in where nothing is refused."""
    monkeypatch.setattr("opsin.studio.security.Guard._stop", lambda *_: None)
    page.goto(f"http://127.0.0.1:{elsewhere.port}/")
    page.wait_for_function("Object.keys(told).length === 4")
    assert page.evaluate("told.socket") == "open"


@pytest.mark.parametrize("link", ["#token", "#plain"])
def test_a_link_on_another_sites_page_leads_in_who_may_enter(page, shared_studio, elsewhere, link):
    """A cookie of SameSite=Strict does not come along with such a link."""
    if link == "#plain":
        enter(page, shared_studio)
    page.goto(f"http://localhost:{elsewhere.port}/")
    page.click(link)
    page.wait_for_function("document.title === 'script ran'")
    assert "token" not in page.url


def test_a_link_leads_nobody_else_in(page, shared_studio, elsewhere):
    page.goto(f"http://localhost:{elsewhere.port}/")
    page.click("#plain")
    page.wait_for_url("**/?")
    assert page.title() == "opsin studio"
    assert "printed last in the terminal" in page.inner_text("body")


def test_another_name_that_leads_here_is_refused(page, shared_studio):
    """DNS rebinding: the name is of another site, the address is ours."""
    answer = page.goto(f"http://rebound.example:{shared_studio.port}/?token={shared_studio.session.token}")
    assert answer.status == 400
    assert page.context.cookies() == []
