"""Configuration: one tree of settings, each with its type, default and help in one place.

Sources, later ones win: the defaults below, `heliograph.toml` (in the data folder, or the file
given), the environment (``HELIOGRAPH_HTTP__LISTEN``), and ``--set http.listen=...``. A wrong or
unknown setting stops the start with one `ConfigError` that names the setting, where it came from
and what would be right.

A new setting is one field here; `settings` feeds the command line's help and the reference page.
"""

from __future__ import annotations

import difflib
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from heliograph.config_services import Calls, Company, Links, Metrics, Moderation, Sending

__all__ = [
    "FILE_NAME",
    "Config",
    "ConfigError",
    "Setting",
    "load",
    "parse_listen",
    "settings",
    "settings_table",
]

FILE_NAME = "heliograph.toml"
_ENV_PREFIX = "HELIOGRAPH_"


class ConfigError(Exception):
    """A setting is unknown or wrong. The text is meant for the person who starts the program."""


class Server(Struct, frozen=True, forbid_unknown_fields=True):
    """The process."""

    data_dir: Annotated[
        Path, Meta(description="Folder of the embedded database and of the configuration file.")
    ] = Path("var")
    drain_s: Annotated[
        float,
        Meta(ge=0, le=3600, description="Seconds that a stop waits for work that has begun."),
    ] = 10.0


class DatabaseSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Where rows are kept."""

    url: Annotated[
        str,
        Meta(
            description="Empty: SQLite in the data folder. "
            "`postgresql+asyncpg://user:password@host/name`: PostgreSQL."
        ),
    ] = ""


class Http(Struct, frozen=True, forbid_unknown_fields=True):
    """The HTTP and HTTPS doors."""

    listen: Annotated[
        str, Meta(description="Address and port of the plain HTTP door; empty: none.")
    ] = "127.0.0.1:8080"
    tls_listen: Annotated[str, Meta(description="Address and port of HTTPS; empty: none.")] = ""
    tls_certificate: Annotated[
        str, Meta(description="PEM file with the certificate and its chain.")
    ] = ""
    tls_key: Annotated[str, Meta(description="PEM file with the private key.")] = ""
    trusted_proxies: Annotated[
        list[str],
        Meta(
            description="Networks whose `X-Forwarded-For` is believed when a client's address is "
            "checked."
        ),
    ] = []
    max_body_bytes: Annotated[
        int, Meta(ge=1024, le=1 << 30, description="Longest request body that is read.")
    ] = 10 * 1024 * 1024
    max_list_bytes: Annotated[
        int,
        Meta(ge=1024, le=1 << 30, description="Longest request body of a mailing list (`jobs`)."),
    ] = 32 * 1024 * 1024
    max_connections: Annotated[
        int, Meta(ge=10, le=1_000_000, description="Connections at once of each HTTP door.")
    ] = 10_000
    contact_int_id: Annotated[
        bool,
        Meta(
            description="Whether lists of contacts have the member `int_id`, on which some old "
            "strict clients stop."
        ),
    ] = True
    keep_alive_s: Annotated[
        int, Meta(ge=1, le=3600, description="Seconds after which an idle connection is closed.")
    ] = 60


class Smpp(Struct, frozen=True, forbid_unknown_fields=True):
    """The SMPP door. An account can have its own number of binds, window and rate."""

    listen: Annotated[
        str,
        Meta(description="Address and port, several divided by commas; empty: none."),
    ] = ""
    tls_listen: Annotated[
        str, Meta(description="Address and port of SMPP over TLS, several divided by commas.")
    ] = ""
    tls_certificate: Annotated[
        str, Meta(description="PEM file with the certificate and its chain.")
    ] = ""
    tls_key: Annotated[str, Meta(description="PEM file with the private key.")] = ""
    tls_client_ca: Annotated[
        str,
        Meta(
            description="PEM file with the authorities of clients' certificates; empty: clients "
            "need none."
        ),
    ] = ""
    system_id: Annotated[str, Meta(max_length=15, description="The name in answers to binds.")] = (
        "smsc"
    )
    max_connections: Annotated[
        int, Meta(ge=1, le=100_000, description="Connections at once, of all accounts.")
    ] = 2000
    max_binds: Annotated[
        int, Meta(ge=1, le=10_000, description="Binds at once of one account.")
    ] = 10
    window: Annotated[
        int,
        Meta(ge=1, le=10_000, description="Requests of one bind that may wait for their answers."),
    ] = 300
    deliver_window: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Receipts and incoming messages that may wait for a client's answers.",
        ),
    ] = 10
    messages_per_second: Annotated[
        int, Meta(ge=0, description="Messages a second of one account; 0: any number.")
    ] = 0
    idle_s: Annotated[
        float, Meta(ge=1, le=86_400, description="Silence after which a connection is closed.")
    ] = 120.0
    enquire_link_s: Annotated[
        float, Meta(ge=1, le=86_400, description="Silence after which the server asks for life.")
    ] = 60.0
    bind_s: Annotated[
        float, Meta(ge=1, le=600, description="Seconds from the connection to the bind.")
    ] = 30.0
    response_s: Annotated[
        float,
        Meta(ge=1, le=600, description="Wait for an answer before a delivery is repeated."),
    ] = 60.0
    max_pdu_bytes: Annotated[
        int, Meta(ge=1024, le=1 << 20, description="Longest PDU that is read.")
    ] = 73_728
    join_s: Annotated[
        float,
        Meta(ge=1, le=3600, description="How long the parts of a long message wait for the rest."),
    ] = 300.0


class Smtp(Struct, frozen=True, forbid_unknown_fields=True):
    """The mail door."""

    listen: Annotated[str, Meta(description="Address and port; empty: none.")] = ""
    domains: Annotated[
        list[str],
        Meta(
            description="Domains whose mail is taken: `send@` it, and any name at `sms.` and it; "
            "empty: every domain."
        ),
    ] = []
    hostname: Annotated[
        str, Meta(description="The name in greetings; empty: the first domain, or `localhost`.")
    ] = ""
    tls_certificate: Annotated[
        str, Meta(description="PEM file with the certificate and its chain; empty: no STARTTLS.")
    ] = ""
    tls_key: Annotated[str, Meta(description="PEM file with the private key.")] = ""
    max_mail_bytes: Annotated[
        int, Meta(ge=1024, le=1 << 26, description="Largest mail that is taken.")
    ] = 100 * 1024
    max_connections: Annotated[int, Meta(ge=1, le=10_000, description="Connections at once.")] = 200
    max_connections_per_address: Annotated[
        int, Meta(ge=1, le=10_000, description="Connections at once from one address.")
    ] = 50
    idle_s: Annotated[
        float, Meta(gt=0, le=3600, description="Silence after which a connection is closed.")
    ] = 60.0
    mail_s: Annotated[
        float, Meta(gt=0, le=3600, description="Seconds that the transfer of one mail may take.")
    ] = 120.0


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """What clients may not overdo. An account can be freed from its limits one by one."""

    enforce: Annotated[
        bool,
        Meta(
            description="Whether requests a minute, requests at once and messages in a row are "
            "limited."
        ),
    ] = True
    duplicates: Annotated[
        bool, Meta(description="Whether the same send request within a minute is refused.")
    ] = True
    strict_passwords: Annotated[
        bool,
        Meta(
            description="Whether passwords set by users.php need three of: letters, digits, "
            "letters of both cases, other signs; otherwise eight characters will do."
        ),
    ] = False
    auth_block: Annotated[
        bool,
        Meta(
            description="Whether an address, or an IPv6 /64, with too many wrong logins is blocked."
        ),
    ] = False
    auth_failures_per_minute: Annotated[
        int, Meta(ge=1, description="Failed logins in a minute that block an address.")
    ] = 10
    auth_block_minutes: Annotated[
        int, Meta(ge=1, le=1440, description="How long a blocked address stays blocked.")
    ] = 5


class Webhooks(Struct, frozen=True, forbid_unknown_fields=True):
    """Calls to the clients' handlers, and which addresses outgoing HTTP may reach at all."""

    allow_private: Annotated[
        bool,
        Meta(
            description="Whether outgoing HTTP may reach loopback, private and other special "
            "addresses. For a laptop; never where strangers set callback addresses."
        ),
    ] = False
    allowed_networks: Annotated[
        list[str],
        Meta(
            description="Networks that outgoing HTTP may reach although they are private, as "
            "`10.1.0.0/16`."
        ),
    ] = []
    timeout_s: Annotated[
        float, Meta(gt=0, le=120, description="Seconds that one call may take, from DNS to answer.")
    ] = 10.0
    parallel: Annotated[
        int, Meta(ge=1, le=20_000, description="Calls at once, of all accounts.")
    ] = 1024
    per_account_parallel: Annotated[
        int, Meta(ge=1, le=1000, description="Calls at once to one account's handler.")
    ] = 32
    queued: Annotated[
        int,
        Meta(ge=1, description="Events held in memory; more of them wait in the database only."),
    ] = 100_000
    per_account_queued: Annotated[
        int, Meta(ge=1, description="Events of one account held in memory.")
    ] = 20_000


