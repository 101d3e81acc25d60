"""Whether a comparison with a baseline can be trusted: how often identical code is called better or worse, and
how often code that is slower is called so, while another process loads one processor in bursts.

`python3 benches/comparisons` builds one crate with ten jobs in several versions, keeps a baseline of the first, and
compares each version with it again and again. Criterion compares identical code beside it, on the nine jobs that
are not async, with its own defaults but shorter times. `--quick` shows that it runs.
"""

import argparse
import collections
import json
import multiprocessing
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import bench  # noqa: E402

FEATURES = {"same": [], "5% slower": ["slower-5"], "10% slower": ["slower-10"], "one allocation": ["one-allocation"]}
SLOWED = ("cpu_1ms", "allocations")


def crate(root):
    """The jobs, as a user has them, and criterion's view of the same work."""
    return bench.write_crate(root, "compared", f"""\
[features]
profiling = ["profiling-core/profiling"]
slower-5 = []
slower-10 = []
one-allocation = []

[dependencies]
profiling-core = {{ {bench.CORE} }}
tokio = {{ version = "1", features = ["io-util", "net", "rt-multi-thread"] }}

[dev-dependencies]
criterion = {{ version = "0.8", default-features = false, features = ["cargo_bench_support"] }}
profiling-test-harness = {{ {bench.HARNESS} }}

[[test]]
name = "profiling"
harness = false
required-features = ["profiling"]

[[bench]]
name = "criterion"
harness = false
""", {
        "src/lib.rs": (HERE / "jobs.rs").read_text(),
        "src/work.rs": (HERE / "work.rs").read_text(),
        "benches/criterion.rs": (HERE / "criterion.rs").read_text(),
        "tests/profiling.rs": "use compared as _;\nprofiling_test_harness::main!();\n",
    })


def build(directory, root, version, arguments):
    """The path of a binary, copied to where the next build leaves it alone."""
    command = ["cargo", *arguments, "--no-run", "--message-format", "json"]
    done = subprocess.run(command, cwd=directory, env={**os.environ, "CARGO_TARGET_DIR": str(root / "target")},
                          stdout=subprocess.PIPE, text=True, check=True)
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    built = [message["executable"] for message in messages if message.get("executable")]
    path = root / version.replace(" ", "-").replace("%", "")
    shutil.copy2(built[-1], path)
    return path


def load(cpu):
    """Bursts of work, and pauses, on one processor."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cpu})
    while True:
        end = time.monotonic() + random.uniform(0.1, 2)
        while time.monotonic() < end:
            sum(range(10_000))
        time.sleep(random.uniform(0.1, 2))


def harness(binary, directory, root, *arguments):
    """A run of a harness; returns its exit code and how long it took."""
    environment = {**os.environ, "PROFILING_OUT": str(root / "store")}
    begin = time.perf_counter()
    done = subprocess.run([binary, "-q", *arguments], cwd=directory, env=environment, capture_output=True, text=True)
    if done.returncode not in (0, 101):
        sys.exit(f"{binary} failed:\n{done.stdout}\n{done.stderr}")
    return done.returncode, time.perf_counter() - begin


def compare(binary, directory, root, only=()):
    """What a comparison with the baseline says, and how long it took."""
    _, took = harness(binary, directory, root, "--baseline", "first", "--exact", *only)
    return json.loads((root / "store/profiling/comparison.json").read_text())["comparisons"], took


def criterion(binary, directory, root, quick):
    """How many of criterion's comparisons call identical code better or worse, and of how many."""
    arguments = ["--bench", "--noplot", "--warm-up-time", "0.5", "--measurement-time", "0.5" if quick else "2"]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(root / "criterion")}
    def run(*more):
        return subprocess.run([binary, *arguments, *more], cwd=directory, env=environment, check=True,
                              capture_output=True, text=True).stdout
    run("--save-baseline", "first")
    said = re.findall(r"Performance has (improved|regressed)|(No change|Change within noise)", run("--baseline", "first"))
    return sum(1 for changed, _ in said if changed), len(said)


def report(version, comparisons, took):
    """Prints what became of one version."""
    print(f"\n{version}: {len(took)} runs, {statistics.median(took):.0f} s each, {max(took):.0f} s at most")
    by_metric = collections.defaultdict(collections.Counter)
    for entry in comparisons:
        by_metric[entry["metric"]][entry["outcome"]] += 1
    for metric, outcomes in sorted(by_metric.items()):
        print(f"  {metric}: {', '.join(f'{count} {outcome}' for outcome, count in sorted(outcomes.items()))}")
    for job in SLOWED:
        effects = [entry["effect"] for entry in comparisons if entry["job"] == job and entry["metric"] == "cpu_ns"]
        if effects:
            print(f"  {job}: effect on its CPU time {statistics.median(effects):+.1%} in the median, "
                  f"{min(effects):+.1%} to {max(effects):+.1%}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--same", type=int, default=20, help="runs of identical code, ten comparisons each")
    parser.add_argument("--slower", type=int, default=30, help="runs of each slower version, two comparisons each")
    parser.add_argument("--criterion", type=int, default=3, help="runs of criterion")
    parser.add_argument("--quick", action="store_true", help="show that it runs: nothing is optimised, two jobs, once each")
    parser.add_argument("--no-load", action="store_true", help="without the other process")
    parser.add_argument("--dir", help="where to build")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.same, arguments.slower, arguments.criterion = 1, 1, min(arguments.criterion, 1)
    profile = [] if arguments.quick else ["--release"]
    with bench.workplace(arguments.dir) as root:
        directory = crate(root)
        binaries = {
            version: build(directory, root, version,
                           ["test", *profile, "--test", "profiling", "--features", ",".join(["profiling", *features])])
            for version, features in FEATURES.items()
        }
        beside = build(directory, root, "criterion-bench", ["bench", "--bench", "criterion"]) if arguments.criterion else None
        other = multiprocessing.Process(target=load, args=(os.cpu_count() - 1,), daemon=True)
        if not arguments.no_load:
            other.start()
        harness(binaries["same"], directory, root, "--save-baseline", "first")
        for version, binary in binaries.items():
            every = version == "same" and not arguments.quick
            runs, only = arguments.same if version == "same" else arguments.slower, () if every else SLOWED
            comparisons, took = [], []
            for _ in range(runs):
                entries, seconds = compare(binary, directory, root, only)
                comparisons += [entry for entry in entries if not only or entry["job"] in only]
                took.append(seconds)
                if version == "same":
                    for entry in entries:
                        if entry["outcome"] in ("improved", "regressed"):
                            print(f"  {entry}", flush=True)
            if runs:
                report(version, comparisons, took)
                sys.stdout.flush()
        changed, of = 0, 0
        for _ in range(arguments.criterion):
            some, all_of_them = criterion(beside, directory, root, arguments.quick)
            changed, of = changed + some, of + all_of_them
        if of:
            print(f"\ncriterion, identical code: {changed} of {of} comparisons improved or regressed")
        if other.is_alive():
            other.terminate()


if __name__ == "__main__":
    main()
