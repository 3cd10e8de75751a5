"""Numbering plan: recipients as the send.php reference has them, known numbers, imported tables."""

from __future__ import annotations

import csv
import timeit
import zoneinfo
from importlib import resources

import pytest

from heliograph.domain import numbering
from heliograph.domain.numbering import (
    CALLING_CODES,
    NumberingPlan,
    PrefixRow,
    TableImportError,
    bare_address,
    find_service_number,
    normalise_recipient,
    parse_ported_csv,
    parse_prefix_csv,
)
from heliograph.domain.prefix_tables import PROBLEMS_MAX, split_range


@pytest.fixture(scope="module")
def plan() -> NumberingPlan:
    return NumberingPlan.load_default()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("79161234567", "79161234567"),
        ("+79161234567", "79161234567"),
        (" +7 (916) 123-45-67\t", "79161234567"),
        ("(+7) 916 123 45 67", "79161234567"),
        ("8 916 123-45-67", "79161234567"),
        ("88005553535", "78005553535"),
        ("9161234567", "79161234567"),
        ("380671234567", "380671234567"),
        ("+380 67 123 45 67", "380671234567"),
        ("375291234567", "375291234567"),
        ("+84912345678", "84912345678"),  # "+" keeps Vietnam out of the Russian habit
        ("84912345678", "74912345678"),
        ("81312345678", "81312345678"),  # second digit 1: Japan, not a Russian 8
        ("+9161234567", "9161234567"),  # "+" keeps the ten digits as they are: India
        ("4915112345678", "4915112345678"),
        ("٧٩١٦١٢٣٤٥٦٧", "79161234567"),
        ("７９１６１２３４５６７", "79161234567"),
        ("671234567", None),  # nine digits of a Ukrainian number are left alone
        ("0671234567", None),
        ("+89161234567", None),  # no calling code begins with 891
        ("+2101234567", None),
        ("123456789", None),
        ("1234567890", "1234567890"),
        ("7" * 15, "7" * 15),
        ("7" * 16, None),
        ("", None),
        ("+", None),
        ("ivan@example.com", None),
        ("²³¹¹²³¹²³¹¹", None),  # superscripts are digits to str.isdigit, not to a telephone
        ("7²³¹¹²³¹²³¹", None),
    ],
)
def test_normalise_recipient(text: str, expected: str | None) -> None:
    assert normalise_recipient(text) == expected


@pytest.mark.parametrize(
    ("number", "iso2", "mccmnc", "operator_ru"),
    [
        ("79101112233", "RU", "25001", "МТС"),
        ("79161234567", "RU", "25001", "МТС"),
        ("79851234567", "RU", "25001", "МТС"),
        ("79211112233", "RU", "25002", "МегаФон"),
        ("79262138080", "RU", "25002", "МегаФон"),
        ("79371112233", "RU", "25002", "МегаФон"),
        ("79031112233", "RU", "25099", "Билайн"),
        ("79611112233", "RU", "25099", "Билайн"),
        ("79501112233", "RU", "25020", "Теле2"),
        ("79771112233", "RU", "25020", "Теле2"),
        ("79991112233", "RU", "25011", "Yota"),
        ("79000312233", "RU", "25035", "Мотив"),
        ("380501234567", "UA", "25501", "Vodafone"),
        ("380671234567", "UA", "25503", "Киевстар"),
        ("380931234567", "UA", "25506", "lifecell"),
        ("380911234567", "UA", "25507", "ТриМоб"),
        ("77011234567", "KZ", "40102", "Kcell"),
        ("77051234567", "KZ", "40101", "Билайн"),
        ("77071234567", "KZ", "40177", "Теле2"),
        ("375291234567", "BY", "25701", "A1"),
        ("375295234567", "BY", "25702", "МТС"),
        ("375331234567", "BY", "25702", "МТС"),
        ("375251234567", "BY", "25704", "life:)"),
        ("4915112345678", "DE", "26201", "Telekom"),
        ("905321234567", "TR", "28601", "Turkcell"),
        ("998901234567", "UZ", "43404", "Билайн"),
    ],
)
def test_known_numbers(
    plan: NumberingPlan, number: str, iso2: str, mccmnc: str, operator_ru: str
) -> None:
    origin = plan.lookup(number)
    assert origin is not None
    assert (origin.iso2, origin.mccmnc, origin.operator_ru) == (iso2, mccmnc, operator_ru)
    assert (origin.mcc, origin.mnc) == (mccmnc[:3], mccmnc[3:])
    prefix = plan.prefix_of(number)
    assert prefix
    assert number.startswith(prefix)


