"""What measuring costs, side by side: an allocation and its end under each counting allocator, an execution of
an empty job, an empty function in a stage.

`python3 benches/overhead` builds all with `--release` and prints tables; `--quick` shows that it runs. Every
allocator is in a binary of its own. Each round runs all binaries for a moment, one after the other, on pinned
threads, and every second round backwards; batches in which a thread lost its processor don't count. A figure is
the median over the rounds of the median batch, a ratio the median over the rounds of the ratios within a round.
It fails where ours costs more than it may.
"""

import argparse
import math
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import bench  # noqa: E402

REFERENCE, OURS = "system", "ours"
ALLOCATORS = {
    REFERENCE: "`System`, an explicit static",
    OURS: "profiling-core",
    "divan": "divan",
    "alloc_tracker": "alloc_tracker",
    "hotpath": "hotpath",
    "stats_alloc": "stats_alloc",
    "peak_alloc": "peak_alloc",
    "dhat": "dhat",
    "ours_histogram": "profiling-core, with its histogram",
}
LOOPS = {
    "box-64": "`Box` of zeroes",
    "box-64-lib": "`Box` of zeroes, library",
    "ones-64": "`Box` of ones",
    "ones-64-lib": "`Box` of ones, library",
    "vec-64": "`Vec`",
    "vec-64-lib": "`Vec`, library",
    "grow-64-lib": "`Vec` of 32 B grown, library",
    "box-64k-lib": "`Box`, 64 KiB, library",
    "vec-64k": "`Vec`, 64 KiB",
}
THREADS = (1, 2)
# What has to hold for the pairs of 64 B: at most so many times as long as `System`, and as divan.
HELD = ("box-64", "box-64-lib", "ones-64", "ones-64-lib", "vec-64", "vec-64-lib")
OF_SYSTEM, OF_DIVAN = 1.10, 1.03
STAGES = {
    "the empty function": ("stage_nothing", "-"),
    "`stage!`": ("stage_ours", "-"),
    "`tracing` span, no subscriber": ("stage_tracing", "off"),
    "`tracing` span, `Registry`": ("stage_tracing", "registry"),
    "hotpath `measure`": ("stage_hotpath", "-"),
}


def build(arguments, package):
    """Packages one by one: hotpath counts allocations in one of them, and doesn't in the other."""
    profile = [] if arguments.quick else ["--release"]
    bench.run(["cargo", "build", *profile, "--locked", "--package", package], HERE, arguments.target)


def measure(arguments, binary, name, threads, cpu):
    """Nanoseconds per iteration: the median of the batches that nobody disturbed, or none if these are few.

    Of a copy: where the kernel keeps a file in memory may make it faster or slower for as long as it stays there.
    """
    with tempfile.TemporaryDirectory(dir=arguments.target) as directory:
        command = [shutil.copy(arguments.built / binary, directory), name, threads, cpu, arguments.milliseconds]
        done = subprocess.run(map(str, command), check=True, capture_output=True, text=True, cwd=arguments.target)
    kept, _fastest, median = done.stdout.split()
    return float(median) if int(kept) >= 10 else None


def rounds_of(arguments, binaries, name, threads):
    """The figures of each binary, round by round."""
    rounds = []
    for number in range(arguments.rounds):
        order = list(binaries) if number % 2 == 0 else list(reversed(binaries))
        rounds.append({binary: measure(arguments, binary, name, threads, number) for binary in order})
    return rounds


def typical(rounds, binary, reference=None):
    """The median over the rounds, of nanoseconds or of ratios to the reference; NaN if all were disturbed."""
    both = [(figures[binary], figures[reference] if reference else 1) for figures in rounds]
    ratios = [figure / base for figure, base in both if figure and base]
    return statistics.median(ratios) if ratios else math.nan


