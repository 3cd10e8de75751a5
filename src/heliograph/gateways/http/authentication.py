"""Who is asking: the forms in which a request names its account.

`login` and `psw`; `apikey`, alone or beside a login; or an empty login with the key as `psw`
(send.php reference, transport rules).
"""

from __future__ import annotations

from heliograph.domain.accounts import Account
from heliograph.domain.refusals import Refusal
from heliograph.gateways.http.ports import AuthenticationPort

__all__ = ["authenticate", "authenticate_cached"]


def authenticate_cached(
    authentication: AuthenticationPort, fields: dict[str, str], address: str
) -> Account | Refusal | None:
    """The answer when it is known without waiting; None when `authenticate` must be awaited."""
    if authentication.is_blocked(address):
        return Refusal.ADDRESS_BLOCKED
    login = fields.get("login")
    psw = fields.get("psw")
    if fields.get("apikey"):
        return None
    if not psw:
        return Refusal.NOT_AUTHORISED
    if not login:
        return None
    return authentication.try_login_cached(login, psw, address)


async def authenticate(
    authentication: AuthenticationPort, fields: dict[str, str], address: str
) -> Account | Refusal:
    """The account of a request, or why there is none."""
    known = authenticate_cached(authentication, fields, address)
    if known is not None:
        return known
    login = fields.get("login", "")
    psw = fields.get("psw", "")
    key = fields.get("apikey", "") or (psw if not login else "")
    if key:
        return await authentication.api_key(key, address)
    return await authentication.login(login, psw, address)
