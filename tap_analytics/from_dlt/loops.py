"""Goes through loops round by round; where only running shows the rounds, once for all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tap_analytics.from_dlt.conditions import truth
from tap_analytics.from_dlt.operations import unknown
from tap_analytics.from_dlt.values import Scope, Value, describe

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator, Sequence

    from tap_analytics.from_dlt.evaluator import Evaluator


def rounds(evaluator: Evaluator, target: ast.expr, iterated: ast.expr, scope: Scope) -> Iterator[str]:
    """Bind the names of a loop for each round; yield a note where the round stands for many."""
    items = evaluator.items(iterated, scope)
    described = f"stands for each `{describe(target)}` in `{describe(iterated)}`; write one for each"
    repeated = described if items is None else ""
    for item in [unknown(target)] if items is None else items:
        evaluator.step()
        evaluator.bind(target, item, scope)
        yield repeated


def collected(evaluator: Evaluator, node: ast.ListComp | ast.GeneratorExp, scope: Scope) -> Value:
    """Return the list of a comprehension."""
    inner = Scope(scope)
    items = []
    for notes in _nested(evaluator, node.generators, inner):
        value = evaluator.evaluate(node.elt, inner)
        items.append(replace(value, notes=(*value.notes, *notes)))
    return Value(items, node.lineno)


def collected_words(evaluator: Evaluator, node: ast.DictComp, scope: Scope) -> Value:
    """Return the dictionary of a comprehension."""
    inner = Scope(scope)
    words: dict[str, Value] = {}
    for notes in _nested(evaluator, node.generators, inner):
        value = evaluator.evaluate(node.value, inner)
        words |= evaluator.word(node.key, replace(value, notes=(*value.notes, *notes)), inner)
    return Value(words, node.lineno)


def _nested(
    evaluator: Evaluator,
    generators: Sequence[ast.comprehension],
    scope: Scope,
) -> Iterator[tuple[str, ...]]:
    """Bind the names of a comprehension for each round of its loops; yield the notes of each."""
    if not generators:
        yield ()
        return
    generator, *others = generators
    for note in rounds(evaluator, generator.target, generator.iter, scope):
        if all(any(truth(evaluator, condition, scope)) for condition in generator.ifs):  # true, or only assumed
            for notes in _nested(evaluator, others, scope):
                yield (note, *notes) if note else notes
