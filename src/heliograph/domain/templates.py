"""Templates: texts that an account keeps, and texts that operators know.

A message to a number of an operator that fits a template accepted there is marked in its `flag`
(status.php reference, 1.4). Templates hold macros (our choice, after what operators write):

======  ========================================
`%w`    one word: signs without a space
`%d`    one number: digits
`%w{1,5}`, `%d{1,5}`  so many of them, divided by spaces or line breaks
======  ========================================

A template is compiled once when it changes. Matching walks over the text once for each piece of the
template, with all places where the text may go on at a time, so no template can make it slow.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum, unique
from itertools import islice

from heliograph.domain.messages import MessageType
from heliograph.domain.senders import sender_key

__all__ = [
    "OPERATOR_KINDS",
    "SOCIAL",
    "TEMPLATE_FORMATS",
    "CompiledTemplate",
    "TemplateKind",
    "TemplateSet",
    "TemplateState",
    "compile_template",
    "template_flag",
]

# Values of `format` of a message template ('' is "not set").
TEMPLATE_FORMATS = frozenset({"", "sms", "flash", "bin", "push", "mms", "call", "mail", "viber"})


@unique
class TemplateKind(IntEnum):
    """Kind of a template: bits 10 and 9 of `flag`."""

    SERVICE = 0
    TRANSACTIONAL = 1
    AUTHORISATION = 2
    ADVERTISING = 3


@unique
class TemplateState(IntEnum):
    """What the operator said; the numbers are those of `status` in the API."""

    REVIEWED = 0
    ACCEPTED = 1
    REFUSED = 2


_IS_TEMPLATE = 1 << 8
_KIND_SHIFT = 9

# The flags of op_templates.php: (operator, kind).
SOCIAL = "soc"
OPERATOR_KINDS: dict[str, tuple[str, TemplateKind]] = {
    "mts_srv": ("mts", TemplateKind.SERVICE),
    "mts_auth": ("mts", TemplateKind.AUTHORISATION),
    "mts_trn": ("mts", TemplateKind.TRANSACTIONAL),
    "mega_srv": ("mega", TemplateKind.SERVICE),
    "mega_auth": ("mega", TemplateKind.AUTHORISATION),
    "mega_trn": ("mega", TemplateKind.TRANSACTIONAL),
    "mega_adv": ("mega", TemplateKind.ADVERTISING),
    "bee_srv": ("bee", TemplateKind.SERVICE),
    "bee_trn": ("bee", TemplateKind.TRANSACTIONAL),
    "tele2_srv": ("tele2", TemplateKind.SERVICE),
    "tele2_trn": ("tele2", TemplateKind.TRANSACTIONAL),
    "motiv_srv": ("motiv", TemplateKind.SERVICE),
    "motiv_trn": ("motiv", TemplateKind.TRANSACTIONAL),
    SOCIAL: (SOCIAL, TemplateKind.SERVICE),
}
# Networks of these operators in Russia, by mobile country and network code.
_OPERATORS = {
    "25001": "mts",
    "25002": "mega",
    "25011": "mega",
    "25099": "bee",
    "25028": "bee",
    "25020": "tele2",
    "25035": "motiv",
}
_TYPES = frozenset({MessageType.SMS, MessageType.FLASH})

_MACRO = re.compile(r"%([wd])(?:\{(\d{1,3})(?:,(\d{1,3}))?\})?", re.ASCII)
_WORD = re.compile(r"\S+")
_DIGITS = re.compile(r"[0-9]+")
_RUNS = {"w": _WORD, "d": _DIGITS}
# Macros of one template, and words of one macro: bound the work of one comparison.
MAX_MACROS = 10
MAX_REPEATS = 100
# Templates of one account that a text is compared with piece by piece. Their beginnings and ends
# sort out nearly all others before; this is for templates that were made to be slow.
_MAX_COMPARED = 10
# Templates are found by the first signs of the text before their first macro.
_HEAD_CHARS = 8


def template_flag(kind: TemplateKind) -> int:
    """The bits of `flag` for a message that fits a template of this kind."""
    return _IS_TEMPLATE | kind << _KIND_SHIFT


@dataclass(frozen=True, slots=True)
class _Macro:
    sort: str
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class CompiledTemplate:
    """A text with macros, ready to be compared. `pieces` are texts and macros in their order."""

    pieces: tuple[str | _Macro, ...]

    @property
    def head(self) -> str:
        """What every matching text begins with."""
        first = self.pieces[0] if self.pieces else ""
        return first if isinstance(first, str) else ""

    def may_fit(self, text: str) -> bool:
        """Whether a text without spaces around it begins and ends as the template does."""
        last = self.pieces[-1] if self.pieces else ""
        return text.startswith(self.head) and (not isinstance(last, str) or text.endswith(last))

    def fits(self, text: str) -> bool:
        """Whether a whole text is made by the template."""
        text = _tidy(text)
        if not self.may_fit(text):
            return False
        places = {0}
        for piece in self.pieces:
            if isinstance(piece, str):
                places = {at + len(piece) for at in places if text.startswith(piece, at)}
            else:
                places = _walk(text, places, piece)
            if not places:
                return False
        return len(text) in places


def compile_template(text: str) -> CompiledTemplate:
    """The template of a text. Raises ValueError: too many macros, or bounds that make no sense."""
    text = _tidy(text)
    pieces: list[str | _Macro] = []
    at = 0
    for match in _MACRO.finditer(text):
        if match.start() > at:
            pieces.append(text[at : match.start()])
        least = int(match[2] or 1)
        most = int(match[3] or least)
        if not 1 <= least <= most <= MAX_REPEATS:
            raise ValueError(f"{match[0]}: from 1 to {MAX_REPEATS}, the smaller number first")
        pieces.append(_Macro(match[1], least, most))
        at = match.end()
    if at < len(text):
        pieces.append(text[at:])
    if sum(isinstance(piece, _Macro) for piece in pieces) > MAX_MACROS:
        raise ValueError(f"more than {MAX_MACROS} macros")
    return CompiledTemplate(tuple(pieces))


def _tidy(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


class _Words:
    """The words of a text, and how far a macro may go on in each."""

    __slots__ = ("ends", "run_ends", "starts")

    def __init__(self, text: str, sort: str) -> None:
        spans = [match.span() for match in _WORD.finditer(text)]
        self.starts = [start for start, _ in spans]
        self.ends = [end for _, end in spans]
        self.run_ends = self.ends
        if sort == "d":
            self.run_ends = [
                match.end() if (match := _DIGITS.match(text, start)) else start
                for start in self.starts
            ]

    def at(self, place: int) -> int:
        """The word that a place is in; -1 outside of words."""
        word = bisect_right(self.starts, place) - 1
        return word if word >= 0 and place < self.ends[word] else -1

    def is_whole(self, word: int, end: int) -> bool:
        """Whether a word ends there, so that the next one may follow."""
        return end == self.ends[word]


def _walk(text: str, places: set[int], macro: _Macro) -> set[int]:
    """Places after the macro, from all places before it. Every word is added once, whatever the
    bounds of the macro are: words in the middle have to be whole."""
    words = _Words(text, macro.sort)
    reached: set[int] = set()
    last_word, done = -1, 0
    for place in sorted(places):
        word = words.at(place)
        match = _RUNS[macro.sort].match(text, place) if word >= 0 else None
        if match is None:
            continue
        # The rest of a run is there already when its next place is.
        if macro.least == 1 and place + 1 not in reached:
            reached.update(range(place + 1, match.end() + 1))
        if word == last_word or not words.is_whole(word, match.end()):
            continue
        last_word = word
        first = max(word + 1, done)
        if first > word + 1 and not words.is_whole(first - 1, words.run_ends[first - 1]):
            continue
        for each in range(first, min(word + macro.most, len(words.starts))):
            if each >= word + macro.least - 1:
                done = each + 1
                reached.update(range(words.starts[each] + 1, words.run_ends[each] + 1))
            if not words.is_whole(each, words.run_ends[each]):
                break
    return reached


class TemplateSet:
    """The accepted templates of one account."""

    __slots__ = ("_heads", "_lengths", "_plain")

    def __init__(self, templates: Iterable[tuple[str, str, str]]) -> None:
        """`templates`: (sender, text, name of OPERATOR_KINDS); of several that fit one message,
        the one with the more exact kind, then the first, speaks. What does not compile is left
        out."""
        self._plain: dict[tuple[str, str], list[str]] = defaultdict(list)
        heads: dict[tuple[str, str], dict[CompiledTemplate, list[str]]] = defaultdict(dict)
        for sender, text, name in templates:
            try:
                compiled = compile_template(text)
            except ValueError:
                continue
            key = sender_key(sender)
            if len(compiled.pieces) == 1 and compiled.head:
                self._plain[key, compiled.head].append(name)
            else:
                place = heads[key, compiled.head[:_HEAD_CHARS]]
                place.setdefault(compiled, []).append(name)
        self._heads = {place: list(found.items()) for place, found in heads.items()}
        self._lengths = sorted({len(head) for _, head in self._heads}, reverse=True)

    def match(self, sender: str, text: str) -> dict[str, TemplateKind]:
        """Kinds by operator of the templates that a text of a sender fits."""
        key, text = sender_key(sender), _tidy(text)
        names = list(self._plain.get((key, text), ()))
        for compiled, its_names in islice(self._candidates(key, text), _MAX_COMPARED):
            if compiled.fits(text):
                names += its_names
        found: dict[str, TemplateKind] = {}
        for name in names:
            operator, kind = OPERATOR_KINDS[name]
            found.setdefault(operator, kind)
        return found

    def _candidates(self, key: str, text: str) -> Iterator[tuple[CompiledTemplate, list[str]]]:
        for length in self._lengths:
            for compiled, its_names in self._heads.get((key, text[:length]), ()):
                if compiled.may_fit(text):
                    yield compiled, its_names

    @staticmethod
    def operator_of(type: MessageType, mccmnc: str) -> str:
        """Whose templates count for a message; '': nobody's."""
        if type is MessageType.SOCIAL:
            return SOCIAL
        return _OPERATORS.get(mccmnc, "") if type in _TYPES else ""