class Log(Struct, frozen=True, forbid_unknown_fields=True):
    """The log, on standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least level written.")
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "console"],
        Meta(description="`auto`: for people on a terminal, JSON elsewhere."),
    ] = "auto"


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """All settings."""

    server: Server = Server()
    database: DatabaseSection = DatabaseSection()
    http: Http = Http()
    smpp: Smpp = Smpp()
    smtp: Smtp = Smtp()
    limits: Limits = Limits()
    webhooks: Webhooks = Webhooks()
    sending: Sending = Sending()
    moderation: Moderation = Moderation()
    links: Links = Links()
    metrics: Metrics = Metrics()
    calls: Calls = Calls()
    company: Company = Company()
    log: Log = Log()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting, for people. `name` is ``section.key``; `default` as it is written in TOML."""

    name: str
    type: str
    default: str
    help: str

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return _ENV_PREFIX + self.name.replace(".", "__").upper()


def settings() -> list[Setting]:
    """Every setting in the order of the tree."""
    found = []
    for section, key, hint, default in _fields():
        base, *notes = typing.get_args(hint)
        found.append(
            Setting(
                name=f"{section}.{key}",
                type=_type_name(base),
                default=_as_toml(default),
                help="".join(n.description or "" for n in notes if isinstance(n, Meta)),
            )
        )
    return found


def settings_table() -> str:
    """The settings as a Markdown table, one row each: the body of the reference page."""
    rows = ["| Setting | Type | Default | Meaning |", "| --- | --- | --- | --- |"]
    rows += [f"| `{s.name}` | {s.type} | `{s.default}` | {s.help} |" for s in settings()]
    return "\n".join(rows) + "\n"


def load(
    data_dir: Path | None = None,
    config_file: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Iterable[str] = (),
) -> Config:
    """The configuration from all sources. Raises ConfigError.

    `data_dir` (the command line's) wins over every other source of it; `config_file` must exist
    when given, otherwise the file in the data folder is read if there is one. `overrides` are
    ``section.key=value`` texts.
    """
    given: list[tuple[str, Any, str]] = []  # name, raw value, where it came from
    given += _from_environ(environ or {})
    given += [_split_override(text) for text in overrides]
    if data_dir is not None:
        given.append(("server.data_dir", str(data_dir), "the command line"))
    if config_file is None:
        folders = [value for name, value, _ in given if name == "server.data_dir"]
        path = Path(folders[-1] if folders else Server().data_dir) / FILE_NAME
        from_file = _from_file(path, is_required=False)
        if any(name == "server.data_dir" for name, _, _ in from_file):
            raise ConfigError(
                f"server.data_dir in {path}: a file in the data folder can not say where that "
                "folder is; use --data, the environment, or a file given by --config"
            )
    else:
        from_file = _from_file(config_file, is_required=True)
    return _build([*from_file, *given])


