"""Who is let in: every door, with each thing wrong by itself."""

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from opsin.studio.security import Guard, content_policy, hosts

DOORS = (
    "/",
    "/api/subjects",
    "/static/a.js",
    "/static/none.js",
    "/nothing",
    "/openapi.json",
    "/docs",
    "/ws",
    "//",
    "/?x=1",
)


@pytest.mark.parametrize("path", DOORS)
def test_no_door_opens_without_the_cookie(shared_studio, path):
    status, headers, body = shared_studio.get(path, cookie=False)
    assert status == 403
    assert b"digits" not in body
    assert headers["content-security-policy"] == content_policy(shared_studio.port)


@pytest.mark.parametrize("cookie", ["", "x", "a" * 43, "é", '"', "opsin_studio_1=x"])
def test_a_wrong_cookie_is_none(shared_studio, cookie):
    name = shared_studio.session.cookie_name
    assert shared_studio.get("/api/subjects", cookie=False, Cookie=f"{name}={cookie}".encode())[0] == 403
    assert shared_studio.get("/api/subjects", cookie=False, Cookie=cookie.encode())[0] == 403


def test_the_cookie_is_found_among_those_of_other_servers(shared_studio):
    for others in ("a=1; {}", "{}; b", 'bad{{}}=[x]; {}; c="d', "x=é; {}"):
        status, _, _ = shared_studio.get("/", cookie=False, Cookie=others.format(shared_studio.cookie).encode())
        assert status == 200


def test_the_token_is_traded_for_the_cookie_and_leaves_the_address(shared_studio):
    token = shared_studio.session.token
    status, headers, _ = shared_studio.get(f"/?token={token}&subject=a%20b&view=film", cookie=False)
    assert status == 303
    assert headers["location"] == "/?subject=a+b&view=film"
    name, *marks = headers["set-cookie"].split("; ")
    assert name == shared_studio.cookie
    assert name.startswith(f"opsin_studio_{shared_studio.port}=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} == set(marks)
    assert shared_studio.get(f"/?token={token}", cookie=False)[1]["location"] == "/"
    assert shared_studio.get("/", cookie=False, Cookie=name)[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/?token=", "/?token=wrong", "/?token={0}x", "/?token={0}&token={0}", "/api/subjects?token={0}",
     "/static/a.js?token={0}", "/?Token={0}", "/?token=%ff%00"],
)  # fmt: skip
def test_only_the_whole_token_at_the_front_door_opens(shared_studio, path):
    status, headers, _ = shared_studio.get(path.format(shared_studio.session.token), cookie=False)
    assert status == 403
    assert "set-cookie" not in headers


def test_an_old_address_leads_on_who_is_in_already(shared_studio):
    status, headers, _ = shared_studio.get("/?token=of-yesterday&view=film")
    assert (status, headers["location"]) == (303, "/?view=film")
    assert "set-cookie" not in headers


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{0}", "127.0.0.1", "localhost", "127.0.0.1:1", "127.0.0.1.evil.example:{0}",
     "127.0.0.1:{0}.evil.example", "127.0.0.1:{0}@evil", "0.0.0.0:{0}", "[::1]:{0}", "127.1:{0}", "2130706433:{0}", ""],
)  # fmt: skip
def test_other_names_than_ours_are_refused(shared_studio, host):
    assert shared_studio.get("/", Host=host.format(shared_studio.port))[0] == 400


def test_localhost_is_a_name_of_ours(shared_studio):
    assert shared_studio.get("/", Host=f"localhost:{shared_studio.port}")[0] == 200


def test_two_hosts_are_refused(shared_studio):
    request = (
        f"GET / HTTP/1.1\r\nHost: {shared_studio.host}\r\nHost: evil.example\r\nCookie: {shared_studio.cookie}\r\n\r\n"
    )
    assert b" 400 " in raw(shared_studio, request).split(b"\r\n")[0]


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40))
@settings(max_examples=200, deadline=None)
def test_no_text_but_the_names_themselves_passes_as_a_host(text):
    guard = Guard(None, None, 8470)  # type: ignore[arg-type] (neither is reached)
    scope = {"type": "http", "path": "/", "method": "GET", "query_string": b"", "headers": [(b"host", text.encode())]}
    if text.lower() not in hosts(8470):
        assert guard._stop(scope).status == 400


