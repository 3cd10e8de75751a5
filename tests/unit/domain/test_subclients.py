"""What sub-clients take from their main accounts while the gateway runs."""

from __future__ import annotations

from typing import Any

import pytest

from heliograph.domain.accounts import Account, AccountKind
from heliograph.domain.ledger import owner_of_purse, purse_of
from heliograph.domain.messages import MessageType
from heliograph.domain.policies import Policy
from heliograph.domain.subclients import (
    SubclientChanges,
    act,
    is_subclient_login,
    restrictions_of,
    share,
)


def account(id: int, parent_id: int = 0, **fields: Any) -> Account:
    return Account(id=id, login=f"a{id}", payer_id=id, parent_id=parent_id, **fields)


def test_a_block_goes_where_the_money_goes() -> None:
    known = [
        account(5, 4, kind=AccountKind.SHARED),
        account(4, 1, kind=AccountKind.LOGIN),
        account(3, 2, kind=AccountKind.SHARED_BALANCE),
        account(2, 1, kind=AccountKind.SHARED_PLAN),
        account(1, is_blocked=True),
    ]
    assert {each.id: each.is_blocked for each in share(known)} == {
        1: True,
        2: False,
        3: False,
        4: True,
        5: True,
    }


def test_what_is_forbidden_goes_where_the_money_goes() -> None:
    mute = Policy(may_send=False)
    known = [
        account(1),
        account(2, 1, kind=AccountKind.SHARED, policy=mute, settings={"fl[28]": "1"}),
        account(3, 2, kind=AccountKind.SHARED, policy=Policy(messages_a_day=5)),
        account(4, 3, kind=AccountKind.SHARED_BALANCE, is_test=True),
        account(5, 4, kind=AccountKind.LOGIN, settings={"fl[29]": "1"}),
        account(6, 4, kind=AccountKind.SHARED_PLAN),
        account(7, 1, kind=AccountKind.SHARED, policy=Policy(may_send_masses=False)),
        account(8, 7, kind=AccountKind.SHARED, policy=mute),
    ]
    found = {each.id: each for each in share(known)}
    assert {id: restrictions_of(each) for id, each in found.items()} == {
        1: set(),
        2: {"fl[6]", "fl[28]"},
        3: {"fl[6]", "fl[28]"},
        4: {"fl[6]", "fl[28]", "fl2[27]"},
        5: {"fl[6]", "fl[28]", "fl2[27]"},
        6: set(),  # it has a balance of its own
        7: {"fl2[23]"},
        8: {"fl[6]", "fl2[23]"},
    }
    assert found[3].policy == Policy(messages_a_day=5, may_send=False)
    assert found[5].settings == {"fl[29]": "1", "fl[28]": "1"}


def test_the_default_name_is_handed_down_to_who_may_use_it() -> None:
    known = [
        account(1, default_sender="MAIN"),
        account(2, 1, settings={"fl[29]": "1"}),
        account(3, 2, settings={"fl[29]": "1"}),
        account(4, 1),
        account(5, 1, settings={"fl[29]": "1"}, default_sender="OWN"),
    ]
    assert [each.default_sender for each in share(known)] == ["MAIN", "MAIN", "MAIN", "", "OWN"]


def test_who_has_nothing_to_inherit_stays_the_same_object() -> None:
    known = [account(1), account(2, 1), account(3, 99)]
    assert all(a is b for a, b in zip(share(known), known, strict=True))


def test_a_circle_ends() -> None:
    assert len(share([account(1, 2), account(2, 1)])) == 2


def test_acting_as_the_main_account() -> None:
    main = account(1, policy=Policy(messages_a_day=3))
    acting = act(account(2, 1, kind=AccountKind.LOGIN), main)
    assert (acting.id, acting.actor_id, acting.policy) == (1, 2, main.policy)
    mute = act(account(2, 1, policy=Policy(may_send=False), is_test=True), main)
    assert mute.policy == Policy(messages_a_day=3, may_send=False)
    assert mute.is_test
    thrifty = act(account(2, 1, settings={"fl[28]": "1", "fl[29]": "1"}), main)
    assert thrifty.settings == {"fl[28]": "1"}
    assert main.settings == {}


def test_purses() -> None:
    rich = account(7, electronic_id=-7)
    assert rich.purse_for(MessageType.SMS) == 7
    assert rich.purse_for(MessageType.CALL) == -7
    assert account(7).purse_for(MessageType.CALL) == 7
    for is_electronic in (False, True):
        assert owner_of_purse(purse_of(7, is_electronic=is_electronic)) == 7


@pytest.mark.parametrize(
    ("login", "is_one"),
    [("abc", True), ("a.b-c_d@e", True), ("ab", False), ("имя", False), ("a b c", False)],
)
def test_logins(login: str, is_one: bool) -> None:
    assert is_subclient_login(login) is is_one


def test_what_an_account_may_change_of_itself() -> None:
    assert SubclientChanges(password="new", timezone_minutes=0, callback_url="").is_personal
    assert SubclientChanges(settings={"phone": "1", "fl[10]": "1", "mfl[3]": "1"}).is_personal
    for changes in (
        SubclientChanges(settings={"fmts": ""}),
        SubclientChanges(settings={"fl[27]": ""}),
        SubclientChanges(kind=AccountKind.OWN),
        SubclientChanges(is_test=True),
        SubclientChanges(login="other"),
        SubclientChanges(sender="NAME"),
    ):
        assert not changes.is_personal
