"""What makes a study another one: its own text, what it uses, what it imports from its folder."""

import importlib.util
import subprocess
import sys
from functools import partial
from textwrap import dedent

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from trueness.simulations import make_egami2024
from trueness.simulations.study.design import Design
from trueness.simulations.study.fingerprint import differences, fingerprint

MAIN = """
    import helpers
    from pack.inner import shift
    import numpy as np

    SIZE = 10
    WEIGHTS = np.array([1.0, 2.0])
    UNUSED = 1

    def scaled(x):
        return x * SIZE

    class Kind:
        def apply(self, x):
            return scaled(x)

    def generate(n, random_state):
        return {"truth": {"a": helpers.double(n) + WEIGHTS.sum()}}

    def method(sample, random_state):
        from late import value
        return [{"term": "a", "estimate": Kind().apply(shift(value))}]

    def unrelated():
        return 1
"""
FILES = {
    "main.py": MAIN,
    "helpers.py": "import deep\ndef double(x):\n    return 2 * x\n",
    "deep.py": "DEPTH = 1\n",
    "late.py": "value = 3\n",
    "pack/__init__.py": "",
    "pack/inner.py": "from .sibling import THREE\ndef shift(x):\n    return x\n",
    "pack/sibling.py": "THREE = 3\n",
    "stranger.py": "x = 1\n",
}


def key_of(folder, monkeypatch, files):
    """Write files, import main.py afresh, and return the fingerprint of its study."""
    for name, text in files.items():
        target = folder / name
        target.parent.mkdir(exist_ok=True, parents=True)
        target.write_text(dedent(text))
    monkeypatch.syspath_prepend(folder)
    for name in [name.removesuffix(".py").replace("/", ".") for name in files] + ["pack"]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    spec = importlib.util.spec_from_file_location("main", folder / "main.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "main", module)
    spec.loader.exec_module(module)
    return fingerprint(Design(module.generate, {"it": module.method}), 0, None)


@pytest.fixture
def compare(tmp_path, monkeypatch):
    """Return what differs between the study above and one with other files."""

    def difference(name, old, new):
        one = key_of(tmp_path / "one", monkeypatch, FILES)
        assert old in FILES[name]
        changed = FILES | {name: FILES[name].replace(old, new)}
        other = key_of(tmp_path / "two", monkeypatch, changed)
        return [line.split(":")[0] for line in differences(one, other)]

    return difference


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("main.py", 'truth": {"a"', 'truth": {"b"', ["generate"]),
        ("main.py", "np.array([1.0", "np.array([1.5", ["generate"]),
        ("main.py", "SIZE = 10", "SIZE = 11", ["method 'it'"]),
        ("main.py", "x * SIZE", "x + SIZE", ["method 'it'"]),
        ("main.py", "return scaled(x)", "return x", ["method 'it'"]),
        ("main.py", "UNUSED = 1", "UNUSED = 2", []),
        ("main.py", "return 1", "return 2", []),
        ("helpers.py", "2 * x", "3 * x", ["module helpers.py"]),
        ("deep.py", "DEPTH = 1", "DEPTH = 2", ["module deep.py"]),
        ("late.py", "value = 3", "value = 4", ["module late.py"]),
        ("pack/inner.py", "return x", "return -x", ["module pack/inner.py"]),
        ("pack/sibling.py", "THREE = 3", "THREE = 4", ["module pack/sibling.py"]),
        ("stranger.py", "x = 1", "x = 2", []),
    ],
)
def test_a_change_is_seen_where_it_is_made(compare, name, old, new, expected):
    assert compare(name, old, new) == expected


def keys(**parts):
    def generate(random_state):
        return {}

    design = Design(parts.get("generate", generate), parts.get("methods", {"it": Ridge()}))
    return fingerprint(design, 0, None)


def test_closures_defaults_and_partials_count():
    def make(factor, default=1):
        def method(sample, random_state, default=default):
            return [{"term": "a", "estimate": factor}]

        return {"it": method}

    base = keys(methods=make(1.0))
    assert keys(methods=make(1.0)) == base
    assert differences(base, keys(methods=make(2.0)))
    assert differences(base, keys(methods=make(1.0, default=2)))
    cells = [partial(make_egami2024, n_rows=n) for n in (100, 200, 100)]
    first, other, again = (keys(generate=cell) for cell in cells)
    assert first == again
    assert [line.split(":")[0] for line in differences(first, other)] == ["generate"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Ridge(1.0), Ridge(2.0)),
        (Ridge(), Ridge(random_state=1)),
        (Ridge(np.array([1.0, 2.0])), Ridge(np.array([1.0, 3.0]))),
    ],
)
def test_parameters_of_estimators_count(one, other):
    assert keys(methods={"it": one}) == keys(methods={"it": one})
    assert differences(keys(methods={"it": one}), keys(methods={"it": other}))


def test_packages_behind_the_study_are_named():
    found = keys(generate=make_egami2024)
    names = {name for name in found if name.startswith("package ")}
    assert {"numpy", "scipy", "scikit-learn", "trueness"} <= {n.split(" ")[1] for n in names}
    # Not of a release: any change of the sources counts.
    assert "+" in found["package trueness"]


def test_a_fingerprint_is_the_same_in_another_process():
    script = """
        from trueness.simulations.study.design import Design
        from trueness.simulations.study.fingerprint import fingerprint
        from trueness.simulations import make_egami2024
        from study_designs import METHODS, draw
        print(fingerprint(Design(draw, METHODS), 0, None))
    """
    command = [sys.executable, "-c", dedent(script)]
    folder = __file__.rsplit("/", 2)[0]
    outputs = {
        subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout
        for _ in range(2)
    }
    assert len(outputs) == 1
    assert b"generate" in outputs.pop()
