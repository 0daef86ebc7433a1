"""The tab key: what click is asked by a shell, and what a real bash makes of the answer."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vmalloc_model.allocator.policies import load_policies
from vmalloc_model.cli import COMMANDS, cli
from vmalloc_model.cli.bash import Bash
from vmalloc_model.parameters import VOCABULARY
from vmalloc_model.platforms import load_platforms
from vmalloc_model.report.project import Project
from vmalloc_model.workloads import WORKLOADS

PROGRAM = Path(sys.executable).with_name("vmalloc-model")
BASH = shutil.which("bash")


@pytest.fixture
def answer(monkeypatch):
    def answer(*words):
        """What bash is offered for the last of the words."""
        monkeypatch.setenv("COMP_WORDS", " ".join(["vmalloc-model", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        lines = Bash(cli, {}, "vmalloc-model", "_VMALLOC_MODEL_COMPLETE").complete().splitlines()
        return [line.partition(",")[2] for line in lines]

    return answer


WORDS = {
    "": list(COMMANDS),
    "sim": ["simulate"],
    "nonsense x": [],
    "run addr": ["address-space"],
    "params ": Project.at().names(),
    "simulate --pol": ["--policy"],
    "simulate --policy ": list(load_policies()),
    "simulate --workload ": list(WORKLOADS),
    "simulate --platform arm64-39": ["arm64-39bit-4k"],
    "simulate --workload churn -p li": ["live="],
    "simulate --workload churn -p no": [],
    "replay smp": ["smp1", "smp2", "smp4-sync"],
    "completion ": ["bash", "zsh", "fish"],
    "run coverage -p ": [f"{name}=" for name in VOCABULARY],
    "run coverage -p platform = arm64-39": ["arm64-39bit-4k"],
    "run coverage -p platforms = arm,arm64-39": ["arm,arm64-39bit-4k"],
    "run coverage -p run = ": ["smp1", "smp2", "smp4-sync", "oplog-stock", "oplog-rfc10"],
    "run coverage -p policies = rfc10-": ["rfc10-chunk-first"],
    "run coverage -p seed =": [],
    "sweep --metric reserved_": ["reserved_bytes", "reserved_share"],
    "sweep --metric refills,reserved_b": ["refills,reserved_bytes"],
    "sweep --vary cp": ["cpus="],
    "sweep --workload churn --vary li": ["live="],
    "sweep --vary policy = rfc10,rfc11": ["rfc10,rfc11"],
    "sweep --vary cpus =": [],
    "sweep --workload churn -p li": ["live="],
}


@pytest.mark.parametrize("typed", WORDS)
def test_what_is_offered(answer, typed):
    assert sorted(answer(*typed.split(" "))) == sorted(WORDS[typed])


def test_all_platforms_are_offered(answer):
    assert answer("simulate", "--platform", "") == list(load_platforms())


def test_a_run_may_be_a_file(answer):
    assert answer("replay", "my-tra") == ["my-tra"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell):
    done = subprocess.run([PROGRAM, "completion", shell], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"_VMALLOC_MODEL_COMPLETE={shell}_complete" in done.stdout
    if shutil.which(shell):
        check = subprocess.run([shell, "-n"], input=done.stdout, capture_output=True, text=True)
        assert (check.returncode, check.stderr) == (0, "")


def test_another_shell_is_refused():
    done = subprocess.run([PROGRAM, "completion", "tcsh"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: Invalid value for '{bash|zsh|fish}': 'tcsh'")


@pytest.mark.skipif(BASH is None, reason="no bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["vmalloc-model", "sim"], ["simulate"]),
        # as bash splits -p platform=arm64-39 and -p platform=
        (["vmalloc-model", "run", "-p", "platform", "=", "arm64-39"], ["arm64-39bit-4k"]),
    ],
)
def test_the_script_in_bash(words, offered):
    script = subprocess.run([PROGRAM, "completion", "bash"], capture_output=True, text=True).stdout
    array = " ".join(f"'{word}'" for word in words)
    script += f"compopt() {{ :; }}\nCOMP_WORDS=({array})\nCOMP_CWORD={len(words) - 1}\n"
    script += f"_vmalloc_model_completion '{PROGRAM}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
    done = subprocess.run([BASH, "--norc"], input=script, capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (offered, "")
