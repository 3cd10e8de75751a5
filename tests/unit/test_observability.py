"""Logs that leak nothing, metrics that are all documented, health."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from heliograph.domain.messages import MessageState
from heliograph.domain.refusals import Refusal
from heliograph.observability import Metrics, compose_health, mask, set_up_logging
from heliograph.storage.database import Database, sqlite_url

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    ours = logging.getLogger("heliograph")
    before, level, our_level = root.handlers[:], root.level, ours.level
    stream = io.StringIO()
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    ours.setLevel(our_level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


# --- the log


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("to 79991239999 now", "to 7999***9999 now"),
        ("+79991239999", "7999***9999"),
        ("8 (999) 123", "8 (999) 123"),
        ("id 123456789", "id 123456789"),
        ("1.2345678901", "1.2345678901"),
        ("/sys/send.php?login=alex&psw=123&phones=1&mes=hi there", None),
        ("http://user:secret@h/cb?md5=zxc", "http://***@h/cb?md5=***"),
        ("apikey=abc def", "apikey=*** def"),
    ],
)
def test_masking(text: str, expected: str | None) -> None:
    if expected is None:
        masked = mask(text)
        assert "alex" not in masked
        assert "psw=***" in masked
        assert "mes=***" in masked
    else:
        assert mask(text) == expected


def test_secrets_and_numbers_never_reach_the_log(log: io.StringIO) -> None:
    set_up_logging("info", "json", log)
    structlog.get_logger("heliograph.test").info(
        "sent to 79991239999",
        psw="hunter2",
        apikey="hunter2",
        mes="hunter2",
        phone="79991239999",
        number=79991239999,
        nested={"password": "hunter2", "phones": ["79991239999"]},
        raw=b"hunter2",
        url="http://h/?psw=hunter2",
        message_id=12345678901,
        count=3,
    )
    (line,) = lines(log)
    assert "hunter2" not in log.getvalue()
    assert "79991239999" not in log.getvalue()
    assert line["event"] == "sent to 7999***9999"
    assert line["phone"] == line["number"] == "7999***9999"
    assert line["message_id"] == 12345678901
    assert line["count"] == 3
    assert line["level"] == "info"
    assert str(line["timestamp"]).endswith("Z")


def test_the_standard_library_s_loggers_are_masked_too(log: io.StringIO) -> None:
    set_up_logging("warning", "json", log)
    logging.getLogger("alembic").warning("GET %s", "/sys/send.php?psw=hunter2&mes=hi")
    logging.getLogger("alembic").info("not written")
    (line,) = lines(log)
    assert "hunter2" not in str(line)
    assert line["level"] == "warning"


async def test_the_driver_tells_no_statement_at_any_level(log: io.StringIO, tmp_path: Path) -> None:
    set_up_logging("debug", "json", log)
    database = Database(sqlite_url(tmp_path))
    values = {"text": "hello" + " secret"}  # a traceback shows lines of the program, this one too
    async with database.read() as connection:
        await connection.execute(text("SELECT :text"), values)
        with pytest.raises(DBAPIError) as failed:
            await connection.execute(text("SELECT :text FROM nowhere"), values)
    await database.close()
    structlog.get_logger("heliograph.test").debug("ours")
    structlog.get_logger("heliograph.test").error("failed", exc_info=failed.value)
    assert [line["event"] for line in lines(log)] == ["ours", "failed"]
    assert "nowhere" in log.getvalue()
    assert "hello secret" not in log.getvalue()


def test_tracebacks_are_masked(log: io.StringIO) -> None:
    set_up_logging("info", "json", log)
    try:
        raise ValueError("bad number 79991239999")
    except ValueError:
        structlog.get_logger("heliograph.test").exception("it failed")
    (line,) = lines(log)
    assert "ValueError" in str(line["exception"])
    assert "79991239999" not in log.getvalue()


def test_levels_and_the_form_for_people(log: io.StringIO) -> None:
    set_up_logging("warning", "console", log)
    structlog.get_logger("heliograph.test").info("quiet")
    structlog.get_logger("heliograph.test").warning("loud", phone="79991239999")
    assert "quiet" not in log.getvalue()
    assert "loud" in log.getvalue()
    assert "7999***9999" in log.getvalue()


# --- metrics


def feed(metrics: Metrics) -> None:
    """Something of everything."""
    metrics.accepted(3, 1.5)
    metrics.refused(Refusal.NO_FUNDS)
    metrics.submitted(3)
    metrics.responded(2.0, 3)
    metrics.receipt(1500)
    metrics.unmatched_receipt()
    metrics.finished(MessageState.DELIVERED, 0)
    metrics.http_request("send", 0, 0.002)
    metrics.callbacks("done", 5, 20.0)
    metrics.commit(100, 0.001)
    metrics.watch_queue("journal", lambda: 7)
    metrics.set_binds({("mts", "bound"): 2})
    metrics.session_requests("submit_sm", "ESME_ROK", 3)
    metrics.session_deliveries("delivered", 2)
    metrics.session_refused("bind")
    metrics.set_smpp_binds({"trx": 1})


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_what_is_counted_is_shown() -> None:
    metrics = Metrics()
    feed(metrics)
    metrics.accepted(2, 0.4)
    got = samples(metrics)
    assert got["heliograph_parts_accepted_total", ()] == 5
    assert got["heliograph_accept_seconds_count", ()] == 2
    assert got["heliograph_accept_seconds_sum", ()] == pytest.approx(0.0019)
    assert got["heliograph_accept_seconds_bucket", (("le", "0.0005"),)] == 1
    assert got["heliograph_accept_seconds_bucket", (("le", "+Inf"),)] == 2
    assert got["heliograph_submit_response_seconds_count", ()] == 3
    assert got["heliograph_requests_refused_total", (("reason", "no_funds"),)] == 1
    assert got["heliograph_messages_finished_total", (("err", "0"), ("state", "delivered"))] == 1
    assert got["heliograph_callbacks_total", (("result", "done"),)] == 5
    assert got["heliograph_http_requests_total", (("error", "0"), ("script", "send"))] == 1
    assert got["heliograph_queued", (("queue", "journal"),)] == 7
    assert got["heliograph_binds", (("connector", "mts"), ("state", "bound"))] == 2


def test_sessions_that_are_gone_disappear() -> None:
    metrics = Metrics()
    metrics.set_binds({("mts", "bound"): 1})
    metrics.set_binds({("mts", "connecting"): 1})
    shown = {labels for name, labels in samples(metrics) if name == "heliograph_binds"}
    assert shown == {(("connector", "mts"), ("state", "connecting"))}


def test_two_sets_of_metrics_do_not_meet() -> None:
    Metrics().accepted(1, 1)
    other = Metrics()
    assert samples(other)["heliograph_parts_accepted_total", ()] == 0


def test_the_reference_page_documents_every_metric_and_no_other() -> None:
    metrics = Metrics()
    feed(metrics)
    families = list(text_string_to_metric_families(metrics.render().decode()))
    shown = {}
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = sorted({k for s in family.samples for k in s.labels if k != "le"})
        if not name.endswith("_created"):
            shown[name] = labels
    documented = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0].startswith("`heliograph_"):
            documented[cells[0].strip("`")] = sorted(
                label.strip("` ") for label in cells[2].split(",") if label.strip()
            )
    assert documented == shown


# --- health


def test_health_names_what_is_wrong() -> None:
    assert compose_health({"a": lambda: ""}) == {"ok": True, "checks": {"a": "ok"}}

    def broken() -> str:
        raise OSError("with details that are nobody's business")

    health = compose_health({"a": lambda: "", "b": lambda: "not connected: x", "c": broken})
    assert health == {
        "ok": False,
        "checks": {"a": "ok", "b": "not connected: x", "c": "OSError"},
    }
