"""Configuration: the order of the sources, and errors that tell what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from heliograph.config import Config, ConfigError, load, parse_listen, settings, settings_table

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def test_every_setting_has_help_and_a_default() -> None:
    listed = settings()
    assert len({s.name for s in listed}) == len(listed)
    assert all(s.help.endswith(".") for s in listed)
    assert {s.name.split(".")[0] for s in listed} == set(Config.__struct_fields__)


def test_the_reference_page_holds_the_table_of_settings() -> None:
    assert settings_table() in PAGE.read_text(encoding="utf-8")


def test_defaults_are_valid_when_given_by_hand(tmp_path: Path) -> None:
    sections: dict[str, list[str]] = {}
    for setting in settings():
        section, key = setting.name.split(".")
        if setting.name != "server.data_dir":
            sections.setdefault(section, []).append(f"{key} = {setting.default}")
    text = "\n".join(f"[{name}]\n" + "\n".join(lines) for name, lines in sections.items())
    (tmp_path / "heliograph.toml").write_text(text)
    assert load(tmp_path) == load(data_dir=tmp_path, overrides=[])


def test_later_sources_win(tmp_path: Path) -> None:
    (tmp_path / "heliograph.toml").write_text(
        '[http]\nlisten = "127.0.0.1:1"\nmax_body_bytes = 2048\nkeep_alive_s = 7\n'
    )
    config = load(
        tmp_path,
        environ={
            "HELIOGRAPH_HTTP__LISTEN": "127.0.0.1:2",
            "HELIOGRAPH_HTTP__KEEP_ALIVE_S": "8",
            "HELIOGRAPH_HOME": "not ours",
            "PATH": "/bin",
        },
        overrides=["http.listen=127.0.0.1:3"],
    )
    assert config.http.listen == "127.0.0.1:3"
    assert config.http.keep_alive_s == 8
    assert config.http.max_body_bytes == 2048
    assert config.server.data_dir == tmp_path


def test_texts_become_the_types_of_their_settings() -> None:
    config = load(
        environ={
            "HELIOGRAPH_LIMITS__ENFORCE": "false",
            "HELIOGRAPH_WEBHOOKS__ALLOWED_NETWORKS": "10.1.0.0/16, fd00::/8",
            "HELIOGRAPH_SERVER__DRAIN_S": "2.5",
        }
    )
    assert config.limits.enforce is False
    assert config.webhooks.allowed_networks == ["10.1.0.0/16", "fd00::/8"]
    assert config.server.drain_s == 2.5


def test_the_data_folder_comes_from_the_environment_and_its_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "heliograph.toml").write_text("[server]\ndrain_s = 3\n")
    config = load(environ={"HELIOGRAPH_SERVER__DATA_DIR": str(tmp_path)})
    assert config.server.data_dir == tmp_path
    assert config.server.drain_s == 3


def test_a_given_file_is_read_instead_and_may_name_the_data_folder(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text('[server]\ndata_dir = "/srv/heliograph"\n')
    assert load(config_file=file).server.data_dir == Path("/srv/heliograph")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("htp.listen=:1", "did you mean http.listen?"),
        ("http.lissten=:1", "did you mean http.listen?"),
        ("nothing=1", "no such setting"),
        ("http.listen=8080", "host:port"),
        ("http.listen=::1:8080", "brackets"),
        ("http.listen=127.0.0.1:70000", "host:port"),
        ("limits.enforce=perhaps", "boolean"),
        ("log.level=loud", "`debug` or `info`"),
        ("webhooks.timeout_s=0", "> 0"),
        ("http.max_body_bytes=many", "integer"),
        ("webhooks.allowed_networks=10.0.0.1/8", "host bits"),
        ("http.tls_listen=:443", "http.tls_certificate"),
        ("http.listen", "section.key=value"),
    ],
)
def test_errors_name_the_setting_and_what_is_right(override: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(overrides=[override])
    assert words in str(caught.value)
    assert override.split("=", maxsplit=1)[0] in str(caught.value)


def test_errors_name_their_source(tmp_path: Path) -> None:
    file = tmp_path / "heliograph.toml"
    file.write_text('[limits]\nenforce = "yes"\n[log]\nlevel = 3\n')
    with pytest.raises(ConfigError, match=r"heliograph\.toml"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="environment variable HELIOGRAPH_LOG__LEVEL"):
        load(environ={"HELIOGRAPH_LOG__LEVEL": "x"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("listen = [", "not valid TOML"),
        ('listen = ":1"', "section"),
        ('[server]\ndata_dir = "x"\n', "can not say where"),
    ],
)
def test_a_wrong_file_is_one_clear_error(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "heliograph.toml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        load(tmp_path)


def test_a_given_file_has_to_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load(config_file=tmp_path / "none.toml")


def test_the_password_of_the_database_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        load(overrides=["database.url=postgresql://u:secret@h/d"])
    assert "secret" not in str(caught.value)
    assert "postgresql+asyncpg://" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:80", ("::1", 80)),
        (":0", ("", 0)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_listen_addresses(text: str, expected: tuple[str, int]) -> None:
    assert parse_listen(text) == expected
