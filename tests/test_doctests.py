"""The examples in the docstrings run and give what they show."""

import doctest
import importlib
import pkgutil

import pytest

import trueness
import trueness.simulations

# __main__ runs on import of its name; the maker of the data needs a package that nobody else does.
SKIPPED = {"trueness.__main__", "trueness.datasets.make_sentiment"}


def module_names():
    """Return the dotted names of all modules, whichever folders the packages lie in."""
    names = set()
    for package in (trueness, trueness.simulations):
        names.add(package.__name__)
        found = pkgutil.walk_packages(package.__path__, package.__name__ + ".")
        names.update(module.name for module in found)
    return sorted(names - SKIPPED)


@pytest.mark.parametrize("name", module_names())
def test_examples(name):
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module)
    assert failed == 0


@pytest.mark.parametrize(
    "name", ["trueness.dsl.estimators.linear", "trueness.inference", "trueness.simulations.dsl"]
)
def test_examples_are_found(name):
    assert name in module_names()
    tests = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))
    assert sum(len(test.examples) for test in tests) > 0