@pytest.mark.parametrize(
    ("number", "iso2"),
    [
        ("74951234567", "RU"),
        ("76001234567", "KZ"),
        ("77271234567", "KZ"),
        ("12025550123", "US"),
        ("14165550123", "CA"),
        ("18095550123", "DO"),
        ("18765550123", "JM"),
        ("447400123456", "GB"),
        ("447797712345", "JE"),
        ("447624123456", "IM"),
        ("3906698123456", "VA"),
        ("393123456789", "IT"),
        ("870773111632", "001"),
    ],
)
def test_shared_calling_codes(plan: NumberingPlan, number: str, iso2: str) -> None:
    country = plan.country_of(number)
    assert country is not None
    assert country.iso2 == iso2


def test_origin_of_a_moscow_number_has_place_and_time(plan: NumberingPlan) -> None:
    origin = plan.lookup("79262138080")
    assert origin is not None
    assert (origin.country, origin.country_ru) == ("Russia", "Россия")
    assert (origin.region, origin.region_ru) == ("Moscow", "Москва и Московская область")
    assert origin.time_zones == ("Europe/Moscow",)
    assert origin.source == "allocation"


def test_country_answers_when_the_network_is_unknown(plan: NumberingPlan) -> None:
    origin = plan.lookup("79971234567")
    assert origin is not None
    assert (origin.mccmnc, origin.operator, origin.mcc) == ("", "", "250")
    assert (origin.mnc, origin.source, origin.time_zones[0]) == ("", "country", "Europe/Moscow")


@pytest.mark.parametrize("number", ["", "0", "2101234567", "999999999999", "abc", "89161234567"])
def test_unknown_calling_code_has_no_origin(plan: NumberingPlan, number: str) -> None:
    assert plan.lookup(number) is None
    assert plan.lookup_original(number) is None
    assert plan.country_of(number) is None


def test_ported_number_has_its_present_network_and_its_old_place() -> None:
    ported = {"79262138080": "25001", "79161234567": "25001"}
    plan = NumberingPlan.load_default(ported=ported)
    origin, before = plan.lookup("79262138080"), plan.lookup_original("79262138080")
    assert origin is not None
    assert before is not None
    assert (origin.mccmnc, origin.operator, origin.source) == ("25001", "MTS", "ported")
    assert (before.mccmnc, before.operator) == ("25002", "MegaFon")
    assert (origin.region, origin.iso2) == ("Moscow", "RU")
    assert plan.lookup("79262138080") is origin
    assert plan.lookup("79161234567") is plan.lookup_original("79161234567")
    ported["79262138081"] = "99999"
    moved = plan.lookup("79262138081")
    assert moved is not None
    assert (moved.mccmnc, moved.operator) == ("99999", "")


def test_prefixes_of_which_the_same_is_known_share_one_origin() -> None:
    codes = ("25001", "25002")
    rows = [PrefixRow(prefix=f"7{n}", mccmnc=codes[n % 2]) for n in range(10_000, 12_000)]
    plan = NumberingPlan.load_default(imported=rows)
    origins = [plan.lookup(row.prefix.ljust(11, "0")) for row in rows]
    assert len({id(origin) for origin in origins}) == 2
    assert [origin.mccmnc for origin in origins if origin] == [row.mccmnc for row in rows]


def test_imported_prefix_replaces_the_finer_packaged_rows() -> None:
    plan = NumberingPlan.load_default(
        imported=[
            PrefixRow(prefix="7902", mccmnc="25001"),
            PrefixRow(prefix="790216", operator="Petrov Telecom", region="Tver"),
            PrefixRow(prefix="79262", mccmnc="25099"),
            PrefixRow(prefix="7", mccmnc="25099"),
        ]
    )
    whole = plan.lookup("79020512345")
    assert whole is not None
    assert (whole.mccmnc, whole.source) == ("25001", "import")
    assert plan.prefix_of("79020512345") == "7902"
    small = plan.lookup("79021612345")
    assert small is not None
    assert (small.mccmnc, small.operator, small.region) == ("", "Petrov Telecom", "Tver")
    kept_place = plan.lookup("79262138080")
    assert kept_place is not None
    assert (kept_place.mccmnc, kept_place.region) == ("25099", "Moscow")
    everything = plan.lookup("79161234567")
    assert everything is not None
    assert (everything.mccmnc, plan.prefix_of("79161234567")) == ("25099", "7")
    kazakh = plan.country_of("77011234567")
    assert kazakh is not None
    assert kazakh.iso2 == "KZ"


