"""Whatever a client sends to a script, the answer is status 200 and a well-formed body."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any
from urllib.parse import quote_from_bytes
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.gateways.http.fakes import BAD_LINE, GOOD_LINE, FakeServices, Observations

from heliograph.domain.messages import MessageType
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Refused, StatusAnswer, Submitted
from heliograph.gateways.http.app import HttpGateway
from heliograph.gateways.http.errors import SYSTEM_ERROR_NUMBER
from heliograph.gateways.http.exchanges import Request

NAMES = re.findall(
    r"\w+",
    """phones mes id sender translit tinyurl time tz period freq list valid maxsms cost err op nl
    flash bin push hlr ping mms call mail viber soc whatsapp tg bot smsreq subj fileurl voice
    param phone all del cur imgcode userip apikey""",
)
VALUES = ["", "0", "1", "2", "3", "true", "79991234567", "7999,", "79991234567,79991234568", "5"]

names = st.sampled_from(NAMES) | st.text(max_size=4)
values = st.sampled_from(VALUES).map(str.encode) | st.binary(max_size=40)
fields = st.lists(st.tuples(names, values), max_size=12)
texts = st.text(max_size=20)


@st.composite
def forms(draw: st.DrawFn) -> bytes:
    pairs = draw(fields)
    form = "&".join(f"{quote_from_bytes(n.encode())}={quote_from_bytes(v)}" for n, v in pairs)
    return form.encode() + draw(st.just(b"") | st.binary(max_size=20))


bodies = st.one_of(
    st.just(b""),
    forms(),
    st.binary(max_size=60),
    st.dictionaries(
        names, st.none() | st.booleans() | st.integers() | st.floats() | texts | st.lists(texts)
    ).map(lambda members: json.dumps(members, default=str).encode()),
    st.binary(max_size=40).map(
        lambda data: (
            b'--b\r\nContent-Disposition: form-data; name="mes"\r\n\r\n' + data + b"\r\n--b--"
        )
    ),
)
kinds = st.sampled_from(
    [
        b"",
        b"application/x-www-form-urlencoded",
        b"application/json",
        b"image/png",
        b"multipart/form-data; boundary=b",
        b"multipart/form-data",
    ]
)
outcomes = st.one_of(
    st.builds(Refused, st.sampled_from(Refusal), st.sampled_from(["", "5", "a-1"])),
    st.builds(
        Submitted,
        st.sampled_from(["1", "007", "a.b"]),
        st.integers(0, 255),
        st.integers(0, 10**12),
        st.integers(-(10**12), 10**12),
        st.just([GOOD_LINE, BAD_LINE]),
        is_test=st.booleans(),
        code=st.sampled_from(["", "1234"]),
    ),
)
answers = st.builds(
    StatusAnswer,
    st.just("5"),
    st.just("79991234567"),
    is_found=st.booleans(),
    status=st.integers(-3, 25),
    changed_at=st.integers(0, 4 * 10**12),
    sender=texts,
    text=texts,
    comment=texts,
    type=st.sampled_from(MessageType),
    operator=texts,
    detail=st.none() | st.dictionaries(st.sampled_from(["imsi", "cn", "x"]), texts),
)


def ask(
    services: FakeServices,
    *,
    path: str,
    query: bytes,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
) -> tuple[int, bytes, bytes]:
    told: list[tuple[int, bytes, bytes]] = []
    request = Request("POST", path, query, headers, peer="127.0.0.1", is_tls=False, keep_alive=True)
    request.body = body
    seen = Observations()

    async def run() -> None:
        gateway = HttpGateway(services, observer=seen)
        work = gateway.begin(request, lambda *answer: told.append(answer))
        if work is not None:
            await work
        await asyncio.sleep(0)  # the commit

    asyncio.run(run())
    # No bug of the door's own hides behind a well-formed "system error".
    outcome = services.submit.outcome
    is_asked_for = isinstance(outcome, Refused) and outcome.refusal is Refusal.SYSTEM_ERROR
    assert is_asked_for or seen.requests[0][1] != SYSTEM_ERROR_NUMBER
    (answer,) = told
    return answer


def check_form(fmt: str, script: str, text: str) -> None:
    assert text
    if fmt == "3":
        json.loads(text)
    elif fmt == "2":
        ElementTree.fromstring(text)
    elif text.startswith("ERROR"):
        assert re.fullmatch(r"ERROR = \d+ \([a-z ,']+\)(, ID - [\w.-]+)?", text)
    elif script == "send":
        first = text.split("\n", maxsplit=1)[0]
        form = r"OK - \d+ SMS, ID - [\w.-]+(, [A-Z]+ - [\d.-]+)*|[\d.]+ \(\d+ SMS\)"
        if fmt == "1":
            form = r"[\w.-]+,-?[\d.]+(,[\d.-]+)*"
        assert re.fullmatch(form, first)


@settings(max_examples=300, deadline=None)
@given(
    script=st.sampled_from(["send", "status", "balance"]),
    is_rest=st.booleans(),
    fmt=st.sampled_from("0123"),
    charset=st.sampled_from(["windows-1251", "utf-8", "koi8-r"]),
    query=forms(),
    body=bodies,
    kind=kinds,
    outcome=outcomes,
    answer=answers,
)
def test_every_request_is_answered_in_its_form(
    *,
    script: str,
    is_rest: bool,
    fmt: str,
    charset: str,
    query: bytes,
    body: bytes,
    kind: bytes,
    outcome: Submitted | Refused,
    answer: StatusAnswer,
) -> None:
    services = FakeServices()
    services.submit.outcome = outcome

    async def find(*args: Any, **_: Any) -> list[StatusAnswer]:
        return [answer] * len(args[1])

    services.statuses.find = find  # type: ignore[method-assign]
    login = f"login=alex&psw=123&fmt={fmt}&charset={charset}&"
    # `fmt` and `charset` of garbage would be obeyed too: what is asked last counts.
    suffix = f"&fmt={fmt}&charset={charset}"
    is_form = kind == b"application/x-www-form-urlencoded" and not body.lstrip().startswith(b"{")
    status, head, reply = ask(
        services,
        path=f"/rest/{script}/" if is_rest else f"/sys/{script}.php",
        query=login.encode() + query + suffix.encode(),
        headers=[(b"content-type", kind)],
        body=body + suffix.encode() if is_form and body else body,
    )
    assert status == 200
    assert f"charset={charset}\r\n".encode() in head
    check_form(fmt, script, reply.decode(charset))
    assert services.limits.inside == 0
