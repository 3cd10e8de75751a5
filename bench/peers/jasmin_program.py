"""Run by Jasmin's own interpreter: one of its programs, with what its users have to patch.

    python jasmin_program.py shipped|tuned .../jasmind.py -c jasmin.cfg

*shipped*: 0.11.1 looks for the operator's answer where it is only for messages of several parts, so
no receipt of a message of one part is ever passed on. That is mended, nothing else.

*tuned*: Jasmin takes one message at a time from its broker and waits for the operator's answer, and
Nagle's algorithm holds each of its small writes back until the one before is acknowledged. Here it
takes a hundred, and sets TCP_NODELAY.
"""

import runpy
import sys

# This folder is on the path, and has a module `jasmin` of its own.
sys.path.pop(0)

from jasmin.managers.listeners import SMPPClientSMListener
from twisted.internet import tcp
from txamqp.protocol import AMQChannel

PREFETCH = 100


def find_answers():
    """The answer is put where the listener looks for it."""
    original = SMPPClientSMListener.submit_sm_resp_event

    def event(self, result, message):
        if not hasattr(result.request, "response"):
            result.request.response = result.response
        return original(self, result, message)

    SMPPClientSMListener.submit_sm_resp_event = event


def write_without_delay():
    """TCP_NODELAY for connections that it takes, and for those that it opens."""
    take, opened = tcp.Server.__init__, tcp.BaseClient._connectDone

    def initialise(self, *arguments, **options):
        take(self, *arguments, **options)
        self.setTcpNoDelay(True)

    def connected(self):
        self.setTcpNoDelay(True)
        opened(self)

    tcp.Server.__init__ = initialise
    tcp.BaseClient._connectDone = connected


def take_many_at_once():
    """Whatever prefetch is asked for, it is this one."""
    original = AMQChannel.invoke

    def invoke(self, method, arguments, content=None):
        if method.name == "qos":
            arguments = list(arguments)
            arguments[method.fields.index(method.fields.bypyname["prefetch_count"])] = PREFETCH
        return original(self, method, arguments, content)

    AMQChannel.invoke = invoke


find_answers()
if sys.argv[1] == "tuned":
    write_without_delay()
    take_many_at_once()
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
