"""What the kernel says about processes and the machine: CPU time, memory, and who else was busy."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def run_as_gateway() -> None:
    """Gives this interpreter the settings that a gateway gives its own (`runtime.process`)."""
    sys.setswitchinterval(0.0001)
    gc.set_threshold(100_000, 50, 100)
    gc.collect()
    gc.freeze()


def family_of(pid: int) -> list[int]:
    """The process and all its descendants that live now."""
    parents: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat_fields(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    family = [pid]
    for member in family:  # grows while it is walked
        family.extend(parents.get(member, []))
    return family


def process_cpu(pid: int) -> float:
    """User + system seconds of a process, all its threads, and its living descendants."""
    ticks = 0
    for member in family_of(pid):
        if fields := _stat_fields(member):
            ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


def run_time(pid: int) -> float:
    """Seconds on a core of a process and its threads, to the nanosecond; 0 when it is gone.

    As `process_cpu` without descendants, whose ticks of ten milliseconds are too coarse for short
    measurements.
    """
    total = 0
    for thread in (PROC / str(pid) / "task").glob("*/schedstat"):
        with contextlib.suppress(OSError):
            total += int(thread.read_text().split()[0])
    return total / 1e9


def peak_memory(pid: int) -> int:
    """Largest resident size so far in bytes, the sum over the process and its descendants."""
    return _memory(pid, "VmHWM:")


def resident_memory(pid: int) -> int:
    """Resident size now in bytes, the sum over the process and its descendants."""
    return _memory(pid, "VmRSS:")


def _memory(pid: int, field: str) -> int:
    total = 0
    for member in family_of(pid):
        try:
            lines = (PROC / str(member) / "status").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
    return total


def machine_cpu() -> float:
    """Seconds all cores together have spent for any process, or lost to the hypervisor.

    Interrupt time is left out: on some kernels the loopback traffic of the measured programs
    shows there, and it would pass for somebody else's work.
    """
    fields = (PROC / "stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, _irq, _softirq, steal = (int(field) for field in fields[:8])
    return (user + nice + system + steal) / TICKS


def own_cpu() -> float:
    """Seconds of this process and of the children it has waited for (the loaders)."""
    mine = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + children.ru_utime + children.ru_stime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """CPU seconds of everybody at one moment."""

    gateway: dict[str, float]  # by process
    sink: float
    own: float
    machine: float

    def gateway_since(self, earlier: Reading) -> dict[str, float]:
        """Seconds of each process of the gateway."""
        return {name: cpu - earlier.gateway[name] for name, cpu in self.gateway.items()}

    def foreign_since(self, earlier: Reading) -> float:
        """Seconds that went to processes which are no part of the measurement."""
        total = self.machine - earlier.machine
        ours = sum(self.gateway_since(earlier).values())
        ours += self.sink - earlier.sink + self.own - earlier.own
        return max(0.0, total - ours)


def read_meters(*, gateway: Mapping[str, int], sink: int) -> Reading:
    """`gateway` names its processes."""
    return Reading(
        gateway={name: process_cpu(pid) for name, pid in gateway.items()},
        sink=process_cpu(sink),
        own=own_cpu(),
        machine=machine_cpu(),
    )


def _stat_fields(pid: int) -> list[str]:
    """/proc/PID/stat from the state on, which is field 3 of proc(5); [] when it is gone."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()