def allocators(arguments):
    """Prints a table per number of threads, and returns what doesn't hold."""
    broken = []
    for threads in THREADS:
        found = {name: rounds_of(arguments, ALLOCATORS, name, threads) for name in arguments.loops}
        print(f"\nOne allocation of 64 B and its end, {threads} thread(s): ns, and times as long as `System`\n")
        print(f"| | {' | '.join(LOOPS[name] for name in found)} |")
        print(f"|---|{'---:|' * len(found)}")
        for binary, label in ALLOCATORS.items():
            cells = [f"{typical(rounds, binary):.1f}, {typical(rounds, binary, REFERENCE):.2f}" for rounds in found.values()]
            print(f"| {label} | {' | '.join(cells)} |", flush=True)
        for name in filter(HELD.__contains__, found):
            broken += judge(found[name], f"{LOOPS[name]}, {threads} thread(s)")
    return broken


def judge(rounds, what):
    limits = dict.fromkeys(ALLOCATORS, 1.0) | {REFERENCE: OF_SYSTEM, "divan": OF_DIVAN}
    for binary in (OURS, "ours_histogram"):
        del limits[binary]
    ratios = {binary: typical(rounds, OURS, binary) for binary in limits}
    return [f"{what}: {ratios[binary]:.3f} × {binary}, {limit} at most" for binary, limit in limits.items() if ratios[binary] > limit]


def executions(arguments):
    print("\nAn execution of an empty job, ns\n")
    print("| | measured | with all that is around it |\n|---|---:|---:|")
    command = [arguments.built / "executions", str(arguments.executions)]
    runs = [subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines() for _ in range(arguments.rounds)]
    for lines in zip(*runs):
        job, figures = lines[0].split()[0], zip(*(map(int, line.split()[1:]) for line in lines))
        print("|", " | ".join([f"`{job}`", *(f"{statistics.median(values):.0f}" for values in figures)]), "|", flush=True)


def stages(arguments):
    """Prints a table, and returns what doesn't hold."""
    print("\nAn empty function in a stage, one thread, ns\n")
    print("| | per call |\n|---|---:|")
    figures = {label: [] for label in STAGES}
    for number in range(arguments.rounds):
        for label, (binary, name) in STAGES.items():
            figures[label].append(measure(arguments, binary, name, 1, number))
    medians = {}
    for label, found in figures.items():
        kept = [figure for figure in found if figure is not None]
        medians[label] = statistics.median(kept) if kept else math.nan
        print(f"| {label} | {f'{medians[label]:.1f}' if kept else 'disturbed'} |", flush=True)
    ours, hotpath = medians["`stage!`"], medians["hotpath `measure`"]
    return [f"an empty stage: {ours:.1f} ns, below {hotpath:.1f} ns"] if ours >= hotpath else []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="runs of each binary, per loop and number of threads")
    parser.add_argument("--milliseconds", type=int, default=40, help="the length of a run")
    parser.add_argument("--executions", type=int, default=2_000, help="of an empty job, per round")
    parser.add_argument("--loops", nargs="+", choices=LOOPS, default=list(LOOPS), help="these loops alone")
    parser.add_argument("--only", choices=["allocators", "executions", "stages"], help="this part alone")
    parser.add_argument("--dir", help="build here, and keep it")
    parser.add_argument("--quick", action="store_true", help="show that it runs: nothing is optimised, few and short rounds, no verdict")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.milliseconds, arguments.executions = 1, 10, 100
        arguments.loops = ["box-64", "vec-64-lib"]
    arguments.target = pathlib.Path(arguments.dir).resolve() if arguments.dir else HERE / "target"
    arguments.built = arguments.target / ("debug" if arguments.quick else "release")
    parts = {"allocators": allocators, "executions": executions, "stages": stages}
    parts = {name: part for name, part in parts.items() if arguments.only in (None, name)}
    bench.describe_machine()
    for name in parts:
        build(arguments, name)
    broken = [found for part in parts.values() for found in part(arguments) or []]
    if broken and not arguments.quick:
        sys.exit("\n".join(["", "doesn't hold:", *broken]))


if __name__ == "__main__":
    main()