def parse_listen(text: str) -> tuple[str, int]:
    """Host and port of ``host:port``, ``[v6]:port`` or ``:port`` (all addresses).

    Raises ValueError with what would be right.
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address stands in brackets: [::1]:8080")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("it has to be host:port, such as 127.0.0.1:8080")
    return host, int(port)


def _fields() -> list[tuple[str, str, Any, Any]]:
    """(section, key, annotation, default) of every setting."""
    found = []
    for section in msgspec.structs.fields(Config):
        hints = typing.get_type_hints(section.type, include_extras=True)
        found += [
            (section.name, key, hint, getattr(section.default, key)) for key, hint in hints.items()
        ]
    return found


def _from_environ(environ: Mapping[str, str]) -> list[tuple[str, Any, str]]:
    return [
        (
            variable.removeprefix(_ENV_PREFIX).lower().replace("__", "."),
            value,
            f"environment variable {variable}",
        )
        for variable, value in sorted(environ.items())
        # Variables without a section are somebody else's (a script's HELIOGRAPH_HOME, say).
        if variable.startswith(_ENV_PREFIX) and "__" in variable
    ]


def _split_override(text: str) -> tuple[str, Any, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set {text}: it has to be section.key=value")
    return name.strip(), value, f"--set {name.strip()}"


def _from_file(path: Path, *, is_required: bool) -> list[tuple[str, Any, str]]:
    try:
        with path.open("rb") as file:
            tree = tomllib.load(file)
    except FileNotFoundError:
        if is_required:
            raise ConfigError(f"the configuration file {path} does not exist") from None
        return []
    except OSError as error:
        raise ConfigError(f"the configuration file {path} can not be read: {error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    found: list[tuple[str, Any, str]] = []
    for section, content in tree.items():
        if not isinstance(content, dict):
            raise ConfigError(
                f"{section} in {path}: every setting stands in a section, such as [http]"
            )
        found += [(f"{section}.{key}", value, str(path)) for key, value in content.items()]
    return found


def _build(given: Iterable[tuple[str, Any, str]]) -> Config:
    known = {f"{section}.{key}": hint for section, key, hint, _ in _fields()}
    tree: dict[str, dict[str, Any]] = {}
    for name, raw, origin in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{name} ({origin}): there is no such setting{hint}")
        section, key = name.split(".")
        try:
            tree.setdefault(section, {})[key] = _convert(name, raw, known[name])
        except ValueError as error:
            # The database's address holds a password: it is not repeated.
            shown = "the value" if name == "database.url" else repr(raw)
            raise ConfigError(f"{name} ({origin}): {shown} is wrong: {error}") from None
    config = msgspec.convert(tree, Config, dec_hook=_as_path)
    _check_whole(config)
    return config


def _convert(name: str, raw: Any, hint: Any) -> Any:
    """The value in its type. Raises ValueError with what would be right."""
    base = typing.get_args(hint)[0]
    is_text = isinstance(raw, str)
    if is_text and typing.get_origin(base) is list:
        raw = [item.strip() for item in raw.split(",") if item.strip()]
    try:
        value = msgspec.convert(raw, hint, strict=not is_text, dec_hook=_as_path)
    except msgspec.ValidationError as error:
        bounds = "" if typing.get_origin(base) is Literal else f" ({error})"
        raise ValueError(f"it has to be {_type_name(base)}{bounds}") from None
    if name.endswith("listen") and value:
        for each in value.split(",") if name.startswith("smpp.") else [value]:
            parse_listen(each.strip())
    if name in ("webhooks.allowed_networks", "http.trusted_proxies", "metrics.networks"):
        for network in value:
            ip_network(network)
    if name == "database.url" and value and not value.startswith("postgresql+asyncpg://"):
        raise ValueError("it has to be empty or begin with postgresql+asyncpg://")
    return value


def _as_path(kind: type, value: Any) -> Any:
    return kind(value) if isinstance(value, str) else value


def _check_whole(config: Config) -> None:
    """Settings that need each other."""
    doors: dict[str, Http | Smpp] = {"http": config.http, "smpp": config.smpp}
    for name, door in doors.items():
        if door.tls_listen and not (door.tls_certificate and door.tls_key):
            raise ConfigError(
                f"{name}.tls_listen is set: {name}.tls_certificate and {name}.tls_key have to be "
                "set too"
            )
    if bool(config.smtp.tls_certificate) != bool(config.smtp.tls_key):
        raise ConfigError("smtp.tls_certificate and smtp.tls_key have to be set together")


def _type_name(base: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "text", Path: "path"}
    if typing.get_origin(base) is list:
        return "list of texts"
    if typing.get_origin(base) is Literal:
        return " or ".join(f"`{choice}`" for choice in typing.get_args(base))
    assert not isinstance(base, types.UnionType), "a setting has one type"
    return names[base]


def _as_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    return msgspec.json.encode(value if isinstance(value, list) else str(value)).decode()
