"""What is known of an operator: its forward, a rule for each input, and the rule's formula."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from operator import itemgetter
from types import SimpleNamespace
from typing import Any

from gradnerve import errors
from gradnerve.backends import as_array

operators = SimpleNamespace()
"""Every operator, by its name. The modules in `ops/` fill it as they are imported."""

Rule = Callable[[list], Any]  # of [ct, y, needs, *arguments]


class Operator:
    """One operator: its forward, its rules, and the formulas that a learner sees."""

    def __init__(self, forward: Callable[..., Any]):
        parameters = list(inspect.signature(forward).parameters.values())
        self.forward = forward
        self.name = forward.__name__.strip("_")
        self.names = tuple(p.name for p in parameters)
        if taken := {"ct", "y", "needs"}.intersection(self.names):
            raise TypeError(errors.reserved_name(self.name, taken.pop()))
        # A last parameter `*arrays` takes any number of inputs, after the fixed ones.
        self.variadic = parameters[-1].kind is inspect.Parameter.VAR_POSITIONAL
        self.arity = -1 if self.variadic else len(parameters)
        self.defaults = tuple(p.default for p in parameters)
        self.rules: list[Rule | None] = [None] * len(parameters)
        self.joint: tuple[Rule, tuple[int, ...]] | None = None  # one rule for several inputs
        self.formulas: dict[str, str] = {}
        self.differentiable = False  # without a rule it is a plain value, like `x > 0`

    def rule(self, inputs: str, formula: str) -> Callable[[Callable], Callable]:
        """Decorate the rule (the VJP) of one input, or of several that share work.

        A rule is a pure function of the values that its parameters name: the cotangent `ct` of the
        output, the output `y`, and the forward's parameters. It returns the input's cotangent;
        where the forward broadcast that input, the engine sums it back to its shape. A rule for
        several inputs (`"x, weight, bias"`) returns one cotangent for each, and can name `needs`,
        which says for each whether it is wanted. `formula` is LaTeX.

        Raises TypeError for an input or a value that the operator does not have.
        """
        names = inputs.replace(",", " ").split()
        if unknown := set(names).difference(self.names):
            raise TypeError(errors.unknown_rule_input(self.name, unknown.pop(), self.names))
        positions = tuple(self.names.index(name) for name in names)

        def decorate(rule: Callable) -> Callable:
            if len(names) > 1 or self.variadic:
                self.joint = (self._taking(rule), positions)
            else:
                self.rules[positions[0]] = self._taking(rule)
            self.formulas.update(dict.fromkeys(names, formula))
            self.differentiable = True
            return rule

        return decorate

    def _taking(self, rule: Callable) -> Rule:
        """The rule as a function of `[ct, y, needs, *arguments]`: it takes those it names."""
        order = ("ct", "y", "needs", *self.names)
        names = list(inspect.signature(rule).parameters)
        if unknown := set(names).difference(order):
            raise TypeError(errors.unknown_rule_value(self.name, unknown.pop(), order))
        places: list[Any] = [order.index(name) for name in names]
        if self.variadic and self.names[-1] in names:
            places[names.index(self.names[-1])] = slice(len(order) - 1, None)
        if len(places) == 1:
            (first,) = places
            return lambda seen: rule(seen[first])
        if len(places) == 2:
            first, second = places
            return lambda seen: rule(seen[first], seen[second])
        pick = itemgetter(*places)
        return lambda seen: rule(*pick(seen))

    def complete(self, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments, in the forward's order, with its defaults for those not given."""
        if len(args) > self.arity or not options.keys() <= set(self.names[len(args) :]):
            raise TypeError(errors.bad_arguments(self.name, self.names, args, options))
        rest = [options.get(n, d) for n, d in zip(self.names, self.defaults, strict=True)]
        complete = args + tuple(rest[len(args) :])
        for name, value in zip(self.names, complete, strict=True):
            if value is inspect.Parameter.empty:
                raise TypeError(errors.missing_argument(self.name, self.names, name))
        return complete

    def without_list(self, arg: list, position: int) -> Any:
        """A list where the operator takes an array is the array of its elements."""
        is_input = position < len(self.rules) and self.rules[position] is not None
        return as_array(arg) if is_input or self.variadic else arg


def register(op: Operator, call: Callable[..., Any]) -> None:
    """Enter an operator under its name. Its own module may define it anew, as notebooks do."""
    known = getattr(operators, op.name, None)
    if known is not None and known.__module__ != call.__module__:
        raise TypeError(errors.name_taken(op.name, known.__module__))
    setattr(operators, op.name, call)
