"""Builds the numbering plan data of `heliograph.domain.numbering` from free sources.

Reads the number metadata of the `phonenumbers` package, the provider database of Debian's
`mobile-broadband-provider-info`, `zone.tab` of tzdata, country names of `babel` (CLDR) and the
hand-written tables in `scripts/numbering`; writes countries.csv, networks.csv and prefixes.csv,
sorted, one row a line, so that a rebuild is a readable diff. Run it from a virtual environment
that has `phonenumbers` and `babel`:

    python scripts/build_numbering.py

Nothing is downloaded. The licences and gaps of the sources stand in
src/heliograph/domain/data/PROVENANCE.md; correct the versions there after a rebuild.
"""

from __future__ import annotations

import csv
import sys
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

import babel
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata
from phonenumbers.carrierdata import CARRIER_DATA
from phonenumbers.geodata import GEOCODE_DATA
from phonenumbers.tzdata import TIMEZONE_DATA

TABLES = Path(__file__).parent / "numbering"
sys.path.insert(0, str(TABLES))

from digit_patterns import DIGITS, DigitPattern  # noqa: E402

TARGET = Path(__file__).parents[1] / "src" / "heliograph" / "domain" / "data"
PROVIDERS = Path("/usr/share/mobile-broadband-provider-info/serviceproviders.xml")
ZONE_TABLE = Path("/usr/share/zoneinfo/zone.tab")

# Codes that belong to no country (ITU-T E.164): ISO 3166 has nothing, UN M.49 says 001 = world.
WORLD = "001"
WORLD_NAMES = {
    "800": ("International freephone", "Международный бесплатный вызов", ""),
    "808": ("International shared cost", "Международный вызов с разделением платы", ""),
    "870": ("Inmarsat", "Инмарсат", "901"),
    "878": ("Universal personal numbers", "Универсальные личные номера", ""),
    "881": ("Global satellite networks", "Глобальные спутниковые сети", "901"),
    "882": ("International networks", "Международные сети", "901"),
    "883": ("International networks", "Международные сети", "901"),
    "888": ("Disaster relief", "Помощь при бедствиях", "901"),
    "979": ("International premium rate", "Международный платный вызов", ""),
}
# Shorter or more neutral than the CLDR form; replies of the gateway put them in narrow fields.
SHORT_NAMES = {
    "HK": ("Hong Kong", "Гонконг"),
    "MO": ("Macao", "Макао"),
    "MM": ("Myanmar", "Мьянма"),
    "PS": ("Palestine", "Палестина"),
    "CD": ("DR Congo", "ДР Конго"),
    "CG": ("Congo", "Конго"),
    "BQ": ("Caribbean Netherlands", "Карибские Нидерланды"),
    "TA": ("Tristan da Cunha", "Тристан-да-Кунья"),
    "AC": ("Ascension Island", "остров Вознесения"),
}
# zone.tab orders zones by geography; where its first zone is not where most people live:
MAIN_ZONE = {
    "AU": "Australia/Sydney",
    "BR": "America/Sao_Paulo",
    "CA": "America/Toronto",
    "RU": "Europe/Moscow",
    "UA": "Europe/Kyiv",
    "UZ": "Asia/Tashkent",
}
# Places with a calling code and no row in zone.tab.
EXTRA_ZONES = {"AC": "Atlantic/St_Helena", "TA": "Atlantic/St_Helena", "XK": "Europe/Belgrade"}
# Set aside for Kazakhstan, though no number there is valid yet.
RESERVED = {"76": "KZ"}
# The time zone data knows offsets only and picks a namesake of the offset: put the place right.
ZONE_CORRECTIONS = {"740": "Europe/Kaliningrad", "7840": "Europe/Moscow"}
# Area names are kept where landline and mobile numbers share codes, and where the platform sends
# most voice calls: (calling code, longest prefix).
AREAS = (("1", 4), ("7", 6), ("375", 6), ("380", 6))
SPLIT_DEPTH = 6  # national digits; the finest split in the metadata (+44 7911 1) needs five
# The metadata names the legal owner; these numbers are served under the MVNO's own network code.
YOTA_CODES = ("7996", "7999")


@dataclass(frozen=True, slots=True)
class Row:
    """What prefixes.csv says about one prefix."""

    mccmnc: str = ""
    operator: str = ""
    region: str = ""
    region_ru: str = ""
    time_zones: str = ""
    source: str = ""


