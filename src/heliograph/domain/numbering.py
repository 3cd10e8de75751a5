"""The numbering plan: which numbers can be recipients, and whose they are.

`normalise_recipient` turns what a client wrote into the digits of an international number.
`NumberingPlan` answers for such digits: country, network (MCC and MNC), region, time zones, by the
longest known prefix, ported numbers first. The packaged tables say to whom a prefix was first
given; an administrator can lay better tables over them (see docs/reference/numbering.md).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import TypeVar

from heliograph.domain.prefix_tables import (
    PrefixRow,
    Problem,
    TableImportError,
    parse_ported_csv,
    parse_prefix_csv,
)

__all__ = [
    "CALLING_CODES",
    "Country",
    "Network",
    "NumberOrigin",
    "NumberingPlan",
    "PrefixRow",
    "Problem",
    "TableImportError",
    "bad_recipient",
    "bare_address",
    "exactly",
    "find_service_number",
    "normalise_recipient",
    "parse_ported_csv",
    "parse_prefix_csv",
]

RECIPIENT_DIGITS_MIN = 10  # send.php reference, phone numbers
RECIPIENT_DIGITS_MAX = 15  # ITU-T E.164

# Assigned country calling codes (ITU-T E.164), those of no country (satellite, freephone) included.
CALLING_CODES = frozenset(
    """
    1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64
    65 66 81 82 84 86 90 91 92 93 94 95 98 211 212 213 216 218 220 221 222 223 224 225 226 227 228
    229 230 231 232 233 234 235 236 237 238 239 240 241 242 243 244 245 246 247 248 249 250 251 252
    253 254 255 256 257 258 260 261 262 263 264 265 266 267 268 269 290 291 297 298 299 350 351 352
    353 354 355 356 357 358 359 370 371 372 373 374 375 376 377 378 380 381 382 383 385 386 387 389
    420 421 423 500 501 502 503 504 505 506 507 508 509 590 591 592 593 594 595 596 597 598 599 670
    672 673 674 675 676 677 678 679 680 681 682 683 685 686 687 688 689 690 691 692 800 808 850 852
    853 855 856 870 878 880 881 882 883 886 888 960 961 962 963 964 965 966 967 968 970 971 972 973
    974 975 976 977 979 992 993 994 995 996 998
    """.split()  # noqa: SIM905  a list of 215 quoted numbers would hide a mistake better
)

Value = TypeVar("Value")

_BAD_CHARS = 40
_NOT_DIGITS = re.compile(r"[^0-9]+")
_WRITTEN_NUMBER = re.compile(r"\+?[\d ()-]+", re.ASCII)
_PLUS_FIRST = re.compile(r"[^0-9+]*\+")
# Beyond this many answers for ported numbers the cache starts anew; they are quick to make.
_PORTED_CACHE_MAX = 20_000


def normalise_recipient(text: str) -> str | None:
    """The number as 10..15 digits without "+", or None when it cannot be a recipient.

    Rules of the send.php reference, phone numbers: everything but digits and a leading "+" is
    dropped. Without "+", Russian habits are corrected: 8 and ten digits (the second digit 3-9)
    begin with 7 instead, ten digits beginning with 9 get 7 in front. The calling code must exist.
    """
    if len(text) == 11 and text[0] == "7" and text.isascii() and text.isdigit():
        return text
    return _normalise_any(text)


def bad_recipient(text: str) -> str:
    """What messages to a recipient are kept under that can not be one: its digits, if there are
    any, and no more than its beginning."""
    text = text[:_BAD_CHARS]
    return "".join(filter(str.isdigit, text)) or text


def exactly(recipient: str) -> str:
    """A recipient that has been put right already, written so that a request takes it as it is:
    without a plus 84912345678 of Viet Nam would be taken for a Russian habit."""
    return f"+{recipient}" if recipient[:1] in ("8", "9") and recipient.isdigit() else recipient


def _normalise_any(text: str) -> str | None:
    if not text.isascii():  # full-width and Arabic digits are digits too
        text = "".join(str(int(sign)) if sign.isdecimal() else sign for sign in text)
    digits = text if text.isdecimal() else _NOT_DIGITS.sub("", text)
    if digits is text or not _PLUS_FIRST.match(text):
        if len(digits) == 11 and digits[0] == "8" and digits[1] in "3456789":
            digits = "7" + digits[1:]
        elif len(digits) == 10 and digits[0] == "9":
            digits = "7" + digits
    if not RECIPIENT_DIGITS_MIN <= len(digits) <= RECIPIENT_DIGITS_MAX:
        return None
    known = digits[0] in "17" or digits[:2] in CALLING_CODES or digits[:3] in CALLING_CODES
    return digits if known else None


def bare_address(text: str) -> str:
    """A number without what people and operators write around its digits; a name as it is."""
    text = text.strip()
    return _NOT_DIGITS.sub("", text) if _WRITTEN_NUMBER.fullmatch(text) else text


def find_service_number(owners: Mapping[str, int], address: str) -> tuple[str, int]:
    """(the number as it is known here, the account that it belongs to) of an address to which
    somebody wrote; 0: nobody's. Operators write the same number with "+", with 8 or without 7."""
    bare = bare_address(address)
    for number in (address, bare, normalise_recipient(bare) if bare.isdigit() else None):
        if number is not None and number in owners:
            return number, owners[number]
    return bare, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """A country, or a code of no country (`iso2` "001"). `mcc` is the first of `mccs`, or empty."""

    iso2: str
    name: str
    name_ru: str
    mcc: str
    mccs: tuple[str, ...]
    time_zones: tuple[str, ...]
    prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A mobile network. `name_ru` equals `name` where the operator has no Russian name."""

    mccmnc: str
    iso2: str
    name: str
    name_ru: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberOrigin:
    """Whose a number is. One shared object for all numbers of which the same is known.

    `mccmnc` is empty when the network has no known code, `operator` too when nothing is known of
    it. `time_zones`: IANA names, the most likely first, those of the country when the region is
    unknown. `mcc` is the country's main code when `mccmnc` is empty. `source`: "allocation",
    "metadata", "approximate", "area", "country", "import" or "ported".
    """

    iso2: str
    country: str
    country_ru: str
    mcc: str
    mccmnc: str
    operator: str
    operator_ru: str
    region: str
    region_ru: str
    time_zones: tuple[str, ...]
    source: str

    @property
    def mnc(self) -> str:
        """The network code with its leading zero, "01"; empty when unknown."""
        return self.mccmnc[3:]


class NumberingPlan:
    """Prefix tables ready for lookups. Immutable but for a small cache; build anew to change it.

    `imported` rows outrank `prefixes`: an imported prefix replaces the row of that prefix and all
    finer ones. `ported` maps single numbers to their present network and is asked at every lookup,
    so it may be a live mapping.
    """

    def __init__(
        self,
        countries: Iterable[Country],
        networks: Iterable[Network],
        *,
        prefixes: Iterable[PrefixRow] = (),
        imported: Iterable[PrefixRow] = (),
        ported: Mapping[str, str] | None = None,
    ) -> None:
        self._countries: dict[str, Country] = {}
        self._origins: dict[str, NumberOrigin] = {}
        self._shared: dict[NumberOrigin, NumberOrigin] = {}
        self._networks = {network.mccmnc: network for network in networks}
        self._ported: Mapping[str, str] = {} if ported is None else ported
        self._ported_origins: dict[tuple[NumberOrigin, str], NumberOrigin] = {}
        for country in countries:
            for prefix in country.prefixes:
                self._countries[prefix] = country
                self._origins[prefix] = self._describe(
                    PrefixRow(prefix=prefix, source="country"), country
                )
        self._country_lengths = _index_lengths(self._countries)
        for row in prefixes:
            self._add(row)
        self._lengths = _index_lengths(self._origins)
        self._lay_over(list(imported))

    @classmethod
    def load_default(
        cls, *, imported: Iterable[PrefixRow] = (), ported: Mapping[str, str] | None = None
    ) -> NumberingPlan:
        """The plan of the packaged tables. Takes some 0.2 s: once a process."""
        return cls(
            _read_countries(),
            _read_networks(),
            prefixes=_read_prefixes(),
            imported=imported,
            ported=ported,
        )

    def lookup(self, number: str) -> NumberOrigin | None:
        """Whose the number is now. `number`: digits without "+". None: no such calling code."""
        lengths = self._lengths.get(number[:2])
        if lengths is None:
            return None
        origins = self._origins
        for length in lengths:
            origin = origins.get(number[:length])
            if origin is not None:
                break
        else:
            return None
        if self._ported:
            mccmnc = self._ported.get(number)
            if mccmnc is not None and mccmnc != origin.mccmnc:
                return self._moved(origin, mccmnc)
        return origin

    def lookup_original(self, number: str) -> NumberOrigin | None:
        """Whose the number was before it was ported."""
        return _longest(self._origins, self._lengths, number)

    def prefix_of(self, number: str) -> str | None:
        """The longest known prefix of a number, by which it is looked up."""
        lengths = self._lengths.get(number[:2], ())
        return next((number[:n] for n in lengths if number[:n] in self._origins), None)

    def country_of(self, number: str) -> Country | None:
        """The country of a number; None when the calling code does not exist."""
        return _longest(self._countries, self._country_lengths, number)

    def network(self, mccmnc: str) -> Network | None:
        return self._networks.get(mccmnc)

    def iter_networks(self) -> Iterator[Network]:
        """All networks in the order of their codes."""
        return iter(sorted(self._networks.values(), key=lambda network: network.mccmnc))

    def iter_countries(self) -> Iterator[Country]:
        """All countries in the order of their ISO codes."""
        unique = {(country.iso2, country.prefixes): country for country in self._countries.values()}
        return iter(unique[key] for key in sorted(unique))

    def __len__(self) -> int:
        """How many prefixes are told apart."""
        return len(self._origins)

    def _add(self, row: PrefixRow) -> None:
        country = _longest(self._countries, self._country_lengths, row.prefix)
        if country is not None:
            self._origins[row.prefix] = self._describe(row, country)

    def _describe(self, row: PrefixRow, country: Country) -> NumberOrigin:
        network = self._networks.get(row.mccmnc)
        if row.operator or network is None:
            operator = operator_ru = row.operator
        else:
            operator, operator_ru = network.name, network.name_ru
        origin = NumberOrigin(
            iso2=country.iso2,
            country=country.name,
            country_ru=country.name_ru,
            mcc=row.mccmnc[:3] or country.mcc,
            mccmnc=row.mccmnc,
            operator=operator,
            operator_ru=operator_ru,
            region=row.region,
            region_ru=row.region_ru or row.region,
            time_zones=row.time_zones or country.time_zones,
            source=row.source,
        )
        return self._shared.setdefault(origin, origin)

    def _lay_over(self, imported: list[PrefixRow]) -> None:
        """Puts imported rows on top; a row without a region keeps the packaged one."""
        if not imported:
            return
        filled = []
        for given_row in imported:
            row = given_row
            below = _longest(self._origins, self._lengths, row.prefix)
            if below is not None and below.region and not row.region and not row.time_zones:
                row = replace(
                    row,
                    region=below.region,
                    region_ru=below.region_ru,
                    time_zones=below.time_zones,
                )
            filled.append(row)
        given = {row.prefix for row in imported}
        lengths = _index_lengths(given)
        for prefix in list(self._origins):
            replaced = any(prefix[:length] in given for length in lengths.get(prefix[:2], ()))
            if replaced and prefix not in self._countries:
                del self._origins[prefix]
        for row in filled:
            self._add(row)
        self._lengths = _index_lengths(self._origins)

    def _moved(self, origin: NumberOrigin, mccmnc: str) -> NumberOrigin:
        key = (origin, mccmnc)
        moved = self._ported_origins.get(key)
        if moved is None:
            if len(self._ported_origins) >= _PORTED_CACHE_MAX:
                self._ported_origins.clear()
            network = self._networks.get(mccmnc)
            moved = self._ported_origins[key] = replace(
                origin,
                mccmnc=mccmnc,
                mcc=mccmnc[:3],
                operator=network.name if network else "",
                operator_ru=network.name_ru if network else "",
                source="ported",
            )
        return moved


def _index_lengths(prefixes: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """First two digits -> lengths of the prefixes that begin so, longest first.

    Most numbers then need two or three tries: the plan of one country is rarely deep.
    """
    found: dict[str, set[int]] = {}
    for prefix in prefixes:
        heads = [prefix[:2]]
        if len(prefix) == 1:
            heads += [prefix + digit for digit in "0123456789"]
        for head in heads:
            found.setdefault(head, set()).add(len(prefix))
    return {head: tuple(sorted(lengths, reverse=True)) for head, lengths in found.items()}


def _longest(
    table: Mapping[str, Value], lengths: Mapping[str, tuple[int, ...]], number: str
) -> Value | None:
    for length in lengths.get(number[:2], ()):
        value = table.get(number[:length])
        if value is not None:
            return value
    return None


def _read_table(name: str) -> Iterator[list[str]]:
    path = resources.files("heliograph.domain").joinpath("data", name)
    with path.open(encoding="utf-8") as file:
        lines = csv.reader(file)
        next(lines)
        yield from lines


def _read_countries() -> Iterator[Country]:
    for prefixes, iso2, name, name_ru, mcc, mccs, time_zones in _read_table("countries.csv"):
        yield Country(
            iso2=iso2,
            name=name,
            name_ru=name_ru,
            mcc=mcc,
            mccs=tuple(mccs.split()),
            time_zones=tuple(time_zones.split()),
            prefixes=tuple(prefixes.split()),
        )


def _read_networks() -> Iterator[Network]:
    for mccmnc, iso2, name, name_ru, _source in _read_table("networks.csv"):
        yield Network(mccmnc=mccmnc, iso2=iso2, name=name, name_ru=name_ru or name)


def _read_prefixes() -> Iterator[PrefixRow]:
    zone_lists: dict[str, tuple[str, ...]] = {"": ()}  # few differ: share the tuples
    for prefix, mccmnc, operator, region, region_ru, zones, source in _read_table("prefixes.csv"):
        if zones not in zone_lists:
            zone_lists[zones] = tuple(zones.split())
        yield PrefixRow(
            prefix=prefix,
            mccmnc=mccmnc,
            operator=operator,
            region=region,
            region_ru=region_ru,
            time_zones=zone_lists[zones],
            source=source,
        )
