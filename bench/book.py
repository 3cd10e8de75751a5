"""A book of contacts as people have them, and what they may look for in it.

Numbers are Russian and mixed. Some last names are frequent, thousands are rare; two of three people
are written in Cyrillic, some have comments, and everybody has two labels of a dozen.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from heliograph.domain.contacts import search_key


def _list(words: str) -> list[str]:
    return words.split()


_ONSETS = _list("б в г д ж з к л м н п р с т ф х ш щ бр др кр тр ст гр")
_VOWELS = _list("а е и о у ы я ю")
_ENDINGS = _list("ов ова ев ева ин ина ский ская енко ко")
_FIRST = _list(
    "Александр Сергей Дмитрий Андрей Алексей Максим Евгений Иван Михаил Анна Елена Ольга Наталья "
    "Екатерина Татьяна Мария Ирина Юлия Светлана Анастасия Николай Владимир Виктор Павел Роман "
    "Олег Игорь Юрий Вера Надежда Галина Людмила Дарья Ксения Никита Кирилл Глеб Тимур Рустам Азат "
    "Гульнара Лейла Егор Денис Антон Вадим Борис Григорий"
)
_MIDDLE = _list(
    "Иванович Петрович Сергеевич Андреевна Сергеевна Александровна Николаевич Викторович "
    "Михайловна Дмитриевич Олегович Игоревна Юрьевна Павловна Романович Владимировна Алексеевич"
)
_WORDS = _list(
    "shop news vip dealer wholesale office home work clinic school gym courier driver manager "
    "accountant lawyer friend family summer winter promo black friday birthday bonus card gold "
    "silver debt repaid call later do not disturb moscow kazan samara perm omsk"
)
_LABELS = _WORDS[:12]
_LATIN = dict(
    zip(
        "абвгдежзийклмнопрстуфхцчшщъыьэюя",
        _list("a b v g d e zh z i y k l m n o p r s t u f kh ts ch sh shch . y . e yu ya"),
        strict=True,
    )
)


def _latin(word: str) -> str:
    return "".join(_LATIN[sign] for sign in word.lower()).replace(".", "").title()


def _stems() -> list[str]:
    chance = random.Random(1)
    made = {
        "".join(
            chance.choice(_ONSETS) + chance.choice(_VOWELS) for _ in range(chance.choice((1, 2, 2)))
        )
        + chance.choice(_ONSETS[:18])
        for _ in range(6000)
    }
    stems = sorted(made)
    chance.shuffle(stems)
    return stems


_STEMS = _stems()
# The k-th most frequent is about 1/k as frequent as the first.
_SHARES = list(accumulate(1 / (at + 3) ** 0.9 for at in range(len(_STEMS))))
# Of one in forty contacts, and of one in some thousand.
USUAL_NAME, RARE_NAME = _STEMS[0], _STEMS[3000] + _ENDINGS[0]


def number(at: int) -> str:
    """A number for each contact, as mixed as in life and never twice."""
    return str(79_000_000_000 + at * 618_033_989 % 1_000_000_000)


def rows(first: int, count: int) -> Iterator[tuple[str, Mapping[str, str]]]:
    """(number, fields) of contacts; one in 50,000 has a name of its own."""
    chance = random.Random(first)
    for at in range(first, first + count):
        last = (chance.choices(_STEMS, cum_weights=_SHARES)[0] + chance.choice(_ENDINGS)).title()
        names = [last, chance.choice(_FIRST), chance.choice(_MIDDLE)]
        if chance.random() < 1 / 3:
            names = [_latin(name) for name in names]
        if at % 50_000 == 7:
            names[0] = "Rarename"
        fields = {
            "name": f"{names[0]} {names[1][0]}." if chance.random() < 0.5 else f"Client {at}",
            "last_name": names[0],
            "first_name": names[1],
            "tags": ", ".join(chance.sample(_LABELS, 2)),
            "client_ref": str(at),
        }
        if chance.random() < 0.6:
            fields["middle_name"] = names[2]
        if chance.random() < 0.2:
            fields["comments"] = " ".join(chance.choices(_WORDS, k=chance.randrange(2, 7)))
        if chance.random() < 0.1:
            fields["other_numbers"] = f"7{chance.randrange(9 * 10**9, 10**10)}"
        yield number(at), fields


def parts(count: int, seed: int) -> Iterator[str]:
    """What could be looked for, of one to twelve signs: parts of what is there, two of them glued
    together, one that goes on as another one, any signs, and any digits."""
    chance = random.Random(seed)
    lines = [line for address, fields in rows(0, 3000) for line in _lines(address, fields)]
    signs = "".join(lines)
    for at in range(count):
        size = 1 + at // 5 % 12
        match at % 5:
            case 0:
                yield _piece(chance, lines, size)
            case 1:
                cut = chance.randrange(size + 1)
                yield _piece(chance, lines, cut) + _piece(chance, lines, size - cut)
            case 2:
                yield _spliced(chance, lines, size)
            case 3:
                yield "".join(chance.choices(signs, k=size))
            case _:
                yield "".join(chance.choices("0123456789", k=size))


def _lines(address: str, fields: Mapping[str, str]) -> Sequence[str]:
    return search_key({**fields, "address": address}).split("\n")


def _piece(chance: random.Random, lines: Sequence[str], size: int) -> str:
    line = ""
    while len(line) < size:
        line = chance.choice(lines)
    at = chance.randrange(len(line) - size + 1)
    return line[at : at + size]


def _spliced(chance: random.Random, lines: Sequence[str], size: int) -> str:
    """A part whose syllables all are usual: two that have up to four signs in common."""
    for _ in range(20):
        begin = _piece(chance, lines, max(size // 2, 1))
        common = begin[-chance.randrange(2, 5) :]
        for line in chance.sample(lines, 300):
            at = line.find(common)
            end = line[at + len(common) :][: size - len(begin)] if at >= 0 else ""
            if len(begin) + len(end) == size:
                return begin + end
    return _piece(chance, lines, size)