def read_table(name: str) -> list[dict[str, str]]:
    with (TABLES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_table(name: str, header: list[str], rows: list[tuple[str, ...]]) -> None:
    with (TARGET / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    print(f"{name}: {len(rows)} rows, {(TARGET / name).stat().st_size} bytes")


def fold(name: str) -> str:
    """The name without case, accents, signs and spaces: 'LG U+' and 'lgu' compare equal."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "".join(sign for sign in plain if sign.isalnum())


# --- countries ---------------------------------------------------------------------------------


def split_shared_code(code: str, regions: tuple[str, ...]) -> dict[str, str]:
    """Prefix -> region for one calling code; the code itself goes to its main region."""
    found = {code: regions[0]}
    patterns = {region: region_pattern(region, main=region == regions[0]) for region in regions}

    def walk(prefix: str, states: dict[str, frozenset[int]]) -> None:
        live = [region for region in regions if states.get(region)]
        if not live:
            return
        if len(live) == 1 or len(prefix) - len(code) >= SPLIT_DEPTH:
            found.setdefault(prefix, live[0])
            return
        for digit in sorted(DIGITS):
            walk(
                prefix + digit,
                {region: patterns[region].advance(states[region], digit) for region in live},
            )

    walk(code, {region: pattern.start for region, pattern in patterns.items()})
    return collapse(found)


def region_pattern(region: str, *, main: bool) -> DigitPattern:
    """Numbers of a region; freephone numbers shared by a whole calling code are the main one's."""
    meta = PhoneMetadata.metadata_for_region(region, None)
    if meta.leading_digits:
        return DigitPattern(f"(?:{meta.leading_digits})\\d*")
    kinds = [meta.fixed_line, meta.mobile, meta.premium_rate, meta.personal_number, meta.voip]
    kinds += [meta.uan, meta.pager]
    if main:
        kinds += [meta.toll_free, meta.shared_cost, meta.voicemail]
    patterns = [kind.national_number_pattern for kind in kinds if kind is not None]
    return DigitPattern("|".join(f"(?:{text})" for text in patterns if text and text != "NA"))


def collapse(table: dict[str, object]) -> dict:
    """Drops rows that say the same as the next shorter prefix; joins ten equal siblings."""
    table = dict(table)
    for length in range(max(map(len, table)), 1, -1):
        groups = defaultdict(list)
        for prefix in table:
            if len(prefix) == length:
                groups[prefix[:-1]].append(prefix)
        for parent, children in groups.items():
            if len(children) == 10 and len({table[child] for child in children}) == 1:
                table[parent] = table[children[0]]
    for prefix in sorted(table, key=len, reverse=True):
        if table[prefix] == nearest(table, prefix[:-1]):
            del table[prefix]
    return table


def nearest(table: dict, prefix: str):
    """The value of the longest prefix of `prefix`, itself included; None when there is none."""
    for length in range(len(prefix), 0, -1):
        if prefix[:length] in table:
            return table[prefix[:length]]
    return None


def read_zones() -> dict[str, list[str]]:
    zones: dict[str, list[str]] = defaultdict(list)
    for line in ZONE_TABLE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            iso2, _, zone, *_ = line.split("\t")
            zones[iso2].append(zone)
    for iso2, zone in EXTRA_ZONES.items():
        zones[iso2].append(zone)
    for iso2, zone in MAIN_ZONE.items():
        zones[iso2].sort(key=lambda name, main=zone: name != main)
    return zones


def country_prefixes() -> dict[str, str]:
    """Every prefix that decides the country -> ISO code (WORLD for codes of no country)."""
    owners: dict[str, str] = {}
    for number, regions in sorted(COUNTRY_CODE_TO_REGION_CODE.items()):
        code = str(number)
        owners.update({code: regions[0]} if len(regions) == 1 else split_shared_code(code, regions))
    owners.update(RESERVED)
    return owners


def write_countries(owners: dict[str, str]) -> None:
    mccs = {row["iso2"]: row["mccs"] for row in read_table("mcc.csv")}
    english, russian = babel.Locale("en").territories, babel.Locale("ru").territories
    zones = read_zones()
    by_country: dict[str, list[str]] = defaultdict(list)
    rows = []
    for prefix, iso2 in owners.items():
        if iso2 == WORLD:
            name, name_ru, mcc = WORLD_NAMES[prefix]
            rows.append((prefix, WORLD, name, name_ru, mcc, mcc, "UTC"))
        else:
            by_country[iso2].append(prefix)
    for iso2, prefixes in by_country.items():
        name, name_ru = SHORT_NAMES.get(iso2, (english[iso2], russian[iso2]))
        codes = mccs.get(iso2, "")
        rows.append(
            (
                " ".join(sorted(prefixes)),
                iso2,
                name,
                name_ru,
                codes[:3],
                codes,
                " ".join(zones[iso2]),
            )
        )
    header = ["prefixes", "iso2", "name", "name_ru", "mcc", "mccs", "time_zones"]
    write_table("countries.csv", header, sorted(rows, key=lambda row: (row[1], row[0])))


# --- networks ----------------------------------------------------------------------------------


def read_providers(mccs: dict[str, str]) -> list[tuple[str, str, str, str]]:
    """(ISO code, mccmnc, name, Russian name) of the provider database, its order kept."""
    home = {mcc: iso2 for iso2, codes in reversed(mccs.items()) for mcc in codes.split()}
    language = "{http://www.w3.org/XML/1998/namespace}lang"
    found = []
    for country in ElementTree.parse(PROVIDERS).getroot():
        for provider in country.findall("provider"):
            names = {name.get(language, ""): name.text or "" for name in provider.findall("name")}
            for network in provider.iter("network-id"):
                mcc, mnc = network.get("mcc", ""), network.get("mnc", "")
                iso2 = country.get("code", "").upper()
                if mcc not in mccs.get(iso2, "").split():
                    iso2 = home.get(mcc, "")
                if iso2 and len(mnc) in (2, 3) and names.get(""):
                    found.append((iso2, mcc + mnc, names[""], names.get("ru", "")))
    return found


class Networks:
    """All known networks, and the network of a carrier name in a country."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[str, str, str, str]] = {}
        self._by_name: dict[tuple[str, str], str] = {}
        mccs = {row["iso2"]: row["mccs"] for row in read_table("mcc.csv")}
        for row in read_table("operators.csv"):
            self._add(row["iso2"], row["mccmnc"], row["name"], row["name_ru"], "table")
            for alias in row["aliases"].split("|"):
                self._by_name.setdefault((row["iso2"], fold(alias)), row["mccmnc"])
        for iso2, mccmnc, name, name_ru in read_providers(mccs):
            self._add(iso2, mccmnc, name, name_ru, "providers")

    def _add(self, iso2: str, mccmnc: str, name: str, name_ru: str, source: str) -> None:
        self.rows.setdefault(mccmnc, (iso2, name, name_ru, source))
        for known in filter(None, (name, name_ru)):
            self._by_name.setdefault((iso2, fold(known)), mccmnc)

    def find(self, iso2: str, *names: str) -> str:
        """The code of the first name that is known in the country, or an empty string."""
        for name in names:
            if name and (found := self._by_name.get((iso2, fold(name)))):
                return found
        return ""

    def write(self) -> None:
        rows = sorted((mccmnc, *row) for mccmnc, row in self.rows.items())
        write_table("networks.csv", ["mccmnc", "iso2", "name", "name_ru", "source"], rows)


# --- prefixes ----------------------------------------------------------------------------------


def carrier_rows(owners: dict[str, str], networks: Networks) -> dict[str, Row]:
    found = {}
    for prefix, names in CARRIER_DATA.items():
        iso2 = nearest(owners, prefix)
        english = names.get("en") or names[min(names)]
        mccmnc = networks.find(iso2, english, *names.values())
        if prefix.startswith(YOTA_CODES) and mccmnc == "25002":
            continue  # allocations.csv names the virtual operator for the whole code
        operator = "" if mccmnc else " ".join(english.replace(",", " ").split())
        found[prefix] = Row(mccmnc=mccmnc, operator=operator, source="metadata")
    return found


def area_rows() -> dict[str, Row]:
    found = {}
    russian = {row["region"]: row["region_ru"] for row in read_table("regions_ru.csv")}
    for code, longest in AREAS:
        for prefix, names in GEOCODE_DATA.items():
            if prefix.startswith(code) and len(prefix) <= longest and names.get("en"):
                zones = ZONE_CORRECTIONS.get(prefix) or " ".join(nearest(TIMEZONE_DATA, prefix))
                found[prefix] = Row(
                    region=names["en"].replace(",", ""),
                    region_ru=russian.get(names["en"])
                    or names.get("ru", "").replace(",", "").strip(),
                    time_zones=zones,
                    source="area",
                )
    return found


def allocation_rows() -> dict[str, Row]:
    regions = {row["region"]: row for row in read_table("regions_ru.csv")}
    found = {}
    for row in read_table("allocations.csv"):
        region = regions.get(row["region"], {"region_ru": "", "time_zones": ""})
        found[row["prefix"]] = Row(
            mccmnc=row["mccmnc"],
            region=row["region"],
            region_ru=region["region_ru"],
            time_zones=region["time_zones"],
            source=row["source"],
        )
    return found


def write_prefixes(owners: dict[str, str], networks: Networks) -> None:
    # Order is rank: what stands later replaces the row of the same prefix.
    table = {**area_rows(), **allocation_rows(), **carrier_rows(owners, networks)}
    for prefix in sorted(table, key=len):
        row, above = table[prefix], nearest(table, prefix[:-1])
        same_country = nearest(owners, prefix) == nearest(owners, prefix[:-1])
        if above is not None and not row.region and same_country:
            table[prefix] = replace(
                row, region=above.region, region_ru=above.region_ru, time_zones=above.time_zones
            )
    rows = [
        (prefix, row.mccmnc, row.operator, row.region, row.region_ru, row.time_zones, row.source)
        for prefix, row in sorted(collapse(table).items())
    ]
    header = ["prefix", "mccmnc", "operator", "region", "region_ru", "time_zones", "source"]
    write_table("prefixes.csv", header, rows)
    coded = sum(1 for row in rows if row[1])
    print(f"  {coded} with a network code, {sum(1 for row in rows if row[2])} with a name only")


def main() -> None:
    owners = country_prefixes()
    write_countries(owners)
    networks = Networks()
    networks.write()
    write_prefixes(owners, networks)


if __name__ == "__main__":
    main()