@pytest.mark.parametrize(
    "origin",
    ["null", "http://evil.example", "https://{0}", "http://{0}/", "http://localhost:{1}", "http://127.0.0.1",
     "http://127.0.0.1:1", "HTTP://{0}x", "file://", ""],
)  # fmt: skip
def test_another_origin_is_refused_on_both_protocols(shared_studio, origin):
    origin = origin.format(shared_studio.host, shared_studio.port)
    assert shared_studio.get("/api/subjects", Origin=origin)[0] == 403
    assert refusal(shared_studio, origin=origin) == 403


def test_our_own_origin_passes(shared_studio):
    assert shared_studio.get("/api/subjects", Origin=f"http://{shared_studio.host}")[0] == 200
    assert refusal(shared_studio, origin=f"http://{shared_studio.host}") is None


def test_a_socket_needs_everything(shared_studio):
    good = f"http://{shared_studio.host}"
    assert refusal(shared_studio, origin=None) == 403
    assert refusal(shared_studio, origin=good, cookie="") == 403
    assert refusal(shared_studio, origin=good, cookie=shared_studio.cookie[:-1]) == 403
    assert refusal(shared_studio, origin=good, path=f"/ws?token={shared_studio.session.token}", cookie="") == 403
    assert refusal(shared_studio, origin=good, Host="evil.example") == 400
    assert refusal(shared_studio, origin=good, path="/other") == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "strange"])
def test_pages_of_other_sites_and_ports_get_nothing_but_the_front_page_as_a_link(shared_studio, site):
    marks = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "script"}
    assert shared_studio.get("/static/a.js", **marks)[0] == 403
    assert shared_studio.get("/", **marks)[0] == 403
    frame = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}
    assert shared_studio.get("/", **frame)[0] == 403
    link = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert shared_studio.get("/", **link)[0] == 200
    assert shared_studio.get("/api/subjects", **link)[0] == 403


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_is_changed_over_http(shared_studio, method):
    assert shared_studio.get("/api/subjects", method=method)[0] == 405


def test_a_body_is_refused_before_it_is_read(shared_studio):
    head = f"GET / HTTP/1.1\r\nHost: {shared_studio.host}\r\nCookie: {shared_studio.cookie}\r\n"
    for line in ("Content-Length: 99999999999", "Transfer-Encoding: chunked"):
        assert b" 413 " in raw(shared_studio, f"{head}{line}\r\n\r\n").split(b"\r\n")[0]


def test_headers_of_every_answer(shared_studio):
    for path, cookie in (("/", True), ("/static/a.js", True), ("/nothing", True), ("/", False)):
        _, headers, _ = shared_studio.get(path, cookie=cookie)
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in policy["script-src"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers


def test_a_refused_link_asks_again_by_itself_once(shared_studio):
    marks = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert b"http-equiv" in shared_studio.get("/", cookie=False, Sec_Fetch_Site="cross-site", **marks)[2]
    assert b"http-equiv" not in shared_studio.get("/", cookie=False, Sec_Fetch_Site="same-origin", **marks)[2]


def test_the_port_of_http_itself_is_left_out():
    assert "localhost" in hosts(80)
    assert hosts(8470) == ("127.0.0.1:8470", "localhost:8470")


def raw(studio, request: str) -> bytes:
    with socket.create_connection(("127.0.0.1", studio.port), 20) as connection:
        connection.sendall(request.encode())
        return connection.recv(65536)


def refusal(studio, origin, path="/ws", cookie=None, **headers):
    """The status with which a socket is refused, or None."""
    given = {"Cookie": studio.cookie if cookie is None else cookie, **headers}
    try:
        with connect(
            f"ws://{studio.host}{path}", origin=origin, additional_headers=given, proxy=None, open_timeout=20
        ) as opened:
            assert opened.response is not None
            return None
    except InvalidStatus as error:
        return error.response.status_code
