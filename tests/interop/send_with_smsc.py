"""A program that uses the PyPI package `smsc` as its README does; prints what it got as JSON."""

from __future__ import annotations

import json
import logging
import sys

from smsc.api import SMSC
from smsc.messages import FlashMessage, SMSMessage

# The package turns on the logging of everything when it is imported.
logging.getLogger().setLevel(logging.ERROR)
login, password, phone = sys.argv[1:4]
client = SMSC(login=login, password=password, sender="Shop")
sent = client.send(to=phone, message=SMSMessage(text="Привет, мир!"))
flash = client.send(to=[phone, "79031234567"], message=FlashMessage(text="x" * 161))
cost = client.get_cost(to=phone, message=SMSMessage(text="Привет, мир!", translit=1))
refused = client.send(to="123", message=SMSMessage(text="nobody"))
balance = client.get_balance()
found = client.get_status(to=phone, msg_id=str(sent.message_id))
several = client.get_status(
    to=[phone, "79031234567"], msg_id=[str(flash.message_id), str(flash.message_id)]
)
print(
    json.dumps(
        {
            "sent": [sent.message_id, sent.count, sent.cost, sent.error],
            "flash": [flash.message_id, flash.count, flash.cost],
            "cost": [cost.count, cost.cost],
            "refused": list(refused.error),
            "balance": [balance.balance, balance.credit, balance.currency],
            "status": [found[0].status.status_id, found[0].status.name],
            "data": found[0].data,
            "several": [each.status.status_id for each in several],
        },
        default=str,
    )
)