def test_packaged_tables_are_sound(plan: NumberingPlan) -> None:
    known_zones = zoneinfo.available_timezones()
    countries = list(plan.iter_countries())
    for country in countries:
        assert country.name.strip()
        assert country.name_ru.strip()
        assert "," not in country.name + country.name_ru, "replies are split by comma"
        assert set(country.time_zones) <= known_zones
        assert country.mcc == (country.mccs[0] if country.mccs else "")
    assert {code for country in countries for code in country.prefixes} >= CALLING_CODES
    assert len({country.iso2 for country in countries}) > 240
    networks = list(plan.iter_networks())
    assert [network.mccmnc for network in networks] == sorted({n.mccmnc for n in networks})
    home = {country.iso2: country.mccs for country in countries}
    for network in networks:
        assert network.mccmnc[:3] in home[network.iso2], network
        assert len(network.mccmnc) in (5, 6)
        assert "," not in network.name + network.name_ru
        assert plan.network(network.mccmnc) == network


def test_packaged_prefixes_are_sorted_unique_and_refer_to_networks(plan: NumberingPlan) -> None:
    text = resources.files("heliograph.domain").joinpath("data", "prefixes.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    prefixes = [row["prefix"] for row in rows]
    assert prefixes == sorted(set(prefixes))
    assert len(prefixes) > 25_000
    known_zones = zoneinfo.available_timezones()
    for row in rows:
        assert plan.lookup(row["prefix"]) is not None
        assert not row["mccmnc"] or plan.network(row["mccmnc"]) is not None, row
        assert not (row["mccmnc"] and row["operator"]), row
        assert row["source"] in {"metadata", "allocation", "approximate", "area"}
        assert set(row["time_zones"].split()) <= known_zones, row
        assert "," not in row["operator"] + row["region"] + row["region_ru"]


def test_import_reads_prefixes() -> None:
    text = (
        "\ufeffPrefix;MCCMNC;Region;time_zones\r\n"
        '+7916;25001;"Москва; область";Europe/Moscow Europe/Kaliningrad\r\n'
        "\r\n"
        "38067 ; 25503;;\r\n"
    )
    assert parse_prefix_csv(text) == [
        PrefixRow(
            prefix="7916",
            mccmnc="25001",
            region="Москва; область",
            time_zones=("Europe/Moscow", "Europe/Kaliningrad"),
        ),
        PrefixRow(prefix="38067", mccmnc="25503"),
    ]


def test_import_splits_ranges() -> None:
    rows = parse_prefix_csv(
        "from,to,operator\n79160000000,79161999999,A\n79162000000,79162000009,B\n"
    )
    assert [(row.prefix, row.operator) for row in rows] == [
        ("79160", "A"),
        ("79161", "A"),
        ("7916200000", "B"),
    ]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("79000000000", "79999999999", ["79"]),
        ("70000000000", "79999999999", ["7"]),
        ("79160000000", "79160000000", ["79160000000"]),
        ("798", "803", ["798", "799", "800", "801", "802", "803"]),
        ("795", "809", ["795", "796", "797", "798", "799", "80"]),
    ],
)
def test_split_range(first: str, last: str, expected: list[str]) -> None:
    assert list(split_range(first, last)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column prefix: needs a column prefix, or from and to"),
        ("prefix,mccmnc,price\n", "line 1, column price: unknown column"),
        ("prefix,prefix,mccmnc\n", "line 1, column prefix: the column is there twice"),
        ("prefix,region\n7916,Moscow\n", "line 1, column mccmnc: needs a column"),
        ("prefix,mccmnc\n0916,25001\n", "line 2, column prefix: '0916' is not 1 to 15 digits"),
        ("prefix,mccmnc\n\n7916,250\n", "line 3, column mccmnc: '250' is not a network code"),
        ("prefix,mccmnc\n7916,\n", "line 2, column mccmnc: '' is not a network code"),
        ("prefix,mccmnc\n7916\n", "line 2, column -: 1 values where the header has 2 columns"),
        ("prefix,mccmnc\n7916,25001\n7916,25002\n", "7916 was given in line 2 already"),
        ("from,to,mccmnc\n7916,791,25001\n", "line 2, column to: '791' must have as many digits"),
        ("from,to,mccmnc\n7917,7916,25001\n", "line 2, column to: '7916' must have as many"),
        ("from,to,mccmnc\nx,7916,25001\n", "line 2, column from: 'x' is not a full number"),
        ("prefix,operator\n7916," + "x" * 81 + "\n", "line 2, column operator: longer than 80"),
        ("prefix,mccmnc,time_zones\n7916,25001,+3\n", "line 2, column time_zones: '+3' is not"),
        ('prefix,mccmnc\n7916,"' + "2" * 200_000 + '"\n', "line 2, column -: not a CSV line"),
    ],
)
def test_import_names_line_and_column_of_a_mistake(text: str, message: str) -> None:
    with pytest.raises(TableImportError) as caught:
        parse_prefix_csv(text)
    assert message in str(caught.value)
    assert caught.value.problems


