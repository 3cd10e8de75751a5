"""National number patterns as automata over digits, fed one digit at a time.

Calling codes shared by several countries (+1, +7, +44 ...) are split by asking, for every prefix,
which country's pattern can still be completed. `re` cannot answer that question, so the patterns
of the number metadata (literals, classes, groups, alternation, counted repeats: nothing else) are
turned into a small nondeterministic automaton here.
"""

from __future__ import annotations

import re._constants as kind
import re._parser as parser

DIGITS = frozenset("0123456789")


class DigitPattern:
    """The automaton of one pattern; states are ints, `start` is the set before any digit."""

    def __init__(self, pattern: str) -> None:
        self._moves: list[list[tuple[frozenset[str], int]]] = []
        self._free: list[list[int]] = []
        entry, accept = self._state(), self._state()
        self._build(parser.parse(pattern), entry, accept)
        self._accept = accept
        self.start = self._closure({entry})

    def advance(self, states: frozenset[int], digit: str) -> frozenset[int]:
        """The states after one more digit; empty when no number of the pattern starts so."""
        found = {
            target for state in states for allowed, target in self._moves[state] if digit in allowed
        }
        return self._closure(found)

    def accepts(self, states: frozenset[int]) -> bool:
        return self._accept in states

    def _state(self) -> int:
        self._moves.append([])
        self._free.append([])
        return len(self._moves) - 1

    def _closure(self, states: set[int]) -> frozenset[int]:
        todo, seen = list(states), set(states)
        while todo:
            for target in self._free[todo.pop()]:
                if target not in seen:
                    seen.add(target)
                    todo.append(target)
        return frozenset(seen)

    def _build(self, items, entry: int, leave: int) -> None:
        here = entry
        for operator, value in items:
            after = self._state()
            self._build_one(operator, value, here, after)
            here = after
        self._free[here].append(leave)

    def _build_one(self, operator, value, entry: int, leave: int) -> None:
        if operator is kind.LITERAL:
            self._moves[entry].append((frozenset(chr(value)), leave))
        elif operator is kind.IN:
            self._moves[entry].append((_class_digits(value), leave))
        elif operator is kind.BRANCH:
            for branch in value[1]:
                self._build(branch, entry, leave)
        elif operator is kind.SUBPATTERN:
            self._build(value[-1], entry, leave)
        elif operator is kind.MAX_REPEAT:
            self._build_repeat(value, entry, leave)
        else:
            raise ValueError(f"unexpected element in a number pattern: {operator}")

    def _build_repeat(self, value, entry: int, leave: int) -> None:
        least, most, items = value
        here = entry
        for _ in range(least):
            after = self._state()
            self._build(items, here, after)
            here = after
        if most == kind.MAXREPEAT:
            self._build(items, here, here)
        else:
            for _ in range(most - least):
                self._free[here].append(leave)
                after = self._state()
                self._build(items, here, after)
                here = after
        self._free[here].append(leave)


def _class_digits(items) -> frozenset[str]:
    found: set[str] = set()
    for operator, value in items:
        if operator is kind.LITERAL:
            found.add(chr(value))
        elif operator is kind.RANGE:
            found.update(chr(code) for code in range(value[0], value[1] + 1))
        elif operator is kind.CATEGORY and value is kind.CATEGORY_DIGIT:
            found |= DIGITS
        else:
            raise ValueError(f"unexpected element in a digit class: {operator} {value}")
    return frozenset(found)
