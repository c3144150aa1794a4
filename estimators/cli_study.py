"""``python -m trueness study STUDY.py --out DIR``: a simulation study from a file."""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

_BACKENDS = ("loky", "threading", "dask", "ray")


def add_parser(commands: Any) -> None:
    """Describe the subcommand."""
    study = commands.add_parser("study", help="simulation study: run, resume, summarise")
    study.add_argument(
        "file", type=Path, metavar="STUDY.py", help="defines a SimulationStudy named study"
    )
    study.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="checkpoints, resumed"
    )
    study.add_argument("--replicates", type=int, help="of each cell, in place of the file's")
    study.add_argument("--jobs", type=int, help="workers, -1 for all processors")
    study.add_argument("--backend", choices=_BACKENDS, default="loky")
    study.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask or Ray cluster")
    study.add_argument(
        "--until", metavar="MEASURE=ERROR", help="stop cells there, as coverage=0.005"
    )
    study.add_argument(
        "--part", metavar="I/N", help="only the I-th of N parts of the cells, for array jobs"
    )
    study.add_argument("--quiet", action="store_true", help="no protocol and no progress")


def run(options: argparse.Namespace) -> None:
    """Run the study of a file and print its protocol and summary.

    Raises
    ------
    ValueError
        If the file has no study, or an option cannot be read.
    """
    # Estimators do not need simulations; only this command does.
    from trueness.simulations.performance import performance

    study = load_study(options.file)
    until = None if options.until is None else _measure(options.until)
    if options.replicates is not None:
        study.n_replicates = options.replicates
    if options.part is not None:
        study = study.part(*_fraction(options.part))
    if not options.quiet:
        print(study.protocol(), end="\n\n", flush=True)
    try:
        frame = study.run(
            options.out,
            n_jobs=options.jobs,
            backend=options.backend,
            progress=not options.quiet,
            until=until,
            scheduler=options.scheduler,
        )
    except (ImportError, TypeError) as error:
        raise ValueError(str(error)) from error
    print(performance(frame))
    print(f"Rows: {options.out / 'shards'} (Parquet)")


def load_study(path: Path) -> Any:
    """Run a file and return the study that it defines.

    Parameters
    ----------
    path : path
        A Python file with a `SimulationStudy` in a variable named ``study``, or in the only
        variable that holds one.

    Raises
    ------
    ValueError
        If there is no such file or no such study in it.
    """
    from trueness.simulations.study import SimulationStudy

    if not path.is_file():
        raise ValueError(f"{path}: no such file.")
    # Files beside it can be imported, as when it is run by itself.
    sys.path.insert(0, str(path.resolve().parent))
    module = _imported(path)
    studies = {k: v for k, v in vars(module).items() if isinstance(v, SimulationStudy)}
    if "study" in studies:
        return studies["study"]
    if len(studies) == 1:
        return next(iter(studies.values()))
    raise ValueError(
        f"{path} defines {len(studies) or 'no'} "
        f"{'studies, none of them' if studies else 'SimulationStudy'} named study; write "
        "study = SimulationStudy(...) at the top level of the file."
    )


def _imported(path: Path) -> Any:
    name = "_study_" + re.sub(r"\W", "_", path.stem)
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise ValueError(f"{path}: a Python file (.py) is needed.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where inspect looks for the source of classes
    spec.loader.exec_module(module)
    return module


def _measure(text: str) -> dict[str, float]:
    match = re.fullmatch(r"(\w+)=([0-9.eE-]+)", text)
    if match is None:
        raise ValueError(
            f"--until {text}: write a measure and its Monte Carlo error, coverage=0.005"
        )
    return {match[1]: float(match[2])}


def _fraction(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"--part {text}: write the number of the part and of all, as 3/20.")
    return int(match[1]), int(match[2])