def test_import_reports_many_mistakes_but_not_all() -> None:
    text = "prefix,mccmnc\n" + "".join(f"79{line:04},bad\n" for line in range(100))
    with pytest.raises(TableImportError) as caught:
        parse_prefix_csv(text)
    assert len(caught.value.problems) == PROBLEMS_MAX
    assert [problem.line for problem in caught.value.problems][:3] == [2, 3, 4]


def test_import_of_ported_numbers() -> None:
    text = "Phone;mccmnc\n79161234567;25002\n+79161234567;25020\n79031234567;25001\n"
    assert parse_ported_csv(text) == {"79161234567": "25020", "79031234567": "25001"}
    with pytest.raises(TableImportError, match="line 1, column mccmnc: the column is missing"):
        parse_ported_csv("phone\n79161234567\n")
    with pytest.raises(TableImportError, match="line 2, column phone: '916' is not"):
        parse_ported_csv("phone,mccmnc\n916,25001\n")
    with pytest.raises(TableImportError, match="line 2, column mccmnc: 'MTS' is not"):
        parse_ported_csv("phone,mccmnc\n79161234567,MTS\n")


def test_lookups_do_not_scan(plan: NumberingPlan) -> None:
    """Far above the real cost (under a microsecond): fails only when a lookup becomes a search."""
    calls = 2000
    per_lookup = min(timeit.repeat(lambda: plan.lookup("79161234567"), number=calls, repeat=5))
    per_normal = min(timeit.repeat(lambda: normalise_recipient("79161234567"), number=calls))
    assert per_lookup / calls < 20e-6
    assert per_normal / calls < 10e-6


def test_public_names_exist_and_are_sorted() -> None:
    assert numbering.__all__ == sorted(numbering.__all__)
    assert all(hasattr(numbering, name) for name in numbering.__all__)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("79580000001", ("79580000001", 5)),
        ("+79580000001", ("79580000001", 5)),
        ("89580000001", ("79580000001", 5)),
        ("9580000001", ("79580000001", 5)),
        ("+7 958 000-00-01", ("79580000001", 5)),
        ("4444", ("4444", 6)),
        ("+4444", ("4444", 6)),
        ("88005553535", ("88005553535", 7)),  # as the operator has it, before any correction
        ("Shop", ("Shop", 8)),
        ("79580000002", ("79580000002", 0)),
        ("+84912345678", ("84912345678", 0)),
        ("", ("", 0)),
    ],
)
def test_service_numbers_as_operators_write_them(address: str, expected: tuple[str, int]) -> None:
    owners = {"79580000001": 5, "4444": 6, "88005553535": 7, "Shop": 8}
    assert find_service_number(owners, address) == expected


@pytest.mark.parametrize(
    ("text", "bare"),
    [("+7 (916) 123-45-67", "79161234567"), ("4444", "4444"), ("My-Bank 1", "My-Bank 1")],
)
def test_bare_addresses(text: str, bare: str) -> None:
    assert bare_address(text) == bare
