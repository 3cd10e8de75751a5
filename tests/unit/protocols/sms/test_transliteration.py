"""Both transliterations: letters, case, punctuation, and that nothing needs UCS-2 afterwards."""

from __future__ import annotations

import pytest

from heliograph.protocols.sms.data_coding import Alphabet
from heliograph.protocols.sms.gsm7 import encode, is_gsm7
from heliograph.protocols.sms.segmentation import count_parts
from heliograph.protocols.sms.transliteration import Transliteration, transliterate

_RUSSIAN = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"
_NEIGHBOURS = "єіїґўәғқңөұүһ"
_LETTERS = _RUSSIAN + _RUSSIAN.upper() + _NEIGHBOURS + _NEIGHBOURS.upper()


@pytest.mark.parametrize(
    ("text", "latin"),
    [
        ("Привет, мир!", "Privet, mir!"),
        ("Щука", "Schuka"),
        ("ЩУКА", "SCHUKA"),
        ("Щ", "Sch"),
        ("ОБЩ.", "OBSCH."),
        ("БОРЩ И ЩИ", "BORSCH I SCHI"),
        ("Я иду", "Ya idu"),
        ("СЪЁМКА", "SEMKA"),
        ("Объезд, подъезд", "Obezd, podezd"),
        ("Ещё чай", "Esche chaj"),
        ("Жёлтый хлеб", "Zheltyj hleb"),
        ("Юля, Эмма и Цапля", "Yulya, Emma i Tsaplya"),
        ("SMS-код ЮMoney", "SMS-kod YUMoney"),
        ("Заказ № 5 — «готов»…", 'Zakaz No 5 - "gotov"...'),
        ("Їжак, Єва, ґанок", "Yizhak, Yeva, ganok"),
        ("ЇЖАК", "YIZHAK"),
        ("Ён жыве ў Мінску", "En zhyve u Minsku"),
        ("Сәлем, қалайсың? Өң Ұлы ғүһ", "Salem, qalajsyn? On Uly guh"),
        ("100 ₽ скидка", "100 rub skidka"),
        ("1\u00a0000", "1 000"),
    ],
)
def test_latin(text: str, latin: str) -> None:
    assert transliterate(text, 1) == latin


@pytest.mark.parametrize(
    ("text", "look_alike"),
    [
        ("транслит", "mpaHc/Ium"),
        ("ТРАНСЛИТ", "TPAHC/IUT"),
        ("Жук", ")I(yk"),
        ("№ 1", "No 1"),
    ],
)
def test_look_alike(text: str, look_alike: str) -> None:
    assert transliterate(text, 2) == look_alike


@pytest.mark.parametrize("kind", [Transliteration.LATIN, Transliteration.LOOK_ALIKE])
def test_every_letter_becomes_septets_without_escapes(kind: Transliteration) -> None:
    for letter in _LETTERS:
        written = transliterate(letter, kind)
        assert is_gsm7(written), letter
        assert b"\x1b" not in encode(written)
    assert all(transliterate(letter, 2) for letter in _LETTERS)


@pytest.mark.parametrize("kind", [1, 2])
def test_letters_with_combining_marks_are_letters(kind: int) -> None:
    decomposed = "и\u0306 е\u0308 і\u0308"  # й ё ї
    assert transliterate(decomposed, kind) == transliterate("й ё ї", kind)


@pytest.mark.parametrize("kind", [1, 2])
def test_a_real_text_leaves_ucs2(kind: int) -> None:
    text = "Уважаемый клиент! Заказ № 12 — «доставлен»: ждём по адресу ул. Щорса, д.\u00a07…"
    assert count_parts(text)[0] is Alphabet.UCS2
    assert count_parts(transliterate(text, kind))[0] is Alphabet.GSM7


def test_other_texts_stay() -> None:
    assert transliterate("Hello, @world {1}", 1) == "Hello, @world {1}"
    assert transliterate("Grüße", 2) == "Grüße"
    assert transliterate("你好 😀", 1) == "你好 😀"
    assert transliterate("Привет", 0) == "Привет"
    assert transliterate("it`s", 1) == "it's"


def test_unknown_kind() -> None:
    with pytest.raises(ValueError, match="3"):
        transliterate("Привет", 3)
