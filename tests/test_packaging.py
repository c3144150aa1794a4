"""What is built, what it imports, and that the papers around the code agree with it."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import trueness

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDERS = PROJECT["tool"]["setuptools"]["package-dir"]
IMPORT_ALL = """
import importlib, pkgutil
import trueness, trueness.simulations
for package in (trueness, trueness.simulations):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


def is_source(path):
    return path.is_file() and "__pycache__" not in path.parts


def source_files():
    """Return the files of the packages by their names in the wheel."""
    files = {}
    for package, folder in FOLDERS.items():
        target = Path(package.replace(".", "/"))
        for path in filter(is_source, (ROOT / folder).rglob("*")):
            files[(target / path.relative_to(ROOT / folder)).as_posix()] = path
    return files


def python(code, cwd):
    """Run code in a new interpreter and return what it prints."""
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


# ------------------------------------------------------------------------------------- building


def test_the_package_list_equals_the_folders():
    packages = {
        name.removesuffix("/__init__.py").replace("/", ".")
        for name in source_files()
        if name.endswith("/__init__.py")
    }
    assert packages == set(PROJECT["tool"]["setuptools"]["packages"])


def test_every_python_file_lies_in_a_listed_package():
    packages = PROJECT["tool"]["setuptools"]["packages"]
    parents = {str(Path(name).parent).replace("/", ".") for name in source_files()}
    assert parents <= set(packages)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy of the sources, offline, with the setuptools installed here."""
    copy = tmp_path_factory.mktemp("build")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for path in source_files().values():
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    python("from setuptools.build_meta import build_wheel; build_wheel('dist')", cwd=copy)
    (built,) = (copy / "dist").glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_sources_and_nothing_else(wheel):
    contents = {name: data for name, data in wheel.items() if ".dist-info/" not in name}
    assert contents == {name: path.read_bytes() for name, path in source_files().items()}


def test_the_wheel_carries_licence_and_readme(wheel):
    def only(ending):
        (name,) = (name for name in wheel if name.endswith(ending))
        return wheel[name].decode()

    assert only(".dist-info/licenses/LICENSE") == (ROOT / "LICENSE").read_text(encoding="utf-8")
    metadata = only(".dist-info/METADATA")
    assert "License-Expression: BSD-3-Clause" in metadata
    assert "# trueness" in metadata


# ------------------------------------------------------------------------------------ importing


def test_the_folders_are_never_imported_by_their_own_names():
    # In the root the folders could be imported, so that a wrong import would work and be seen.
    loaded = python(IMPORT_ALL + "import sys; print(*sys.modules)", cwd=ROOT).split()
    assert "trueness.simulations.dsl" in loaded
    wrong = {name for name in loaded if name.split(".")[0] in FOLDERS.values()}
    assert not wrong


@pytest.mark.parametrize(
    "module", ["trueness", "trueness.dsl", "trueness.feedback", "trueness.tables"]
)
def test_importing_loads_nothing_heavy(module, tmp_path):
    loaded = python(f"import {module}, sys; print(*sys.modules)", cwd=tmp_path).split()
    assert module in loaded
    heavy = {"statsmodels", "lifelines", "formulaic", "matplotlib", "numba"}
    assert not heavy & {name.split(".")[0] for name in loaded}


def imported_packages(path):
    """Return the top-level packages that a file imports absolutely, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


def test_every_import_is_a_declared_dependency():
    declared = {re.split(r"[<>=\[ ]", item)[0] for item in PROJECT["project"]["dependencies"]}
    allowed = {"sklearn" if name == "scikit-learn" else name for name in declared}
    allowed |= {"trueness", *sys.stdlib_module_names}
    # What extras bring is imported in one place each, which does without it.
    optional = {"trueness/feedback/numerics/kernels.py": {"numba"}}
    for name, path in source_files().items():
        if path.suffix == ".py":
            assert set(imported_packages(path)) <= allowed | optional.get(name, set()), name


# -------------------------------------------------------------------------------- around the code


def test_the_version_is_the_same_everywhere():
    version = PROJECT["project"]["version"]
    assert trueness.__version__ == version
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, flags=re.MULTILINE)[1] == version
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(.+?)\] - (.+)$", changes, flags=re.MULTILINE)
    assert newest[1] == version.split(".dev")[0]
    assert (newest[2] == "unreleased") == (".dev" in version)


def mapped_folders():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `([^`]+)/` \|", text, flags=re.MULTILINE))


def test_the_map_of_folders_agrees_with_the_tree():
    packages = {path.parent for path in source_files().values() if path.name == "__init__.py"}
    needed = {path.relative_to(ROOT).as_posix() for path in packages} | {"tests", "vignettes"}
    assert needed <= mapped_folders()
    assert all((ROOT / folder).is_dir() for folder in mapped_folders())


def test_every_public_name_of_the_estimators_is_in_the_reference():
    listed = (ROOT / "vignettes" / "api.rst").read_text(encoding="utf-8").split()
    tree = ast.parse((ROOT / FOLDERS["trueness"] / "dsl" / "__init__.py").read_text("utf-8"))
    (names,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
    )
    missing = [name for name in names if name not in listed and f"dsl.{name}" not in listed]
    assert not missing
