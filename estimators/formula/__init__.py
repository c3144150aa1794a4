"""Formulas: from ``y ~ x1 * C(g) | firm + year`` and a frame to arrays and names."""

from .design import Designer, Evaluated
from .parsing import FormulaColumns, ParsedFormula, parse
from .rows import CompleteRows, FixedEffectCodes, complete_rows, fixed_effect_codes

__all__ = [
    "CompleteRows",
    "Designer",
    "Evaluated",
    "FixedEffectCodes",
    "FormulaColumns",
    "ParsedFormula",
    "complete_rows",
    "fixed_effect_codes",
    "parse",
]
