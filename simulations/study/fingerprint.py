"""What the numbers of a study depend on: source text, constants, versions."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from importlib import metadata
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import pandas as pd

import trueness

from .design import Design

_PACKAGES = ("numpy", "scipy", "scikit-learn")
_PACKAGE = Path(inspect.getfile(trueness)).parent
_SIMULATIONS = Path(__file__).parents[1]


def fingerprint(design: Design, entropy: int, version: str | None) -> dict[str, str]:
    """Return what the numbers depend on, by name; cells and replicates have their own identity.

    Covered are the source text of the generator and the methods, of the functions, classes and
    constants that they use in their file, and of the modules that they import from its folder; the
    parameters of estimators; the random state and the chosen estimands; the versions of the
    packages behind them; and the user's own ``version``.
    """
    key = {"random_state": str(entropy), "version": repr(version)}
    key["estimands"] = ", ".join(sorted(design.estimands)) or "all"
    packages = package_versions()
    roles = {"generate": design.generate}
    roles |= {f"method {name!r}": method for name, method in design.methods.items()}
    for role, thing in roles.items():
        source = Source(thing)
        key[role] = source.digest()
        key |= {f"module {name}": _digest(text) for name, text in source.modules.items()}
        packages |= source.packages
    return key | {f"package {name}": text for name, text in sorted(packages.items())}


def package_versions() -> dict[str, str]:
    """Return the versions that every study depends on."""
    return {name: metadata.version(name) for name in _PACKAGES} | {"trueness": _own_version()}


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Say in words where two fingerprints differ."""
    lines = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if before is None or after is None:
            lines.append(f"{name}: only in {'this study' if before is None else 'that directory'}")
        elif name.startswith(("generate", "method", "module")):
            lines.append(f"{name}: source text, constants or parameters have changed")
        else:
            lines.append(f"{name}: {before} there, {after} here")
    return lines


def local_modules(design: Design) -> list[ModuleType]:
    """Return the loaded modules of the study's folder, which workers may not be able to import."""
    files: set[Path] = set()
    for thing in (design.generate, *design.methods.values()):
        files |= Source(thing).files
    names = {file.name for file in files}
    return [
        module
        for name, module in list(sys.modules.items())
        if name == getattr(module, "__name__", None) != "__main__"
        and (path := Path(getattr(module, "__file__", None) or "")).name in names
        and path.resolve() in files
    ]


