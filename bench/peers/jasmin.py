"""Jasmin 0.11: a daemon for HTTP and SMPP, two for receipts, RabbitMQ and Redis behind them.

As its manual sets it up: receipts are looked up and thrown by daemons of their own. What it would
limit (throughput of user and connector) is unlimited; no price is set, so it keeps no money.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from urllib.parse import quote

from bench.peers.console import Console
from bench.peers.packages import need_jasmin, need_programs
from bench.peers.processes import Processes, free_port
from bench.service import Door, GatewayFailure, SmppDoor

USER, PASSWORD = "bench", "benchpsw"
BIND_S = 60.0
LOCKS = ("jasmind", "dlrd-master", "dlrlookupd-master")
DAEMONS = ("jasmind", "dlrd", "dlrlookupd")
PROGRAM = Path(__file__).with_name("jasmin_program.py")
READY_S = 60.0
# What each daemon writes to its log when it works.
READY = {
    "dlrd": ("dlr-thrower.log", "Consuming from routing key"),
    "dlrlookupd": ("dlrlookupd-messages.log", "is ready"),
}
CONFIGURATION = """
[smpp-server]
bind = 127.0.0.1
port = {smpp}
[smpp-server-pb]
bind = 127.0.0.1
port = {smpp_pb}
[smpp-server-pb-client]
host = 127.0.0.1
port = {smpp_pb}
[client-management]
bind = 127.0.0.1
port = {clients_pb}
[router]
bind = 127.0.0.1
port = {router_pb}
[http-api]
bind = 127.0.0.1
port = {http}
[jcli]
bind = 127.0.0.1
port = {console}
authentication = no
[amqp-broker]
host = 127.0.0.1
port = {amqp}
spec = {spec}
[redis-client]
host = 127.0.0.1
port = {redis}
"""


class Jasmin:
    """A `Service`."""

    patience_s = 25.0  # a receipt that it does not know yet waits ten seconds, twice

    def __init__(self, folder: Path, *, is_tuned: bool = False) -> None:
        """`is_tuned`: TCP_NODELAY, and a hundred messages at a time from its broker.

        Raises NotInstalled.
        """
        self.name = "jasmin, tuned" if is_tuned else "jasmin"
        self._debian = need_programs(
            {"rabbitmq-server": "rabbitmq-server", "redis-server": "redis-server"}
        )
        self._programs = need_jasmin()
        self._is_tuned = is_tuned
        self._folder = folder
        self._processes = Processes(folder)
        names = ("smpp", "smpp_pb", "clients_pb", "router_pb", "http", "console", "amqp", "redis")
        self._ports = {name: free_port() for name in (*names, "epmd", "erlang")}
        self._file = folder / "jasmin.cfg"
        self._operator_port = 0
        self._window = 0
        self._callback_url: str | None = None

    @property
    def door(self) -> Door:
        url = (
            f"http://127.0.0.1:{self._ports['http']}/send?username={USER}&password={PASSWORD}"
            f"&to=791{{seq}}&from=bench&content=Tx{{ts}}+hello"
        )
        if self._callback_url:
            report = quote(f"{self._callback_url}&status=1&phone=791", safe="") + "{seq}"
            url += f"&dlr=yes&dlr-level=2&dlr-method=GET&dlr-url={report}"
        smpp = SmppDoor(port=self._ports["smpp"], login=USER, password=PASSWORD)
        return Door(single_url=url, good="Success", smpp=smpp)

    def prepare(self, *, operator_port: int, callback_url: str | None, window: int) -> None:
        self._operator_port, self._callback_url, self._window = operator_port, callback_url, window
        packages = self._programs.parent / "lib"
        spec = next(packages.glob("python*/site-packages/txamqp/specs/standard/amqp0-9-1*.xml"))
        self._file.write_text(CONFIGURATION.format(**self._ports, spec=spec))
        for name in ("etc/jasmin/store", "var/log/jasmin", "rabbitmq", "redis"):
            (self._folder / name).mkdir(parents=True)

    def start(self, *, smpp: bool) -> None:
        del smpp  # its SMPP server is always there
        if "redis" not in self._processes.pids():
            self._start_stores()
        for lock in LOCKS:  # of processes that were killed
            Path("/tmp", f"{lock}.lock").unlink(missing_ok=True)
        self._start_daemon("jasmind")
        self._processes.wait_for_port("jasmind", self._ports["console"])
        for name in READY:
            (self._folder / "var/log/jasmin" / READY[name][0]).unlink(missing_ok=True)
            self._start_daemon(name)
        self._processes.wait_for_port("jasmind", self._ports["http"])
        for name in READY:
            self._wait_for_daemon(name)
        self._configure()

    def _start_stores(self) -> None:
        home, ports = self._folder / "rabbitmq", self._ports
        environ = {
            "HOME": str(home),
            "ERL_EPMD_PORT": str(ports["epmd"]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "bench@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(ports["amqp"]),
            "RABBITMQ_DIST_PORT": str(ports["erlang"]),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_CONFIG_FILE": str(home / "none"),
            "RABBITMQ_CONF_ENV_FILE": str(home / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        # Erlang's name server would stay for ever; started here it ends with the others.
        epmd = ["epmd", "-address", "127.0.0.1", "-port", str(ports["epmd"])]
        self._processes.start("epmd", epmd)
        self._processes.wait_for_port("epmd", ports["epmd"])
        # Beside Debian's wrapper, which would change to a user of its own.
        server = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
        program = str(server) if server.exists() else self._debian["rabbitmq-server"]
        self._processes.start("rabbitmq", [program], environ=environ)
        redis = [self._debian["redis-server"], "--bind", "127.0.0.1", "--port", str(ports["redis"])]
        # Debian's own settings: a snapshot now and then, no log of every command.
        redis += ["--dir", str(self._folder / "redis"), "--save", "3600 1 300 100 60 10000"]
        self._processes.start("redis", redis)
        self._processes.wait_for_port("redis", ports["redis"])
        self._processes.wait_for_port("rabbitmq", ports["amqp"])

    def _start_daemon(self, name: str) -> None:
        python = str(self._programs / "python")
        program = str(self._programs / f"{name}.py")
        form = "tuned" if self._is_tuned else "shipped"
        environ = {
            "ROOT_PATH": str(self._folder),
            "CONFIG_PATH": str(self._folder / "etc/jasmin"),
            "LOG_PATH": str(self._folder / "var/log/jasmin"),
        }
        command = [python, str(PROGRAM), form, program, "-c", str(self._file)]
        self._processes.start(name, command, environ=environ)

    def _wait_for_daemon(self, name: str) -> None:
        log, words = READY[name]
        path = self._folder / "var/log/jasmin" / log
        until = time.monotonic() + READY_S
        while not path.exists() or words not in path.read_text(errors="replace"):
            if time.monotonic() > until or not self.is_alive():
                raise GatewayFailure(f"{name} did not start:\n{self.log_tail()}")
            time.sleep(0.2)

    def _configure(self) -> None:
        with contextlib.closing(Console(self._ports["console"])) as console:
            if "sink" not in console.say("smppccm -l"):
                console.say("load")
            if "sink" not in console.say("smppccm -l"):
                self._create(console)
            console.say("smppccm -1 sink")
            until = time.monotonic() + BIND_S
            while "BOUND_TRX" not in console.say("smppccm -l"):
                if time.monotonic() > until:
                    raise GatewayFailure(f"jasmin does not bind:\n{self.log_tail()}")
                time.sleep(0.2)

    def _create(self, console: Console) -> None:
        connector = {
            "cid": "sink",
            "host": "127.0.0.1",
            "port": self._operator_port,
            "username": "bench",
            "password": "bench",
            "bind": "transceiver",
            "submit_throughput": 0,
            "con_loss_delay": 1,
            "con_fail_delay": 1,
        }
        console.fill("smppccm -a", connector)
        console.fill("group -a", {"gid": "bench"})
        user = {"username": USER, "password": PASSWORD, "gid": "bench", "uid": "bench"}
        console.fill("user -a", user)
        route = {"type": "DefaultRoute", "connector": "smppc(sink)", "rate": "0.0"}
        console.fill("mtrouter -a", route)
        console.say("persist")

    def stop(self) -> None:
        self._processes.stop()

    def close(self) -> None:
        self.stop()

    def kill(self, *, stores: bool = False) -> None:
        self._processes.kill(None if stores else DAEMONS)

    def processes(self) -> dict[str, int]:
        return self._processes.pids()

    def is_alive(self) -> bool:
        return self._processes.are_alive()

    def log_tail(self) -> str:
        return self._processes.log_tail()
