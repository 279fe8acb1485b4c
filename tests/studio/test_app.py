"""The routes."""

import json

import pytest


def test_the_page_and_its_files(shared_studio):
    status, headers, body = shared_studio.get("/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"<title>opsin" in body
    for path in ("/static/a.js", "/static/views/flow.js"):
        status, headers, _ = shared_studio.get(path)
        assert (status, headers["content-type"]) == (200, "text/javascript; charset=utf-8")


@pytest.mark.parametrize(
    "path",
    ["secret.txt", "none.js", "views", "", ".", "..", "../keys/x.key", "%2e%2e/%2e%2e/etc/passwd", "..%2fa.js/../../x",
     "//etc/passwd", "%2fetc%2fpasswd", "a.js%00.png", "views/../../static.js", "..\\a.js", "C:\\x.js"],
)  # fmt: skip
def test_nothing_else_is_served(shared_studio, path):
    assert shared_studio.get(f"/static/{path}")[0] == 404


def test_a_link_out_of_the_static_folder_is_not_served(shared_studio, page_folder, tmp_path):
    (tmp_path / "secret.js").write_text("secret")
    (page_folder / "link.js").symlink_to(tmp_path / "secret.js")
    assert shared_studio.get("/static/link.js")[0] == 404


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/studio.html", "/api", "/ws"])
def test_there_are_no_other_routes(shared_studio, path):
    assert shared_studio.get(path)[0] == 404


def test_the_list_of_what_there_is(shared_studio):
    status, headers, body = shared_studio.get("/api/subjects")
    assert (status, headers["content-type"]) == (200, "application/json")
    (entry,) = json.loads(body)["subjects"]
    assert {key: entry[key] for key in ("name", "kind", "status")} == {
        "name": "digits",
        "kind": "run",
        "status": "finished",
    }
    assert set(entry) == {"id", "name", "kind", "status", "changed"}
