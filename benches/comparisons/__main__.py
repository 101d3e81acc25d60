"""Whether a comparison with a baseline can be trusted: how often jobs are called better or worse whose code is the
same, in binaries that differ elsewhere; and how often slower jobs, longer tails and single allocations are found;
while another process loads one processor in bursts.

`python3 benches/comparisons` builds one crate with fourteen jobs in several versions, keeps a baseline of the first,
and compares the others with it again and again. The versions of the same jobs have other functions in another
module, which moves the jobs' code. Criterion compares identical code beside it, on the nine jobs that are not async,
with its own defaults but shorter times. `--quick` shows that it runs.
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

# The ten jobs of which nothing may be said to have changed.
TEN = ("cpu_150us", "cpu_1ms", "cpu_5ms", "cpu_20ms", "allocations", "strings", "stream", "chase", "echo", "async_echo")
# What has changed in the jobs of the changed version, and in which figures it may be found.
CHANGED = {
    "5% more work": {"cpu_1ms": ("cpu_ns",), "allocations": ("cpu_ns",)},
    "one allocation more": {"one_allocation": ("allocations",), "rare_allocation": ("allocations",)},
    "every sixteenth execution three times as slow": {"rarely_slow": ("cpu_ns",), "rarely_late": ("wall_ns",)},
}


def elsewhere(variant):
    """A module whose functions differ from version to version."""
    dice = random.Random(variant)
    functions, names = [], []
    for number in range(dice.randrange(1, 40) if variant else 12):
        names.append(f"other_{number}")
        steps = "".join(
            f"    value = value.rotate_left({dice.randrange(1, 63)}) ^ {dice.randrange(1, 1 << 32)};\n"
            f"    if value % {dice.randrange(2, 99)} == 0 {{\n        value = value.wrapping_mul({dice.randrange(3, 999)});\n    }}\n"
            for _ in range(dice.randrange(1, 30))
        )
        functions.append(f"#[inline(never)]\nfn other_{number}(mut value: u64) -> u64 {{\n{steps}    value\n}}\n")
    table = f"#[used]\nstatic KEPT: [fn(u64) -> u64; {len(names)}] = [{', '.join(names)}];\n"
    return "//! Functions that no job calls.\n\n" + table + "\n" + "\n".join(functions)


def crate(root, variant=0):
    """The jobs, as a user has them, and criterion's view of the same work."""
    return bench.write_crate(root, "compared", f"""\
[features]
profiling = ["profiling-core/profiling"]
changed = []

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
        "src/elsewhere.rs": elsewhere(variant),
        "benches/criterion.rs": (HERE / "criterion.rs").read_text(),
        "tests/profiling.rs": "use compared as _;\nprofiling_test_harness::main!();\n",
    })


def build(directory, root, version, arguments):
    """The path of a binary, copied to where the next build leaves it alone."""
    return shutil.copy2(bench.binary(["cargo", *arguments, "--no-run"], directory), root / version)


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
    """A run of a harness; returns what it printed and how long it took."""
    environment = {**os.environ, "PROFILING_OUT": str(root / "store")}
    begin = time.perf_counter()
    done = subprocess.run([binary, "-q", *arguments], cwd=directory, env=environment, capture_output=True, text=True)
    if done.returncode not in (0, 101):
        sys.exit(f"{binary} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout, time.perf_counter() - begin


def compare(binary, directory, root, jobs, options):
    """What a comparison with the baseline says of these jobs, and how long it took."""
    printed, took = harness(binary, directory, root, "--baseline", "first", *options, "--exact", *jobs)
    entries = json.loads((root / "store/profiling/comparison.json").read_text())["comparisons"]
    return [entry for entry in entries if entry["job"] in jobs], printed, took


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


def is_change(entry):
    return entry["outcome"] in ("improved", "regressed")


def seconds(took):
    return f"{len(took)} runs, {statistics.median(took):.0f} s each, {max(took):.0f} s at most"


def same(binaries, directory, root, jobs, runs, options):
    """Compares versions of which only other functions differ."""
    comparisons, took, called, without = [], [], 0, collections.Counter()
    for number in range(runs):
        entries, printed, time_taken = compare(binaries[number % len(binaries)], directory, root, jobs, options)
        comparisons += entries
        took.append(time_taken)
        changed = [entry for entry in entries if is_change(entry)]
        called += len({entry["job"] for entry in changed})
        without.update(re.findall(r"no second opinion on the CPU time of (\w+): (.{,40})", printed))
        for entry in changed:
            print(f"  {entry}", flush=True)
    print(f"\nthe same jobs, {len(binaries)} pairs of builds that differ elsewhere: {seconds(took)}")
    print(f"  {called} of {runs * len(jobs)} jobs improved or regressed")
    counted = collections.defaultdict(collections.Counter)
    for entry in comparisons:
        outcome = "moved" if entry.get("moved") is not None else entry["outcome"]
        counted[f"{entry['metric']} {entry['statistic']}"][outcome] += 1
    for figure, outcomes in sorted(counted.items()):
        print(f"  {figure}: {', '.join(f'{count} {outcome}' for outcome, count in sorted(outcomes.items()))}")
    moved = [abs(entry["moved"]) for entry in comparisons if entry.get("moved") is not None and entry["statistic"] == "p50"]
    if moved:
        print(f"  moved by {statistics.median(moved):.1%} in the median, {max(moved):.1%} at most")
    for (job, why), count in sorted(without.items()):
        print(f"  no second opinion on {job}, {count} times: {why}")
    sys.stdout.flush()


def changed(what, figures, binaries, directory, root, runs, options):
    """Compares versions in which jobs have changed, and other functions, too."""
    found, effects, took = collections.Counter(), collections.defaultdict(list), []
    statistics_found = collections.defaultdict(collections.Counter)
    for number in range(runs):
        entries, _, time_taken = compare(binaries[number % len(binaries)], directory, root, figures, options)
        took.append(time_taken)
        for job, metrics in figures.items():
            own = [entry for entry in entries if entry["job"] == job and entry["metric"] in metrics]
            worse = [entry for entry in own if entry["outcome"] == "regressed"]
            found[job] += bool(worse)
            statistics_found[job].update(entry["statistic"] for entry in worse)
            effects[job] += [entry["effect"] for entry in own if entry["statistic"] in ("p50", "mean")][:1]
            if not worse:
                print(f"  not found: {own}", flush=True)
    print(f"\n{what}: {seconds(took)}")
    for job in figures:
        by = ", ".join(f"{count} by {statistic}" for statistic, count in sorted(statistics_found[job].items()))
        print(f"  {job}: {found[job]} of {runs} regressed ({by}); first effect {statistics.median(effects[job]):+.2%} in the median")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--same", type=int, default=20, help="runs of the same ten jobs")
    parser.add_argument("--changed", type=int, default=60, help="runs of each kind of change")
    parser.add_argument("--pairs", type=int, default=10, help="builds whose other functions differ")
    parser.add_argument("--criterion", type=int, default=0, help="runs of criterion")
    parser.add_argument("--quick", action="store_true", help="show that it runs: nothing is optimised, few jobs, once each")
    parser.add_argument("--no-load", action="store_true", help="without the other process")
    parser.add_argument("--only", choices=["same", *(what.split()[0] for what in CHANGED)], help="one kind of change alone")
    parser.add_argument("--dir", help="where to build")
    parser.add_argument("options", nargs="*", help="more options for the harness, after `--`")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.same, arguments.changed, arguments.pairs = 1, 1, 1
        arguments.criterion = min(arguments.criterion, 1)
    profile = [] if arguments.quick else ["--release"]
    jobs = TEN[:2] if arguments.quick else TEN
    wanted = lambda kind: arguments.only in (None, kind.split()[0])  # noqa: E731
    with bench.workplace(arguments.dir) as root:
        def of_variant(name, variant, features=()):
            directory = crate(root, variant)
            return build(directory, root, name, ["test", *profile, "--test", "profiling", "--features",
                                                 ",".join(["profiling", *features])])
        first = of_variant("first", 0)
        moved, slower = [], []
        for variant in range(1, arguments.pairs + 1):
            moved.append(of_variant(f"moved-{variant}", variant))
            slower.append(of_variant(f"changed-{variant}", variant, ["changed"]))
        directory = crate(root)
        beside = build(directory, root, "criterion-bench", ["bench", "--bench", "criterion"]) if arguments.criterion else None
        other = multiprocessing.Process(target=load, args=(os.cpu_count() - 1,), daemon=True)
        if not arguments.no_load:
            other.start()
        harness(first, directory, root, "--save-baseline", "first")
        if wanted("same") and arguments.same:
            same(moved, directory, root, jobs, arguments.same, arguments.options)
        for what, figures in CHANGED.items():
            if wanted(what) and arguments.changed:
                changed(what, figures, slower, directory, root, arguments.changed, arguments.options)
        called, of = 0, 0
        for _ in range(arguments.criterion):
            some, all_of_them = criterion(beside, directory, root, arguments.quick)
            called, of = called + some, of + all_of_them
        if of:
            print(f"\ncriterion, identical code: {called} of {of} comparisons improved or regressed")
        if other.is_alive():
            other.terminate()


if __name__ == "__main__":
    main()
