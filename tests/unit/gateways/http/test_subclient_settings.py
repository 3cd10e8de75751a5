"""Parameters of users.php: every setting of the reference, with what may stand in it."""

from __future__ import annotations

import pytest

from heliograph.domain.accounts import AccountKind
from heliograph.gateways.http.send_request import ParameterError
from heliograph.gateways.http.subclient_settings import SETTINGS, read_changes

# (name, what comes, what is kept)
GOOD = [
    ("email", " a@b.cc ", "a@b.cc"),
    ("email2", "a@b.cc", "a@b.cc"),
    ("phone", "8 (916) 123-45-67", "79161234567"),
    ("phone2", "+79161234567", "79161234567"),
    ("fio", " Ivan ", "Ivan"),
    ("props", "INN 1\nKPP 2", "INN 1\nKPP 2"),
    ("cntr", "17/3", "17/3"),
    ("notes", "x", "x"),
    ("mintrf", "8", "8"),
    ("nb", "10,5", "10.50"),
    ("sender2", "Shop", "Shop"),
    ("fmts", "7, -77 ,", "7,-77"),
    ("ktm", "30", "30"),
    ("vld", "060", "60"),
    ("tmlim", "9-21", "9-21"),
    ("dlim", "0", ""),
    ("plim", "5", "5"),
    ("tlim", "5", "5"),
    ("ilim", "5", "5"),
    ("ph", "89161234567,g12", "79161234567,G12"),
    ("answ", "Thanks", "Thanks"),
    ("answ_call", "Later", "Later"),
    ("mph", "89161234567", "79161234567"),
    ("mh1", "9", "9"),
    ("mh2", "21:00", "21:00"),
    ("mlen", "70", "70"),
    ("site_id", "2", "2"),
]


def test_no_setting_is_forgotten() -> None:
    assert {name for name, _, _ in GOOD} == set(SETTINGS)


@pytest.mark.parametrize(("name", "value", "kept"), GOOD)
def test_a_setting(name: str, value: str, kept: str) -> None:
    assert read_changes({name: value}, is_new=True).settings == {name: kept}
    assert read_changes({name: ""}, is_new=False).settings == {name: ""}
    assert read_changes({name: ""}, is_new=True).settings == {}


def test_a_long_list_of_codes_is_kept_whole() -> None:
    """Of a text that is cut, the last code would be another one: -7 of -7701."""
    codes = ",".join(f"-77{number:011d}" for number in range(1_000))
    assert read_changes({"fmts": codes}, is_new=False).settings == {"fmts": codes}
    with pytest.raises(ParameterError):
        read_changes({"fmts": f"{codes},-7"}, is_new=False)


@pytest.mark.parametrize(
    "fields",
    [
        {"email": "a@b"},
        {"phone": "12"},
        {"mintrf": "9"},
        {"nb": "much"},
        {"sender2": "longer than eleven"},
        {"fmts": "7;8"},
        {"ktm": "a"},
        {"vld": "-5"},
        {"tmlim": "25-3"},
        {"ph": "x"},
        {"ph": ",".join(["79161234567"] * 101)},
        {"mh1": "25"},
        {"type": "5"},
        {"type": "-1"},
        {"curr": "0"},
        {"curr": "USD"},
        {"tz": "25"},
        {"tariff": "9"},
        {"sender": "name with ы"},
        {"url": "javascript:alert(1)"},
        {"url": "http://exa mple.com/"},
    ],
    ids=str,
)
def test_what_is_not_valid(fields: dict[str, str]) -> None:
    with pytest.raises(ParameterError):
        read_changes(fields, is_new=False)


def test_columns() -> None:
    changes = read_changes(
        {
            "type": "3",
            "currency": "2",
            "tz": "15",
            "tarif": "2",
            "sender": " Shop ",
            "url": "https://example.com/handler?charset=utf-8",
            "comment": "a note",
            "new_login": "other",
            "password": "secret-1",
        },
        is_new=False,
    )
    assert changes.kind is AccountKind.SHARED_BALANCE
    assert (changes.currency, changes.timezone_minutes, changes.plan_number) == ("USD", 180, 3)
    assert (changes.sender, changes.login, changes.password) == ("Shop", "other", "secret-1")
    assert changes.callback_url == "https://example.com/handler?charset=utf-8"
    assert changes.settings == {"notes": "a note"}
    assert read_changes({"url": "", "sender": ""}, is_new=False).callback_url == ""
    assert read_changes({"url": "", "new_login": "x"}, is_new=True).callback_url is None
    assert read_changes({"new_login": "x"}, is_new=True).login is None


def test_flags() -> None:
    fields = {
        "fl[29]": "1",
        "fl[28]": "0",
        "fl[2]": "0",
        "fl2[10]": "1",
        "fl2[27]": "0",
        "fl3[20]": "yes",
        "mfl[31]": "1",
        "mfl[32]": "1",
        "fl4[1]": "1",
    }
    changes = read_changes(fields, is_new=False)
    assert (changes.is_blocked, changes.is_test) == (True, False)
    assert changes.settings == {
        "fl[29]": "1",
        "fl[28]": "",
        "fl[2]": "0",  # kept, as it is on by itself for the operator's own accounts
        "fl3[20]": "1",
        "mfl[31]": "1",
    }
