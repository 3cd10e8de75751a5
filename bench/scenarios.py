"""The scenarios: what is sent, and how the operator behaves. A new one is a function and a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from bench.gateway import BULK_NUMBERS
from bench.service import Door


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where a loader finds things, and which numbers it may use."""

    tools: Path
    door: Door
    first: int  # running number of the first message
    messages: int  # how many to send

    def http_loader(self, *options: str, requests: int) -> list[str]:
        common = ["-n", str(requests), "-s", str(self.first)]
        return [str(self.tools / "httpload"), *common, "-e", self.door.good, *options]


class Way(Enum):
    """By which door messages come in; not every gateway has all."""

    HTTP = "http"
    BULK = "bulk"
    SMPP = "smpp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    name: str
    about: str
    load: Callable[[Stage], list[str]]  # the loader's command line
    messages: int  # in one run
    operator: Mapping[str, int] = field(default_factory=dict)  # settings of the sink
    callbacks: bool = False
    way: Way = Way.HTTP
    by_default: bool = True


def load_single(stage: Stage) -> list[str]:
    return [*stage.http_loader("-c", "32", requests=stage.messages), stage.door.single_url]


def load_many_connections(stage: Stage) -> list[str]:
    return [*stage.http_loader("-c", "128", requests=stage.messages), stage.door.single_url]


def load_bulk(stage: Stage) -> list[str]:
    assert stage.door.bulk is not None
    url, body = stage.door.bulk
    requests = max(1, stage.messages // BULK_NUMBERS)
    return [*stage.http_loader("-c", "2", "-B", body, requests=requests), url]


def load_paced(stage: Stage) -> list[str]:
    return [
        *stage.http_loader("-c", "32", "-R", "1000", requests=stage.messages),
        stage.door.single_url,
    ]


def load_smpp(stage: Stage) -> list[str]:
    door = stage.door.smpp
    assert door is not None
    where = ["-P", str(door.port), "-u", door.login, "-k", door.password, "-W", "50"]
    return [
        *(str(stage.tools / "smppload"), *where),
        *("-n", str(stage.messages), "-s", str(stage.first)),
    ]


def load_smpp_receipts(stage: Stage) -> list[str]:
    return [*load_smpp(stage), "-r"]


def load_smpp_ten(stage: Stage) -> list[str]:
    return [*load_smpp(stage), "-b", "10"]


def load_smpp_ten_receipts(stage: Stage) -> list[str]:
    return [*load_smpp_ten(stage), "-r"]


SCENARIOS = (
    Scenario(
        name="single", about="HTTP single sends, 32 connections", load=load_single, messages=30_000
    ),
    Scenario(
        name="bulk",
        about="HTTP requests with 10,000 numbers",
        load=load_bulk,
        messages=20 * BULK_NUMBERS,
        way=Way.BULK,
    ),
    Scenario(
        name="receipts",
        about="HTTP single sends, receipts, callbacks",
        load=load_single,
        messages=30_000,
        operator={"delay": 0},
        callbacks=True,
    ),
    Scenario(
        name="distant20",
        about="HTTP single sends, operator 20 ms away, window 100",
        load=load_many_connections,
        messages=20_000,
        operator={"latency": 20},
    ),
    Scenario(
        name="distant100",
        about="HTTP single sends, operator 100 ms away, window 100",
        load=load_many_connections,
        messages=5_000,
        operator={"latency": 100},
    ),
    Scenario(
        name="paced",
        about="HTTP single sends, 1,000 a second offered",
        load=load_paced,
        messages=5_000,
        by_default=False,
    ),
    Scenario(
        name="smpp",
        about="SMPP to SMPP, one bind, window 50",
        load=load_smpp,
        messages=50_000,
        way=Way.SMPP,
    ),
    Scenario(
        name="smpp-receipts",
        about="SMPP to SMPP with receipts back",
        load=load_smpp_receipts,
        messages=50_000,
        operator={"delay": 0},
        way=Way.SMPP,
    ),
    Scenario(
        name="smpp10",
        about="SMPP to SMPP, ten binds, window 50 each",
        load=load_smpp_ten,
        messages=100_000,
        way=Way.SMPP,
    ),
    Scenario(
        name="smpp10-receipts",
        about="SMPP to SMPP, ten binds, with receipts back",
        load=load_smpp_ten_receipts,
        messages=100_000,
        operator={"delay": 0},
        way=Way.SMPP,
    ),
)
