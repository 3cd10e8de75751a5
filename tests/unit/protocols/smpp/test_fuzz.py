"""A second of the fuzzer in every run, with a seed that does not change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.fuzz import smpp_framing


def test_invariant_holds_for_a_second() -> None:
    cases, events = smpp_framing.run(1.0, 20_261_122)
    assert cases > 10
    assert events > cases


def test_script_says_its_seed() -> None:
    script = Path(smpp_framing.__file__)
    done = subprocess.run(
        [sys.executable, str(script), "--seconds", "0.2", "--seed", "7"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "seed 7" in done.stdout
    assert "invariant held" in done.stdout
