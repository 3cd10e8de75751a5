"""`phones.php` and `mails.php`: contacts, groups and the black list (contacts reference).

The two scripts are one, for phone numbers and for e-mail addresses. Names in requests and in
replies differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from heliograph.domain.blacklists import BlackType
from heliograph.domain.contacts import (
    MAX_FIELD_CHARS,
    MAX_PAGE,
    Contact,
    ContactFilter,
    ContactKind,
    normalise_address,
    parse_birthday,
    split_addresses,
)
from heliograph.domain.refusals import Refusal
from heliograph.gateways.http.calls import Call, Reply
from heliograph.gateways.http.operations import (
    finish,
    read_id,
    read_text,
    require,
    run_operation,
)
from heliograph.gateways.http.repetition import count_equal
from heliograph.gateways.http.send_request import ParameterError
from heliograph.protocols.forms.replies import Value, write_created, write_list

__all__ = ["mails", "phones"]

_PAGE = 1000
_MAX_DELETED = 1000
_MAX_GROUPS = 100
_ADDRESS_NAMES = {ContactKind.PHONE: "phone", ContactKind.MAIL: "mail"}
# Names in requests of what a contact has.
_FIELDS = {
    "name": "name",
    "fnm": "first_name",
    "lnm": "last_name",
    "mnm": "middle_name",
    "bd": "birthday",
    "myid": "client_ref",
    "cmt": "comments",
    "tags": "tags",
    "pho": "other_numbers",
}


async def phones(call: Call) -> Reply:
    """One operation on contacts with phone numbers, on their groups or on the black list."""
    return await _run(call, ContactKind.PHONE)


async def mails(call: Call) -> Reply:
    """The same for contacts with e-mail addresses."""
    return await _run(call, ContactKind.MAIL)


async def _run(call: Call, kind: ContactKind) -> Reply:
    refusal = count_equal(call, "contacts")
    if refusal is not None:
        return call.refuse(refusal)
    operations = {name: partial(operation, kind) for name, operation in _OPERATIONS.items()}
    return await run_operation(call, operations)


# --- contacts -------------------------------------------------------------------------------------


async def _add(kind: ContactKind, call: Call) -> Reply:
    written = require(call, _ADDRESS_NAMES[kind])
    fields = _read_fields(call)
    groups = _read_groups(call)

    def rows() -> Iterator[tuple[str, Mapping[str, str]]]:
        # Taken as they are stored: a list of a hundred thousand is never held a second time.
        for address in split_addresses(kind, written):
            yield address, fields

    made = await call.services.books.contacts.add(call.account, kind, rows(), group_ids=groups)
    return _created(call, made)


async def _change(kind: ContactKind, call: Call) -> Reply:
    name = _ADDRESS_NAMES[kind]
    fresh: list[str] = []
    for text in split_addresses(kind, call.fields.get(f"new_{name}", "")):
        address = normalise_address(kind, text)
        if address is None or len(fresh) >= _PAGE:
            raise ParameterError(f"new_{name}: not an address, or too many")
        fresh.append(address)
    refusal = await call.services.books.contacts.change(
        call.account,
        kind,
        _read_address(kind, call),
        fields=_read_fields(call),
        new_addresses=fresh,
        group_ids=_read_groups(call),
    )
    return finish(call, refusal)


async def _delete(kind: ContactKind, call: Call) -> Reply:
    addresses = list(split_addresses(kind, require(call, _ADDRESS_NAMES[kind])))
    if len(addresses) > _MAX_DELETED:
        raise ParameterError("too many to be deleted at once")
    outcomes = []
    for text in addresses:
        address = normalise_address(kind, text) or text
        outcomes.append(await call.services.books.contacts.delete(call.account, kind, address))
    return finish(call, None if None in outcomes else Refusal.NOT_FOUND)


async def _move(kind: ContactKind, call: Call) -> Reply:
    way = read_id(call, "move_group")
    if way not in (1, 2, 3):
        raise ParameterError("move_group: 1, 2 or 3")
    refusal = await call.services.books.contacts.move(
        call.account,
        kind,
        _read_address(kind, call),
        group_id=read_id(call, "grp"),
        way=way,
    )
    return finish(call, refusal)


async def _list(kind: ContactKind, call: Call) -> Reply:
    fields = call.fields
    name = _ADDRESS_NAMES[kind]
    address = fields.get(name, "").strip()
    found = await call.services.books.contacts.page(
        call.account,
        kind,
        ContactFilter(
            group_id=read_id(call, "grp") if fields.get("grp") else None,
            address=(normalise_address(kind, address) or address) if address else "",
            full_name=read_text(call, "fio", MAX_FIELD_CHARS).strip(),
            search=read_text(call, "search", MAX_FIELD_CHARS).strip(),
            after_id=read_id(call, "after_id", default=0),
            limit=min(read_id(call, "lmt", default=_PAGE) or _PAGE, MAX_PAGE),
        ),
    )
    if not found:
        return call.refuse(Refusal.NOT_FOUND)
    has_int_id = call.settings.contact_int_id
    records = [_record(name, contact, has_int_id=has_int_id) for contact in found]
    return Reply(write_list(call.fmt, records, item="contact"))


def _record(name: str, contact: Contact, *, has_int_id: bool) -> dict[str, Value]:
    record: dict[str, Value] = {
        name: contact.address,
        "name": contact.name,
        "group": "|".join(map(str, contact.groups)) or "0",
        "first_name": contact.first_name,
        "last_name": contact.last_name,
        "middle_name": contact.middle_name,
        "birthday": contact.birthday,
        "id": contact.client_ref,
        "comments": contact.comments,
        "tags": contact.tags,
        "phone_other": contact.other_numbers,
    }
    if has_int_id:
        record["int_id"] = contact.id
    return record


# --- groups ---------------------------------------------------------------------------------------


async def _add_group(kind: ContactKind, call: Call) -> Reply:
    require(call, "name")
    changes = _read_group(call)
    made = await call.services.books.contacts.add_group(
        call.account,
        _read_kind(kind, call),
        name=changes["name"],
        number=changes.get("number", ""),
    )
    return _created(call, made)


async def _change_group(kind: ContactKind, call: Call) -> Reply:
    group_id, changes = read_id(call, "grp"), _read_group(call)
    if changes.get("name", "-") == "":
        raise ParameterError("name: a group has one")
    refusal: Refusal | None = Refusal.NOT_FOUND
    for each in _kinds_from(kind):
        if refusal is Refusal.NOT_FOUND:
            refusal = await call.services.books.contacts.change_group(
                call.account, each, group_id, changes
            )
    return finish(call, refusal)


async def _delete_group(kind: ContactKind, call: Call) -> Reply:
    group_id = read_id(call, "grp")
    refusal: Refusal | None = Refusal.NOT_FOUND
    for each in _kinds_from(kind):
        if refusal is Refusal.NOT_FOUND:
            refusal = await call.services.books.contacts.delete_group(call.account, each, group_id)
    return finish(call, refusal)


async def _list_groups(kind: ContactKind, call: Call) -> Reply:
    groups = await call.services.books.contacts.groups(call.account, _read_kind(kind, call))
    if not groups:
        return call.refuse(Refusal.NOT_FOUND)
    records: list[dict[str, Value]] = [
        {"id": group.id, "name": group.name, "number": group.number, "cnt": str(group.size)}
        for group in groups
    ]
    return Reply(write_list(call.fmt, records, item="group"))


# --- the black list -------------------------------------------------------------------------------


async def _add_black(kind: ContactKind, call: Call) -> Reply:
    made = await call.services.books.contacts.add_black(
        call.account, _read_address(kind, call), _read_black_type(call)
    )
    return _created(call, made)


async def _remove_black(kind: ContactKind, call: Call) -> Reply:
    refusal = await call.services.books.contacts.remove_black(
        call.account, _read_address(kind, call), _read_black_type(call)
    )
    return finish(call, refusal)


# In the order of the reference's table: of several flags the first one counts.
_OPERATIONS = {
    "add": _add,
    "add_group": _add_group,
    "chg": _change,
    "chg_group": _change_group,
    "move_group": _move,
    "del": _delete,
    "del_group": _delete_group,
    "get": _list,
    "get_group": _list_groups,
    "add_black": _add_black,
    "del_black": _remove_black,
}


def _created(call: Call, made: int | Refusal) -> Reply:
    if isinstance(made, Refusal):
        return call.refuse(made)
    return Reply(write_created(call.fmt, str(made)))


def _read_address(kind: ContactKind, call: Call) -> str:
    """One address. Raises ParameterError."""
    name = _ADDRESS_NAMES[kind]
    address = normalise_address(kind, require(call, name))
    if address is None:
        raise ParameterError(f"{name}: not one address")
    return address


def _read_fields(call: Call) -> dict[str, str]:
    """What the request says about a contact; an empty value clears a field."""
    found = {
        field: read_text(call, name, MAX_FIELD_CHARS)
        for name, field in _FIELDS.items()
        if name in call.fields
    }
    if found.get("birthday"):
        try:
            found["birthday"] = parse_birthday(found["birthday"])
        except ValueError as error:
            raise ParameterError(f"bd: {error}") from None
    return found


def _read_groups(call: Call) -> list[int] | None:
    """Ids of groups; None when the request names none, empty for "in no group"."""
    written = call.fields.get("grp")
    if written is None:
        return None
    texts = [each.strip() for each in written.replace("|", ",").split(",") if each.strip()]
    if len(texts) > _MAX_GROUPS or not all(t.isascii() and t.isdigit() for t in texts):
        raise ParameterError("grp: ids divided by commas")
    if any(len(text) > 18 for text in texts):
        raise ParameterError("grp: no such id")
    return sorted({int(text) for text in texts} - {0})


def _read_group(call: Call) -> dict[str, str]:
    changes = {}
    if "name" in call.fields:
        changes["name"] = read_text(call, "name", MAX_FIELD_CHARS).strip()
    if "num" in call.fields:
        number = call.fields["num"].strip()
        if number and (not number.isascii() or not number.isdigit() or len(number) > 18):
            raise ParameterError("num: digits")
        changes["number"] = number
    return changes


def _read_kind(kind: ContactKind, call: Call) -> ContactKind:
    """Kind of a group: `type`, or that of the script."""
    number = read_id(call, "type", default=int(kind))
    if number not in (0, 1):
        raise ParameterError("type: 0 or 1")
    return ContactKind(number)


def _read_black_type(call: Call) -> BlackType:
    number = read_id(call, "type", default=0)
    if number > BlackType.SINGLE:
        raise ParameterError("type: 0, 1 or 2")
    return BlackType(number)


def _kinds_from(kind: ContactKind) -> list[ContactKind]:
    """Ids of groups are unique: a group may be named in either script."""
    return sorted(ContactKind, key=lambda each: each is not kind)
