"""The networks that the built-in carrier knows by name, and what a network query (HLR) answers.

A number's network is told by the platform (`mccmnc`); without it the test network 001-01 of ITU-T
E.212 answers. The names are written out in full, as the real answers have them.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LookupView", "answer_lookup", "find_network", "view_of"]


class Network(NamedTuple):
    """One mobile network. `centre` is the number of its switching centre."""

    mcc: str
    mnc: str
    country: str
    name: str
    centre: str


_TEST = Network("001", "01", "Test country", "Virtual network", "88200000000")
_NETWORKS = {
    network.mcc + network.mnc: network
    for network in (
        Network("250", "01", "Russian Federation", "MTS", "79168999100"),
        Network("250", "02", "Russian Federation", "MegaFon", "79262909100"),
        Network("250", "20", "Russian Federation", "Tele2", "79043490000"),
        Network("250", "99", "Russian Federation", "Beeline", "79037011111"),
        Network("257", "01", "Belarus", "A1", "375296000000"),
        Network("401", "77", "Kazakhstan", "Tele2", "77073570000"),
        Network("255", "01", "Ukraine", "Vodafone", "380500000501"),
        Network("262", "02", "Germany", "Vodafone", "491722270000"),
    )
}
_ROAMING = _NETWORKS["26202"]


class LookupView(NamedTuple):
    """What a query finds: at home, in another network, abroad."""

    is_ported: bool = False
    is_roaming: bool = False


_VIEWS = {"8001": LookupView(is_ported=True), "8002": LookupView(is_roaming=True)}
_AT_HOME = LookupView()


def view_of(code: str) -> LookupView:
    """What a query finds for the code of a magic number (see `carrier`)."""
    return _VIEWS.get(code, _AT_HOME)


def find_network(mccmnc: str) -> Network:
    """The named network; one that is not known by name gets its numbers and the test names."""
    network = _NETWORKS.get(mccmnc)
    if network is not None:
        return network
    if len(mccmnc) < 5 or not mccmnc.isdigit():
        return _TEST
    return _TEST._replace(mcc=mccmnc[:3], mnc=mccmnc[3:])


def answer_lookup(recipient: str, mccmnc: str, view: LookupView) -> dict[str, str]:
    """The members of an HLR answer: imsi, msc, mcc, mnc, cn, net, rcn, rnet.

    A ported number answers with the network it is in now; `rcn` and `rnet` are empty at home.
    """
    home = find_network(mccmnc)
    if view.is_ported:
        other = "25002" if home.mnc != "02" else "25001"
        home = _NETWORKS[other if home.mcc == "250" else "40177"]
    visited = _ROAMING if view.is_roaming else None
    return {
        "imsi": (home.mcc + home.mnc + recipient[-10:].rjust(10, "0"))[:15],
        "msc": visited.centre if visited else home.centre,
        "mcc": home.mcc,
        "mnc": home.mnc,
        "cn": home.country,
        "net": home.name,
        "rcn": visited.country if visited else "",
        "rnet": visited.name if visited else "",
    }
