"""What the benchmarks share: crates made for one run, measured in turn, and a table of the times."""

import contextlib
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent

# The crates are as a user would write them, outside of this repository.
CORE = f'path = "{REPOSITORY.as_posix()}/profiling-core"'
HARNESS = f'path = "{REPOSITORY.as_posix()}/profiling-test-harness"'


@contextlib.contextmanager
def workplace(directory):
    """`directory`, or a temporary one that is gone afterwards."""
    if directory:
        path = pathlib.Path(directory).resolve()
        path.mkdir(parents=True, exist_ok=True)
        yield path
    else:
        with tempfile.TemporaryDirectory(prefix="profiling-bench-", ignore_cleanup_errors=True) as path:
            yield pathlib.Path(path).resolve()


def write_crate(root, name, manifest, files):
    """Writes a crate, and leaves those files alone that are there already; returns its directory."""
    package = f'[package]\nname = "{name}"\nversion = "0.0.0"\nedition = "2024"\n\n[workspace]\n'
    for file, content in {"Cargo.toml": f"{package}\n{manifest}", **files}.items():
        path = root / name / file
        if not path.exists() or path.read_text() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    return root / name


def write_jobs(root, name, functions):
    """A crate of jobs, as a user has it."""
    return write_crate(root, name, f"""\
[features]
profiling = ["profiling-core/profiling"]

[dependencies]
profiling-core = {{ {CORE} }}

[dev-dependencies]
profiling-test-harness = {{ {HARNESS} }}

[[test]]
name = "profiling"
harness = false
required-features = ["profiling"]
""", {
        "src/lib.rs": functions,
        "tests/profiling.rs": f"use {name.replace('-', '_')} as _;\nprofiling_test_harness::main!();\n",
    })


def done(command, directory, target=None):
    """Runs a command in a crate and returns what it printed. Crates that lie together share a target directory."""
    target = target or directory.parent / "target"
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "CARGO_TERM_COLOR": "never"}
    # As cargo does it if nobody says otherwise.
    environment.pop("CARGO_INCREMENTAL", None)
    ended = subprocess.run(command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if ended.returncode != 0:
        sys.exit(f"`{' '.join(map(str, command))}` in {directory} failed:\n{ended.stdout}\n{ended.stderr}")
    return ended.stdout


def run(command, directory, target=None):
    """The seconds that a command takes in a crate."""
    begin = time.perf_counter()
    done(command, directory, target)
    return time.perf_counter() - begin


def binary(command, directory):
    """The path of the test binary that a command of cargo builds."""
    printed = done([*command, "--message-format", "json-render-diagnostics"], directory)
    messages = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    return [message["executable"] for message in messages if message.get("executable")][-1]


def alternate(rounds, measurements):
    """Times each of the named functions once a round, first one then the other, and returns all times by name.

    What disturbs the machine for a while disturbs them all. Every second round goes backwards.
    """
    times = {name: [] for name in measurements}
    for number in range(rounds):
        names = list(measurements)
        for name in names if number % 2 == 0 else reversed(names):
            times[name].append(measurements[name]())
    return times


def table(title, times, reference, unit="s"):
    """Prints min, median and max of each, and the ratio of the medians to that of `reference`."""
    scale = {"s": 1, "ms": 1000}[unit]
    base = statistics.median(times[reference])
    width = max(map(len, times))
    print(f"\n{title} ({unit}, {len(times[reference])} rounds)\n")
    print(f"| {'':{width}} |    min | median |    max | ratio |")
    print(f"|{'-' * (width + 2)}|-------:|-------:|-------:|------:|")
    for name, seconds in times.items():
        low, middle, high = (scale * f(seconds) for f in (min, statistics.median, max))
        print(f"| {name:{width}} | {low:6.2f} | {middle:6.2f} | {high:6.2f} | {middle / scale / base:5.2f} |", flush=True)


def describe_machine():
    """One line on where the figures come from."""
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} logical CPUs, {rustc}")
