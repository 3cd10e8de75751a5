"""Names of the status numbers in the languages of accounts (code tables, section 3)."""

from __future__ import annotations

__all__ = ["STATUS_NAMES", "status_name"]

STATUS_NAMES: dict[str, dict[int, str]] = {
    "ru": {
        -3: "Сообщение не найдено",
        -2: "Остановлено",
        -1: "Ожидает отправки",
        0: "Передано оператору",
        1: "Доставлено",
        2: "Прочитано",
        3: "Просрочено",
        4: "Нажата ссылка",
        6: "Заблокировано спам-фильтром",
        20: "Невозможно доставить",
        22: "Неверный номер",
        23: "Запрещено",
        24: "Недостаточно средств",
        25: "Недоступный номер",
    },
    "en": {
        -3: "Message not found",
        -2: "Stopped",
        -1: "Waiting to be sent",
        0: "Passed to the operator",
        1: "Delivered",
        2: "Read",
        3: "Expired",
        4: "Link clicked",
        6: "Blocked by a spam filter",
        20: "Impossible to deliver",
        22: "Invalid number",
        23: "Forbidden",
        24: "Not enough funds",
        25: "Unavailable number",
    },
}


def status_name(status: int, language: str) -> str:
    """Name of a status; English for a language without names, '' for an unknown number."""
    return STATUS_NAMES.get(language, STATUS_NAMES["en"]).get(status, "")
