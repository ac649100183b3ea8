"""What is known of an operator: its forward, a rule for each input, and the rule's formula."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from operator import itemgetter
from types import SimpleNamespace
from typing import Any

from gradnerve import errors
from gradnerve.backends import libraries, made_arrays

operators = SimpleNamespace()
"""Every operator, by its name. The modules in `ops/` fill it as they are imported."""

array_of: Any = None
"""What makes an array of a list, or a Tensor if there is one in it: `ops/` puts it here."""

# The place of an input, its rule, and where in [ct, y, needs, *arguments] the one or two values are
# that it takes (one of them: None; a rule of more values takes the whole list).
Rule = tuple[int, Callable, Any, int | None]


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
        self.required = self.defaults.count(inspect.Parameter.empty)
        self.rules: tuple[Rule, ...] = ()
        # One rule for several inputs, and their places.
        self.joint: tuple[Callable[[list], Any], tuple[int, ...]] | None = None
        self.constant = tuple(range(len(parameters)))  # the places of what has no rule
        self.named: set[str] = set()  # the values that rules take
        self.formulas: dict[str, str] = {}
        self.differentiable = False  # without a rule it is a plain value, like `x > 0`
        self.ordinary = False  # every input has a rule

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
            named = list(inspect.signature(rule).parameters)
            places = self._places(named)
            self.named.update(named)
            if len(names) > 1 or self.variadic:
                self.joint = (lambda seen: rule(*map(seen.__getitem__, places)), positions)
            else:
                self._enter(positions[0], rule, places)
            self.constant = tuple(i for i in self.constant if i not in positions)
            self.formulas.update(dict.fromkeys(names, formula))
            self.differentiable = True
            self.ordinary = not self.constant
            return rule

        return decorate

    def _places(self, names: list[str]) -> list[Any]:
        """Where in `[ct, y, needs, *arguments]` the values are that a rule names."""
        order = ("ct", "y", "needs", *self.names)
        if unknown := set(names).difference(order):
            raise TypeError(errors.unknown_rule_value(self.name, unknown.pop(), order))
        places: list[Any] = [order.index(name) for name in names]
        if self.variadic and self.names[-1] in names:
            places[names.index(self.names[-1])] = slice(len(order) - 1, None)
        return places

    def _enter(self, position: int, rule: Callable, places: list[int]) -> None:
        entry: Rule
        if len(places) == 1:
            entry = (position, rule, places[0], None)
        elif len(places) == 2:
            entry = (position, rule, places[0], places[1])
        else:
            pick = itemgetter(*places)
            entry = (position, lambda seen: rule(*pick(seen)), slice(None), None)
        self.rules = (*(old for old in self.rules if old[0] != position), entry)

    def joint_rules(self, args: tuple[Any, ...], seen: list[Any]) -> tuple[Rule, ...]:
        """What the joint rule gives each input, as if each had a rule of its own."""
        assert self.joint is not None
        rule, positions = self.joint
        if self.variadic:
            positions = tuple(range(len(self.names) - 1, len(args)))
        seen[2] = tuple(getattr(args[i], "_requires_grad", False) for i in positions)
        shares = rule(seen)
        if not isinstance(shares, (tuple, list)) or len(shares) != len(positions):
            raise TypeError(errors.joint_rule_gave(self.name, len(positions), shares))
        pairs = zip(positions, shares, strict=True)
        return tuple((i, lambda _, share=share: share, 0, None) for i, share in pairs)

    def name_of(self, position: int) -> str:
        """The name of an argument, by its place among them."""
        return self.names[min(position, len(self.names) - 1)]

    def complete(self, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments, in the forward's order, with its defaults for those not given."""
        if not options:
            if self.variadic:
                return args
            if self.required <= len(args) <= self.arity:
                return args + self.defaults[len(args) :]
        if len(args) > self.arity or not options.keys() <= set(self.names[len(args) :]):
            raise TypeError(errors.bad_arguments(self.name, self.names, args, options))
        rest = [options.get(n, d) for n, d in zip(self.names, self.defaults, strict=True)]
        complete = args + tuple(rest[len(args) :])
        for name, value in zip(self.names, complete, strict=True):
            if value is inspect.Parameter.empty:
                raise TypeError(errors.missing_argument(self.name, self.names, name))
        return complete

    def takes_array(self, position: int) -> bool:
        """Whether an argument is an array, as one that has a rule is."""
        return position not in self.constant

    def without_lists(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """A list (or tuple) where the operator takes an array is the array of its elements.

        Tensors in it are stacked, and get their gradients.
        """
        like = next((arg for arg in args if hasattr(arg, "shape")), None)
        return tuple(
            arg
            if type(arg) in libraries or not isinstance(arg, made_arrays) or not self.takes_array(i)
            else array_of(arg, like)
            for i, arg in enumerate(args)
        )


def register(op: Operator, call: Callable[..., Any]) -> None:
    """Enter an operator under its name. Its own module may define it anew, as notebooks do."""
    known = getattr(operators, op.name, None)
    if known is not None and known.__module__ != call.__module__:
        raise TypeError(errors.name_taken(op.name, known.__module__))
    setattr(operators, op.name, call)
