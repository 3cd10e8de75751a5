"""Our counting of parts against the calculator that Twilio publishes, over generated texts.

The calculator keeps whole grapheme clusters in a segment, which no handset asks for, so the
generated texts have no combining characters; everything else must agree.
"""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest

from heliograph.protocols.sms.data_coding import Alphabet
from heliograph.protocols.sms.national_tables import ABSENT, LOCKING_TABLES, SINGLE_SHIFT_TABLES
from heliograph.protocols.sms.segmentation import count_parts, segment

_HERE = Path(__file__).parent
_BASIC = LOCKING_TABLES[0].replace(ABSENT, "").replace("\r", "")
_EXTENSION = SINGLE_SHIFT_TABLES[0].replace(ABSENT, "")
_CYRILLIC = "АБВГДЕЖЗабвгдеёжзийклмнопрстуфхцчшщъыьэюя «»—№"
_PAIRS = "😀🦝𝒜𝒷🚀"
_NAMES = {"GSM-7": Alphabet.GSM7, "UCS-2": Alphabet.UCS2}


def _generate() -> list[str]:
    """Texts of every length around the limits, in every mixture of alphabets."""
    chance = random.Random(23038)
    mixtures = (_BASIC, _BASIC * 3 + _EXTENSION, _EXTENSION, _CYRILLIC, _CYRILLIC + _PAIRS, _PAIRS)
    texts = []
    for mixture in mixtures:
        for limit in (1, 35, 70, 134, 153, 160, 201, 306, 459, 700):
            for length in range(max(1, limit - 4), limit + 5):
                texts.append("".join(chance.choices(mixture, k=length)))
    for _ in range(400):
        # One odd character somewhere decides the alphabet of the whole text.
        body = chance.choices(_BASIC, k=chance.randint(1, 500))
        body.insert(chance.randrange(len(body)), chance.choice(_EXTENSION + _CYRILLIC + _PAIRS))
        texts.append("".join(body))
    return texts


@pytest.fixture(scope="module")
def counted(npm_modules: Path, node: list[str]) -> list[tuple[str, tuple[str, int]]]:
    texts = _generate()
    done = subprocess.run(
        [*node, _HERE / "count_segments.cjs"],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=npm_modules.parent,
    )
    answers = [(encoding, segments) for encoding, segments in json.loads(done.stdout)]
    assert len(answers) == len(texts)
    return list(zip(texts, answers, strict=True))


def test_alphabet_and_number_of_segments_agree(
    counted: list[tuple[str, tuple[str, int]]],
) -> None:
    disagreements = [
        (text, answer, count_parts(text))
        for text, answer in counted
        if count_parts(text) != (_NAMES[answer[0]], answer[1])
    ]
    assert not disagreements


def test_segmentation_agrees_with_its_own_count(
    counted: list[tuple[str, tuple[str, int]]],
) -> None:
    for text, answer in counted:
        assert len(segment(text).parts) == answer[1]


def test_generated_texts_cover_both_alphabets_and_many_parts(
    counted: list[tuple[str, tuple[str, int]]],
) -> None:
    assert {answer[0] for _, answer in counted} == {"GSM-7", "UCS-2"}
    assert max(answer[1] for _, answer in counted) > 20
