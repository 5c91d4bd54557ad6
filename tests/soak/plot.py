"""Draws the samples of a soak as SVG, and says whether they are flat.

    python3 tests/soak/plot.py [--quick] SAMPLES.csv DIRECTORY

Flat: the median of the last quarter of the run is at most so many times that of the second quarter.
The first quarter is left out: caches fill, and spent session tokens are remembered for their first
five minutes. With --quick it draws and tells, and always succeeds: a short run cannot be flat.
"""

import csv
import html
import pathlib
import statistics
import sys

MIB = 1 << 20
# Column, what it is called, and the largest ratio that is flat. Space and memory are the server's
# own. Latency is also the machine's: other work on it must not fail a run of an hour.
BOUNDS = [
    ("disk_bytes", "disk", 1.10),
    ("rss_bytes", "memory", 1.10),
    ("descriptors", "descriptors", 1.10),
    ("p99_us", "p99 latency", 1.50),
]
# File, title, unit, how many of the column's units are one, and the columns with their names.
PLOTS = [
    (
        "disk",
        "Space of the data directory",
        "MiB",
        MIB,
        [("disk_bytes", "on disk"), ("live_bytes", "keys and values that are live")],
    ),
    ("memory", "Resident memory of the server", "MiB", MIB, [("rss_bytes", "memory")]),
    (
        "descriptors",
        "Open descriptors and files",
        "number",
        1,
        [("descriptors", "descriptors"), ("files", "files in the data directory")],
    ),
    (
        "latency",
        "Latency of UpdateRecords, by interval",
        "ms",
        1000,
        [("p50_us", "p50"), ("p99_us", "p99")],
    ),
    ("longest", "Longest UpdateRecords of each interval", "ms", 1000, [("max_us", "longest")]),
    (
        "rate",
        "Updates and checked reads",
        "per second",
        1,
        [("updates_per_s", "updates"), ("checks_per_s", "checked reads")],
    ),
]
WIDTH, HEIGHT = 860, 300
LEFT, RIGHT, TOP, BOTTOM = 76, 16, 58, 46
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #333 } .title { font-size: 15px; font-weight: 600 }
.back { fill: #fff } .grid { stroke: #ddd } .axis { stroke: #666 }
.s0 { stroke: #1f6fb4; fill: #1f6fb4 } .s1 { stroke: #c4561a; fill: #c4561a }
polyline { fill: none !important; stroke-width: 1.6 }
@media (prefers-color-scheme: dark) {
text { fill: #ddd } .back { fill: #14171a } .grid { stroke: #333 } .axis { stroke: #999 }
.s0 { stroke: #69b1ee; fill: #69b1ee } .s1 { stroke: #f0935a; fill: #f0935a } }
"""


def read(path):
    """The samples, and what is said above them of the machine."""
    lines = pathlib.Path(path).read_text().splitlines()
    machine = [line.removeprefix("# ") for line in lines if line.startswith("#")]
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return [{name: float(number) for name, number in row.items()} for row in rows], machine


def ticks(top):
    """At most seven round numbers from 0 to what covers the top."""
    step = 1.0
    while top / step > 6:
        step *= 2.5 if str(step).lstrip("0.").startswith("2") else 2
    while top / step < 2.5:
        step /= 2
    count = int(-(-top // step))
    return [number * step for number in range(count + 1)]


def draw(samples, title, unit, scale, columns):
    """One plot over time, from 0 on both axes."""
    end = samples[-1]["seconds"]
    minutes = end >= 300
    time_unit, per = ("minutes", 60) if minutes else ("seconds", 1)
    marks_x = ticks(end / per)
    marks_y = ticks(max(max(row[name] for name, _ in columns) for row in samples) / scale or 1)
    x = lambda seconds: LEFT + (WIDTH - LEFT - RIGHT) * seconds / per / marks_x[-1]
    y = lambda value: HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / marks_y[-1]
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>",
        f'<rect class="back" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="22">{html.escape(title)}, {unit}</text>',
    ]
    for mark in marks_y:
        at = f"{y(mark):.1f}"
        out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y(mark) + 4:.1f}" text-anchor="end">{mark:g}</text>')
    base = HEIGHT - BOTTOM
    for mark in marks_x:
        at = f"{x(mark * per):.1f}"
        out.append(f'<line class="axis" x1="{at}" x2="{at}" y1="{base}" y2="{base + 4}"/>')
        out.append(f'<text x="{at}" y="{base + 18}" text-anchor="middle">{mark:g}</text>')
    out.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    label = f"{time_unit} since the beginning"
    out.append(f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">{label}</text>')
    for number, (name, called) in enumerate(columns):
        points = " ".join(f"{x(row['seconds']):.1f},{y(row[name] / scale):.1f}" for row in samples)
        out.append(f'<polyline class="s{number}" points="{points}"/>')
        at = LEFT + 190 * number
        out.append(f'<rect class="s{number}" x="{at}" y="33" width="14" height="4"/>')
        out.append(f'<text x="{at + 20}" y="40">{html.escape(called)}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


def judge(samples, words):
    """A line for each bound, and whether all of them are kept."""
    end = samples[-1]["seconds"]
    second = [row for row in samples if end / 4 <= row["seconds"] < end / 2]
    last = [row for row in samples if row["seconds"] >= end * 3 / 4]
    lines, flat = [], True
    for column, called, bound in BOUNDS:
        before = statistics.median(row[column] for row in second)
        after = statistics.median(row[column] for row in last)
        ratio = after / before if before else float("inf")
        kept = ratio <= bound
        flat = flat and kept
        lines.append(
            f"{words[kept]}  {called:12} last quarter / second quarter = {ratio:.3f}, at most "
            f"{bound:.2f}  ({before:,.0f} -> {after:,.0f})"
        )
    return lines, flat


def main(arguments):
    quick = "--quick" in arguments
    samples_path, directory = (text for text in arguments if text != "--quick")
    samples, machine = read(samples_path)
    if len(samples) < 8:
        sys.exit(f"{samples_path}: {len(samples)} samples are too few")
    for name, *plot in PLOTS:
        path = pathlib.Path(directory) / f"{name}.svg"
        path.write_text(draw(samples, *plot))
    # A short run is looked at, not judged.
    words = ("above", "below") if quick else ("FAIL", "PASS")
    lines, flat = judge(samples, words)
    lines.append(f"over {samples[-1]['seconds'] / 60:.1f} minutes, {len(samples)} samples")
    report = "\n".join([*machine, *lines]) + "\n"
    (pathlib.Path(directory) / "verdict.txt").write_text(report)
    print("\n".join(lines))
    if not flat and not quick:
        sys.exit("the server is not flat")


main(sys.argv[1:])
