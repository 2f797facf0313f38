"""Prints a table of the measurements of bench_overload.sh, and draws the plot.

Usage: overload.py DIRECTORY CAPACITY SVG. The directory has what plant-loadtest has printed and its CSV files in Locust's
layout: <version>-<share>.out and <version>-recovery_stats_history.csv.
"""

import csv
import glob
import os
import re
import sys

WIDTH, HEIGHT, LEFT, TOP, GAP = 720, 260, 60, 30, 60


def read_rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def measurement(path):
    """Returns sent and failed requests of the judged stage and the latency of the successful ones in ms."""
    with open(path) as file:
        line = re.search(r"Judged: (\d+) requests.* errors: (\d+); P50 ([\d.]+) ms.* P99 ([\d.]+) ms", file.read())
    sent, failed, p50, p99 = line.groups()
    return int(sent), int(failed), float(p50), float(p99)


def measurements(directory):
    """Returns {version: [(share, sent, failed, p50, p99)]} in the order of the shares."""
    found = {}
    for path in glob.glob(f"{directory}/*.out"):
        match = re.fullmatch(r"(\w+)-(\d+).out", os.path.basename(path))
        if match:
            version, share = match[1], int(match[2])
            found.setdefault(version, []).append((share, *measurement(path)))
    return {version: sorted(rows) for version, rows in sorted(found.items(), reverse=True)}


def recovery(directory, version):
    """Returns the seconds from the end of the overload to the last second with a failed request."""
    rows = read_rows(f"{directory}/{version}-recovery_stats_history.csv")
    failures = [int(row["Total Failure Count"]) for row in rows if row["Name"] == "Aggregated"]
    end = 2 * len(failures) // 3
    late = [index for index in range(end, len(failures)) if failures[index] > failures[index - 1]]
    return late[-1] - end + 1 if late else 0


def print_table(data, seconds, directory):
    print("| version | offered of the capacity | offered/s | served/s | rejected | P50 ms | P99 ms |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for version, rows in data.items():
        for share, sent, failed, p50, p99 in rows:
            served = (sent - failed) / seconds
            print(f"| {version} | {share} % | {sent / seconds:.0f} | {served:.0f} | {failed / sent:.1%} | {p50:.1f} | {p99:.1f} |")
    for version in data:
        print(f"\n{version}: the last rejection was {recovery(directory, version)} s after an overload of 200 %.")


def polyline(points, color, dash):
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in points)
    return f'<polyline points="{text}" fill="none" stroke="{color}" stroke-width="2" stroke-dasharray="{dash}"/>{dots}'


def chart(top, title, series, limit, width, label, scale):
    """Draws lines over the offered share; `scale` maps a value to 0..1."""
    bottom = top + HEIGHT
    parts = [f'<text x="{LEFT}" y="{top - 10}" font-weight="bold">{title}</text>']
    parts.append(f'<path d="M{LEFT} {top}V{bottom}H{LEFT + width}" fill="none" stroke="#888"/>')
    for share in range(0, 301, 50):
        x = LEFT + width * share / 300
        parts.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{share} %</text>')
    for value in limit:
        y = bottom - HEIGHT * scale(value)
        parts.append(f'<path d="M{LEFT} {y}H{LEFT + width}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{label(value)}</text>')
    for points, color, dash in series:
        parts.append(polyline([(LEFT + width * x / 300, bottom - HEIGHT * scale(y)) for x, y in points], color, dash))
    return "".join(parts)


def draw(data, seconds, capacity, path):
    import math

    colors = {"now": "#2563eb", "before": "#c2410c"}
    served = [([(row[0], (row[1] - row[2]) / seconds) for row in rows], colors[version], "") for version, rows in data.items()]
    ideal = ([(0, 0), (100, capacity), (300, capacity)], "#999", "5 4")
    latency = [([(row[0], row[4]) for row in rows], colors[version], "") for version, rows in data.items()]
    top = 1.15 * max(capacity, max(y for points, *_ in served for _, y in points))
    step = 10 ** math.floor(math.log10(top)) / 2
    rates = [step * n for n in range(int(top / step) + 1)]
    width = WIDTH - LEFT - 20
    body = chart(TOP, "served, successful requests/s", [ideal, *served], rates, width, lambda v: f"{v:,.0f}", lambda v: v / top)
    second = TOP + HEIGHT + GAP
    decades = [1, 10, 100, 1000, 10000]
    body += chart(
        second, "P99 of the successful requests, ms", latency, decades, width, lambda v: f"{v:,}", lambda v: math.log10(max(v, 1)) / 4
    )
    bottom = second + HEIGHT + 36
    body += f'<text x="{LEFT}" y="{bottom}">offered, % of the capacity; blue: with admission control'
    body += "; orange: before</text>" if "before" in data else "</text>"
    with open(path, "w") as file:
        file.write(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 14}" font-family="sans-serif" font-size="12">'
            f'<rect width="100%" height="100%" fill="#fff"/>{body}</svg>\n'
        )


def main():
    directory, capacity, svg = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    seconds = float(os.environ["SECONDS_EACH"])
    data = measurements(directory)
    print_table(data, seconds, directory)
    os.makedirs(os.path.dirname(svg), exist_ok=True)
    draw(data, seconds, capacity, svg)


main()
