"""A notebook in a real kernel: what its cells show, and that a view's questions are answered there."""

import pytest
from tests.conftest import missing

CELLS = [
    "import opsin\nfrom opsin.reporting.notebook.widget import View",
    "run = opsin.Run({run!r})\nrun",
    "run.scores",
    "view = opsin.show(run, 'film', 'why')\nview",
    # what the page would send, through the widget's own door
    "heard = []\nview.send = lambda content, buffers: heard.append((content, buffers))\n"
    "view._handle_custom_msg({{'kind': 'ask', 'id': 'q', 'question': 'subject', 'args': {{}}}}, [])\n"
    "content, _ = heard[0]\n"
    "print(content['kind'], content['id'], content['answer']['name'])",
]
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def outputs(recorded, tmp_path_factory):
    """The outputs of each cell."""
    try:
        import nbformat
        from nbclient import NotebookClient
    except ImportError:
        missing("nbclient")
    from tests.reporting.conftest import trained_run

    run = trained_run(tmp_path_factory.mktemp("notebook") / "<script>run", recorded)
    cells = [nbformat.v4.new_code_cell(cell.format(run=str(run.path))) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return [cell.outputs for cell in notebook.cells]


def test_a_run_is_shown_as_its_views_with_html_behind_them(outputs):
    (shown,) = outputs[1]
    assert shown.data[WIDGET]["model_id"]
    assert "<table>" in shown.data["text/html"]
    assert "&lt;script&gt;run" in shown.data["text/html"]
    assert shown.data["text/plain"].startswith("Run(")


def test_scores_are_a_table_and_a_line(outputs):
    (shown,) = outputs[2]
    assert WIDGET not in shown.data
    assert shown.data["text/plain"].startswith("Scores: accuracy")


def test_named_views_are_a_widget(outputs):
    (shown,) = outputs[3]
    assert WIDGET in shown.data


def test_questions_are_answered_in_the_kernel(outputs):
    assert outputs[4][0].text.strip() == "answer q <script>run"
