"""States as clients see them: the one table from `MessageState` to the API's status numbers.

Meanings and names: code tables, section 3; which status a state becomes is section 1.8 of
status.php.
"""

from __future__ import annotations

from heliograph.domain.messages import MessageState

__all__ = ["API_STATUS", "ERR_NAMES", "STATUS_NAMES"]

_S = MessageState

API_STATUS: dict[MessageState, int] = {
    _S.SCHEDULED: -1,
    _S.HELD: -1,
    _S.QUEUED: -1,
    _S.SUBMITTING: -1,
    _S.SUBMITTED: 0,
    _S.UNKNOWN: 0,
    _S.DELIVERED: 1,
    _S.READ: 2,
    _S.EXPIRED: 3,
    _S.CLICKED: 4,
    _S.UNDELIVERABLE: 20,
    _S.REJECTED: 20,
    _S.DELETED: -3,
    _S.INVALID_NUMBER: 22,
    _S.FORBIDDEN: 23,
    _S.NO_FUNDS: 24,
    _S.NO_ROUTE: 25,
    _S.STOPPED: -2,
}

# (English, Russian) by status number.
STATUS_NAMES: dict[int, tuple[str, str]] = {
    -3: ("Message not found", "Сообщение не найдено"),
    -2: ("Stopped", "Остановлено"),
    -1: ("Waiting to be sent", "Ожидает отправки"),
    0: ("Passed to the operator", "Передано оператору"),
    1: ("Delivered", "Доставлено"),
    2: ("Read", "Прочитано"),
    3: ("Expired", "Просрочено"),
    4: ("Link clicked", "Нажата ссылка"),
    6: ("Blocked by a spam filter", "Заблокировано спам-фильтром"),
    20: ("Impossible to deliver", "Невозможно доставить"),
    22: ("Invalid number", "Неверный номер"),
    23: ("Forbidden", "Запрещено"),
    24: ("Not enough funds", "Недостаточно средств"),
    25: ("Unavailable number", "Недоступный номер"),
}

# (English, Russian) by error code inside a status (code tables, section 4).
ERR_NAMES: dict[int, tuple[str, str]] = {
    0: ("No error", "Нет ошибки"),
    1: ("Subscriber does not exist", "Абонент не существует"),
    2: ("Mailbox full", "Переполнен почтовый ящик"),
    3: ("Recipient's server not found", "Сервер получателя не найден"),
    4: ("Mailbox blocked", "Почтовый ящик заблокирован"),
    6: ("Subscriber not in the network", "Абонент не в сети"),
    11: ("Service not connected", "Не подключена услуга"),
    12: ("Error in the phone", "Ошибка в телефоне абонента"),
    13: ("Subscriber blocked", "Абонент заблокирован"),
    21: ("Service not supported", "Нет поддержки сервиса"),
    200: ("Virtual sending", "Виртуальная отправка"),
    219: ("SIM replaced", "Замена sim-карты"),
    220: ("Operator's queue full", "Переполнена очередь у оператора"),
    237: ("No answer", "Абонент не отвечает"),
    238: ("No template", "Нет шаблона"),
    239: ("Forbidden IP address", "Запрещенный ip-адрес"),
    240: ("Busy", "Абонент занят"),
    241: ("Conversion error", "Ошибка конвертации"),
    242: ("Answering machine", "Зафиксирован автоответчик"),
    243: ("No contract", "Не заключен договор"),
    244: ("Mailings forbidden", "Рассылка запрещена"),
    245: ("Status not received", "Статус не получен"),
    246: ("Time restriction", "Ограничение по времени"),
    247: ("Message limit exceeded", "Превышен лимит сообщений"),
    248: ("No route", "Нет маршрута"),
    249: ("Invalid number format", "Неверный формат номера"),
    250: ("Number forbidden by settings", "Номер запрещен настройками"),
    251: ("Limit for one number exceeded", "Превышен лимит на один номер"),
    252: ("Number forbidden", "Номер запрещен"),
    253: ("Forbidden by the spam filter", "Запрещено спам-фильтром"),
    254: ("Unregistered sender id", "Незарегистрированный sender id"),
    255: ("Rejected by the operator", "Отклонено оператором"),
}
