"""Every Python block in the README and the docs runs, and prints what the page says it prints."""

import contextlib
import doctest
import importlib.util
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NEEDS = {"jit.md": ("jax",), "backends.md": ("jax", "torch")}
BLOCK = re.compile(r"^```python\n(.*?)^```(?:\n+```text\n(.*?)^```)?", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_run(page, tmp_path, monkeypatch, request):
    for library in NEEDS.get(page.name, ()):
        request.getfixturevalue(library)
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    names = {"__name__": "__docs__"}  # the blocks of a page follow one another
    for block in BLOCK.finditer(text):
        code, expected = block.groups()
        line = text.count("\n", 0, block.start(1))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * line + code, str(page), "exec"), names)
        # As in doctest, `...` in the page stands for anything.
        same = doctest.OutputChecker().check_output(
            expected or printed.getvalue(), printed.getvalue(), doctest.ELLIPSIS
        )
        assert same, f"{page.name}:{line + 1}\n{code}\nprints:\n{printed.getvalue()}"


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}: missing"


def test_the_operator_table_is_that_of_the_registry():
    spec = importlib.util.spec_from_file_location("table", ROOT / "tools/make_operator_table.py")
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    written = (ROOT / "docs/operators.md").read_text(encoding="utf-8")
    assert written == table.page(), "run `python tools/make_operator_table.py`"