class Source:
    """The text behind a function or an estimator.

    Attributes
    ----------
    parts : list of str
        Source texts and constants, in the order in which they are met.
    modules : dict of str to str
        Texts of the modules imported from the study's folder, by their path in it.
    packages : dict of str to str
        Versions of the packages that the rest comes from.
    files : set of Path
        Files of the study's folder among them.
    """

    def __init__(self, thing: Any) -> None:
        self.parts: list[str] = []
        self.modules: dict[str, str] = {}
        self.packages: dict[str, str] = {}
        self.files: set[Path] = set()
        self._seen: dict[int, Any] = {}  # keeps what it has seen alive, so that ids stay unique
        self._root = _definition(thing)
        self._main = _file_of(self._root)
        if self._main is not None and _is_installed(self._main):
            self._main = None
        self._visit(thing)

    def digest(self) -> str:
        """Return the hash of the parts; modules and packages are told apart by name."""
        return _digest("\0".join(self.parts))

    def _visit(self, thing: Any) -> None:
        if isinstance(thing, str | bytes | int | float | complex | type(None) | np.generic):
            self.parts.append(f"{type(thing).__name__} {thing!r}")
            return
        if id(thing) in self._seen:
            return
        self._seen[id(thing)] = thing
        for kind, visit in self._visitors():
            if isinstance(thing, kind):
                visit(thing)
                return
        self._visit_instance(thing)

    def _visitors(self) -> Iterator[tuple[Any, Callable[[Any], None]]]:
        yield ModuleType, self._visit_module
        yield FunctionType, self._visit_function
        yield type, self._visit_class
        yield MethodType, lambda bound: self._visit_all([bound.__func__, bound.__self__])
        yield partial, lambda part: self._visit_all([part.func, part.args, part.keywords])
        yield (list, tuple), self._visit_all
        yield (set, frozenset), lambda some: self._visit_all(sorted(some, key=repr))
        yield Mapping, lambda some: self._visit_all([x for item in some.items() for x in item])
        yield np.ndarray, self._visit_array
        yield (pd.DataFrame, pd.Series, pd.Index), self._visit_frame

    def _visit_all(self, things: Any) -> None:
        self.parts.append(f"{type(things).__name__} of {len(things)}")
        for thing in things:
            self._visit(thing)

    def _visit_array(self, array: Any) -> None:
        if array.dtype.hasobject:
            self._visit(array.tolist())
        else:
            content = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
            self.parts.append(f"array {array.shape} {array.dtype} {content}")

    def _visit_frame(self, frame: Any) -> None:
        names = list(frame.columns) if isinstance(frame, pd.DataFrame) else [frame.name]
        self._visit(names)
        self._visit_array(pd.util.hash_pandas_object(frame).to_numpy())

    def _visit_module(self, module: ModuleType) -> None:
        file = _file_of(module)
        if self._is_local(file):
            self._add_file(file)
        else:
            self._add_package(module.__name__)

    def _visit_function(self, function: FunctionType) -> None:
        if self._enter(function):
            self._visit_all([function.__defaults__ or (), function.__kwdefaults__ or {}])
            self._visit_references(function)

    def _visit_class(self, kind: type) -> None:
        if self._enter(kind):
            self._visit_all(list(kind.__bases__))
            for member in vars(kind).values():
                member = getattr(member, "__func__", getattr(member, "fget", member))
                if isinstance(member, FunctionType):
                    self._visit_references(member)

    def _visit_instance(self, thing: Any) -> None:
        self.parts.append(getattr(thing, "__name__", ""))
        self._visit(type(thing))
        if hasattr(thing, "get_params"):
            self._visit(thing.get_params(deep=False))
        else:
            self._visit(getattr(thing, "__dict__", {}))

    def _enter(self, thing: Any) -> bool:
        """Add the text of a function or class, and say whether what it uses counts too.

        What stands in the study itself counts by its text, wherever it comes from; so does all
        that is typed into a notebook.
        """
        file = _file_of(thing)
        typed = file is None and thing.__module__ == "__main__"
        if thing is self._root or typed or (file is not None and file == self._main):
            self.parts.append(_text(thing))
            if self._main is not None and file == self._main:
                self.files.add(self._main)
            if file is None or file == self._main:
                return True
        else:
            self.parts.append(f"{thing.__module__.split('.')[-1]}.{thing.__qualname__}")
        if self._is_local(file):
            self._add_file(file)
        else:
            self._add_package(thing.__module__)
        return False

    def _visit_references(self, function: FunctionType) -> None:
        """Visit the globals and the outer variables that a function uses."""
        names = sorted(set(_names(function.__code__)))
        for name in names:
            if name in function.__globals__:
                self.parts.append(name)
                self._visit(function.__globals__[name])
            elif self._main is not None:  # imported inside the function
                self._add_if_there(self._main.parent, name.split("."))
        for cell in function.__closure__ or ():
            self._visit(_contents(cell))

    # ------------------------------------------------------------------------------- modules

    def _is_local(self, file: Path | None) -> bool:
        if file is None or self._main is None or _is_installed(file):
            return False
        return file.is_relative_to(self._main.parent)

    def _add_file(self, file: Path | None) -> None:
        """Add a module of the study's folder, and those that it imports from there."""
        if file is None or self._main is None or file in self.files or file == self._main:
            return
        self.files.add(file)
        text = file.read_text(encoding="utf-8")
        self.modules[file.relative_to(self._main.parent).as_posix()] = text
        for folder, names in _imports(text, file, self._main.parent):
            self._add_if_there(folder, names)

    def _add_if_there(self, folder: Path, names: list[str]) -> None:
        for n in range(1, len(names) + 1):
            base = folder.joinpath(*names[:n])
            for file in (base.with_name(base.name + ".py"), base / "__init__.py"):
                if file.is_file() and self._is_local(file):
                    self._add_file(file)

    def _add_package(self, module: str) -> None:
        name = module.split(".")[0]
        version = getattr(sys.modules.get(name), "__version__", None)
        if isinstance(version, str) and name not in ("trueness", "sklearn"):
            self.packages[name] = version


def _definition(thing: Any) -> Any:
    """Return the function or class that stands behind a callable or an estimator."""
    while isinstance(thing, partial | MethodType):
        thing = thing.func if isinstance(thing, partial) else thing.__func__
    return thing if isinstance(thing, FunctionType | type) else type(thing)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _text(thing: Any) -> str:
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):  # typed into an interpreter: what it was compiled to
        members = [thing] if isinstance(thing, FunctionType) else list(vars(thing).values())
        codes = [_bytecode(x.__code__) for x in members if isinstance(x, FunctionType)]
        return "\n".join([thing.__qualname__, *codes])


def _bytecode(code: CodeType) -> str:
    inner = [_bytecode(x) if isinstance(x, CodeType) else repr(x) for x in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {inner}"


def _file_of(thing: Any) -> Path | None:
    try:
        file = inspect.getsourcefile(thing)
    except TypeError:
        return None
    path = None if file is None else Path(file)
    return path.resolve() if path is not None and path.is_file() else None


def _is_installed(file: Path) -> bool:
    paths = sysconfig.get_paths()
    folders = [Path(paths[name]).resolve() for name in ("stdlib", "purelib", "platlib")]
    return any(file.is_relative_to(folder) for folder in (*folders, _PACKAGE, _SIMULATIONS))


def _imports(text: str, file: Path, root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield the folder to start from and the dotted names of every import of a module."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((root, alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            folder = file.parents[node.level - 1] if node.level else root
            base = (node.module or "").split(".") if node.module else []
            yield from ((folder, [*base, alias.name]) for alias in node.names)


@lru_cache
def _own_version() -> str:
    """Return the version of this package; between releases, with a hash of its sources.

    As they were when they were first asked for, which is nearer to what is imported than what
    somebody may have written since.
    """
    if ".dev" not in trueness.__version__:
        return trueness.__version__
    files = sorted({*_PACKAGE.rglob("*.py"), *_SIMULATIONS.rglob("*.py")})
    text = "\0".join(file.read_text(encoding="utf-8") for file in files)
    return f"{trueness.__version__}+{_digest(text)[:12]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:40]
