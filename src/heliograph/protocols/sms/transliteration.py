"""Cyrillic texts in the 7-bit alphabet: ``translit=1`` and ``translit=2`` of ``send.php``.

*Latin* writes each letter by its sound, in the manner of passports and telegrams: nothing for the
hard and the soft sign, ``ё`` as ``e``, one spelling per letter wherever it stands. Where habits
differ the shorter or better known one is taken: ``х`` is ``h``, ``й`` is ``j``, ``щ`` is ``sch``.
Case follows the word: ``Щука`` is ``Schuka``, ``ЩУКА`` is ``SCHUKA``.

*Look-alike* writes each letter by its shape, as people did on phones without Cyrillic: the word
"транслит" is ``mpaHc/Ium``. Only characters of the default table are used, so that a letter never
costs an escape.

Both also replace the punctuation of Cyrillic texts (guillemets, dashes, the number sign) that
would force the message into UCS-2. Characters that neither table knows stay as they are.
"""

from __future__ import annotations

import enum
import re
import unicodedata

__all__ = ["Transliteration", "transliterate"]


class Transliteration(enum.IntEnum):
    """Value of the ``translit`` parameter."""

    NONE = 0
    LATIN = 1
    LOOK_ALIKE = 2


_LATIN_LETTERS = {
    # Russian
    **{"а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ё": "e", "ж": "zh", "з": "z"},
    **{"и": "i", "й": "j", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r"},
    **{"с": "s", "т": "t", "у": "u", "ф": "f", "х": "h", "ц": "ts", "ч": "ch", "ш": "sh"},
    **{"щ": "sch", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "yu", "я": "ya"},
    # Ukrainian, Belarusian
    **{"є": "ye", "і": "i", "ї": "yi", "ґ": "g", "ў": "u"},
    # Kazakh
    **{"ә": "a", "ғ": "g", "қ": "q", "ң": "n", "ө": "o", "ұ": "u", "ү": "u", "һ": "h"},
}

_LOOK_ALIKES = {
    # Russian: small letters, then capitals where the capital has a shape of its own
    **{"а": "a", "б": "6", "в": "B", "г": "r", "д": "g", "е": "e", "ё": "e", "ж": ")I("},
    **{"з": "3", "и": "u", "й": "u", "к": "k", "л": "/I", "м": "M", "н": "H", "о": "o"},
    **{"п": "n", "р": "p", "с": "c", "т": "m", "у": "y", "ф": "qp", "х": "x", "ц": "u,"},
    **{"ч": "4", "ш": "w", "щ": "w,", "ъ": "'b", "ы": "bI", "ь": "b", "э": "3", "ю": "IO"},
    "я": "9I",
    **{"А": "A", "Д": "D", "Е": "E", "Ё": "E", "И": "U", "Й": "U", "К": "K", "О": "O"},
    **{"П": "II", "Р": "P", "С": "C", "Т": "T", "У": "Y", "Ф": "(I)", "Х": "X", "Ц": "U,"},
    **{"Ш": "W", "Щ": "W,"},
    # Ukrainian, Belarusian
    **{"є": "e", "і": "i", "ї": "i", "ґ": "r'", "ў": "y"},
    **{"Є": "E", "І": "I", "Ї": "I", "Ў": "Y"},
    # Kazakh
    **{"ә": "a", "ғ": "r", "қ": "k,", "ң": "H,", "ө": "o", "ұ": "y", "ү": "y", "һ": "h"},
    **{"Ә": "A", "Қ": "K,", "Ө": "O", "Ұ": "Y", "Ү": "Y"},
}

_PUNCTUATION = {
    **dict.fromkeys("«»“”„‟″", '"'),
    **dict.fromkeys("‘’‚‛′ʼ`´", "'"),
    **{"‹": "<", "›": ">", "…": "...", "№": "No", "•": "*", "·": "."},
    **dict.fromkeys("‐‑‒–—―−", "-"),
    **dict.fromkeys("\t\u00a0\u2002\u2003\u2007\u2008\u2009\u200a\u202f", " "),
    **dict.fromkeys("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u0301", ""),
    **{"₽": "rub", "₴": "grn", "₸": "tg", "×": "x", "°": "o", "©": "(c)", "®": "(R)", "™": "(TM)"},
}

_LATIN_CAPITALS = {small.upper(): latin.upper() for small, latin in _LATIN_LETTERS.items()}
_LATIN_TABLE = str.maketrans(
    _LATIN_LETTERS
    | {capital: latin.capitalize() for capital, latin in _LATIN_CAPITALS.items()}
    | _PUNCTUATION
)
_LOOK_ALIKE_TABLE = str.maketrans(
    {small.upper(): shape for small, shape in _LOOK_ALIKES.items()} | _LOOK_ALIKES | _PUNCTUATION
)

# A capital that becomes several letters is all capitals beside another capital, unless a small
# letter follows: "ЩИ" is SCHI and "ВЩ" is VSCH, but "Щи" is Schi and "ИЩу" is ISchu.
_SEVERAL = "".join(capital for capital, latin in _LATIN_CAPITALS.items() if len(latin) > 1)
_UPPER = "A-Z" + "".join(_LATIN_CAPITALS)
_LOWER = "a-z" + "".join(_LATIN_LETTERS)
_IN_CAPITALS = re.compile(
    f"[{_SEVERAL}](?=[{_UPPER}])|(?<=[{_UPPER}])[{_SEVERAL}](?![{_LOWER}])",
)


def transliterate(text: str, kind: Transliteration | int) -> str:
    """Transliterate a text; kind 0 leaves it as it is.

    Raises ``ValueError`` for an unknown kind.
    """
    kind = Transliteration(kind)
    if kind is Transliteration.NONE:
        return text
    # Letters written with a combining mark (e.g. from macOS) become the letters of the tables.
    text = unicodedata.normalize("NFC", text)
    if kind is Transliteration.LOOK_ALIKE:
        return text.translate(_LOOK_ALIKE_TABLE)
    return _IN_CAPITALS.sub(_write_capitals, text).translate(_LATIN_TABLE)


def _write_capitals(match: re.Match[str]) -> str:
    return _LATIN_CAPITALS[match[0]]
