"""`opsin studio`, as a process of its own whose output is piped."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import urlsplit

import psutil
import pytest
from websockets.sync.client import connect

from opsin.cli import main
from opsin.reporting.views import wire

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/\?token=[\w-]{43}\n")
PROGRAM = [sys.executable, "-c", "from opsin.cli import main; raise SystemExit(main())", "studio"]

NET = """
from torch import nn

class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.fc = nn.Linear(2, 3)
    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder to work in, and one for what a studio keeps."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    return tmp_path / "home"


@contextmanager
def started(*arguments):
    """The process and the first line that it prints."""
    command = [*PROGRAM, "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            process.kill()


def enter(line):
    """Trade the token; returns host and cookie."""
    address = urlsplit(line.strip())
    client = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    client.request("GET", f"/?{address.query}")
    answer = client.getresponse()
    assert answer.status == 303
    client.close()
    return address.netloc, answer.headers["set-cookie"].partition(";")[0]


def ask(host, cookie, question, **args):
    """The first subject's answer."""
    client = http.client.HTTPConnection(host, timeout=30)
    client.request("GET", "/api/subjects", headers={"Cookie": cookie})
    id = json.loads(client.getresponse().read())["subjects"][0]["id"]
    client.close()
    opened = connect(f"ws://{host}/ws?subject={id}", origin=f"http://{host}", additional_headers={"Cookie": cookie})
    with opened as page:
        page.send(wire.encode({"kind": "ask", "id": "x", "question": question, "args": args}, []))
        while (content := wire.decode(page.recv(timeout=120))[0])["kind"] == "progress":
            pass
        return content


def test_the_address_comes_at_once_also_where_there_is_no_run(home):
    with started() as (process, line):
        assert ADDRESS.fullmatch(line)
        host, cookie = enter(line)
        client = http.client.HTTPConnection(host)
        client.request("GET", "/api/subjects", headers={"Cookie": cookie})
        assert json.loads(client.getresponse().read()) == {"subjects": []}
        client.close()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
        assert (process.returncode, rest, errors) == (0, "", "")
    assert list(home.iterdir()) == []


def test_a_class_of_ones_own_is_opened_answers_and_ends_with_its_workers(home):
    import torch
    from safetensors.torch import save_file

    (home / "my.py").write_text(NET)
    tensors = {"conv.weight": torch.ones(2, 1, 3, 3), "conv.bias": torch.zeros(2)}
    save_file(tensors | {"fc.weight": torch.ones(3, 2), "fc.bias": torch.zeros(3)}, home / "cnn.safetensors")
    with started("my.py:CNN", "--weights", "cnn.safetensors", "--size", "8") as (process, line):
        content = ask(*enter(line), "subject")
        assert content["answer"]["parameters"] == 29
        assert content["answer"]["input"]["height"] == 8
        workers = psutil.Process(process.pid).children(recursive=True)
        assert workers
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")
        assert psutil.wait_procs(workers, timeout=10)[1] == []


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL here")
def test_workers_end_also_where_the_studio_is_killed(home):
    with started() as (process, line):
        enter(line)
        workers = psutil.Process(process.pid).children(recursive=True)
        assert workers
        process.kill()
        process.wait()
        assert psutil.wait_procs(workers, timeout=60)[1] == []


def test_json_is_one_document_and_a_port_in_use_is_one_line(home, capsys):
    (home / "runs").mkdir()
    with started("runs", "--json") as (process, first):
        assert process.stdout is not None
        document = json.loads(first + "".join(process.stdout.readline() for _ in range(4)))
        assert document["folder"] == str(home / "runs")
        assert ADDRESS.fullmatch(document["address"] + "\n")[1] == str(document["port"])
        assert main(["studio", "runs", "--port", str(document["port"])]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert re.fullmatch(rf"opsin: port {document['port']} cannot be listened on \(.*\); end what .*\n", output.err)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["runs", "--weights", "x.pth"], "--weights has no effect on runs"),
        (["--size", "28"], "--size has no effect on runs"),
        (["runs", "--channels", "1"], "--channels has no effect on runs"),
        (["runs", "--code", "my.py"], "--code my.py is no class; expected FILE.py:CLASS"),
        (["efficientnet_lite0", "--code", "my.py:CNN"], "--code my.py:CNN has no effect"),
        (["runs", "--port", "70000"], "port 70000 cannot be listened on"),
        (["runs", "--port", "x"], "x"),
    ],
)
def test_misuse_is_one_line_and_exit_2(home, tokens, message, capsys):
    (home / "runs").mkdir()
    assert main(["studio", *tokens]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert message in output.err
    assert output.err.count("\n") == 1


def test_what_cannot_be_opened_is_one_line_and_no_address(home, capfd):
    assert main(["studio", "nothing", "--port", "0"]) == 2
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err == "opsin: there is no run, file or network nothing; give the path of a run folder\n"
