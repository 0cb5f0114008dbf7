"""report - what `make bench-peers` has measured, as tables and as a picture. Only ratios of one run mean anything.

usage: report.py RESULTS [DOCUMENT]

Reads RESULTS/peers.csv, prints the tables and the aims, writes RESULTS/peers.svg, and puts the tables into DOCUMENT
between the lines <!-- peers --> and <!-- /peers -->.
"""
import csv
import math
import statistics
import sys
from html import escape

CEILINGS = ("pgbench", "COPY", "SET NX")
MEASURES = ("per_s", "worker_cpu_s", "postgres_cpu_s", "redis_cpu_s", "peak_kib", "p50_ms", "p99_ms", "flush_ms")


def read(path):
    """values[contender][work][measure] = [one a repetition]; and the contenders in order of their names"""
    values = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            work = values.setdefault(row["contender"], {}).setdefault(row["work"], {})
            for measure in MEASURES:
                if row[measure]:
                    work.setdefault(measure, []).append(float(row[measure]))
    peers = sorted(name for name in values if name not in CEILINGS and name != "fenceline")
    return values, peers


def figure(value):
    """Three digits that count, or all before the point."""
    for limit, digits in ((0.1, 3), (1, 3), (10, 2), (100, 1)):
        if abs(value) < limit:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}"


def spread(numbers, unit=1.0):
    """Median (lowest..highest)"""
    numbers = [number / unit for number in numbers]
    if not numbers:
        return "-"
    return f"{figure(statistics.median(numbers))} ({figure(min(numbers))}..{figure(max(numbers))})"


def ratios(ours, theirs):
    """Each beside its own: one a repetition."""
    return [a / b for a, b in zip(ours, theirs) if b > 0]


def get(values, name, work, measure):
    return values.get(name, {}).get(work, {}).get(measure, [])


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def tables(values, peers, rate):
    repetitions = len(get(values, "fenceline", "chapters", "per_s"))
    lines = [f"Medians of {repetitions} repetitions (lowest..highest). CPU: seconds per 1,000 imports. Memory: the most "
             "that one", "process of a worker has had. Latency: from the call of the enqueue to the commit, "
             f"{rate.split('/')[0]} jobs per second.", ""]
    for work, what in (("chapters", "chapters, 20 rows each"), ("transcript", "transcripts, 400 rows each")):
        rows = [[name, *(spread(get(values, name, work, measure)) for measure in MEASURES[:4]),
                 spread(get(values, name, work, "peak_kib"), 1024)]
                for name in ("fenceline", *peers, "pgbench", "COPY")]
        lines += table([what, "imports per s", "worker CPU", "Postgres CPU", "Redis CPU", "peak MiB"], rows)
    lines += table([f"chapters at {rate}", "p50 ms", "p99 ms", "a flush, ms"],
                   [[name, *(spread(get(values, name, rate, m)) for m in MEASURES[5:])]
                    for name in ("fenceline", *peers)])
    lines += ["fenceline divided by each, in the same repetition:", ""]
    rows = []
    for name in (*peers, "pgbench", "COPY"):
        row = [name]
        for work, measure in (("chapters", "per_s"), ("transcript", "per_s"), ("chapters", "worker_cpu_s"),
                              ("transcript", "worker_cpu_s"), ("chapters", "postgres_cpu_s"),
                              ("chapters", "redis_cpu_s"), ("chapters", "peak_kib"), (rate, "p50_ms"),
                              (rate, "p99_ms")):
            row.append(spread(ratios(get(values, "fenceline", work, measure), get(values, name, work, measure))))
        rows.append(row)
    lines += table(["", "chapters per s", "transcripts per s", "worker CPU, chapters", "worker CPU, transcripts",
                    "Postgres CPU, chapters", "Redis CPU, chapters", "peak memory", "p50", "p99"], rows)
    leases = ", ".join(f"{spread(numbers['per_s'])} ({work})" for work, numbers in values.get("SET NX", {}).items())
    lines += [f"`SET NX` by redis-benchmark, eight connections, per second: {leases}.", ""]
    return lines


def best(values, peers, work, measure, choose):
    """The peer whose median is best, and its numbers."""
    known = [name for name in peers if get(values, name, work, measure)]
    name = choose(known, key=lambda peer: statistics.median(get(values, peer, work, measure)))
    return name, get(values, name, work, measure)


def aims(values, peers, rate):
    lines = []

    def aim(met, words):
        lines.append(f"Aim, {words}: {'met' if met else 'not met'}")

    def against(words, work, measure, choose, limit, at_least):
        name, theirs = best(values, peers, work, measure, choose)
        ratio = statistics.median(ratios(get(values, "fenceline", work, measure), theirs))
        aim(ratio >= limit if at_least else ratio <= limit,
            f"{words} ({name}), {'at least' if at_least else 'at most'} {limit:g} times; {ratio:.2f}")

    def top(words, work, limit):
        theirs = get(values, "pgbench", work, "per_s")
        ratio = statistics.median(ratios(get(values, "fenceline", work, "per_s"), theirs))
        aim(ratio >= limit, f"{words} beside pgbench, at least {limit:g} times; {ratio:.2f}")

    against("chapters beside the best peer", "chapters", "per_s", max, 6, True)
    top("chapters", "chapters", 1.5)
    against("transcripts beside the best peer", "transcript", "per_s", max, 2, True)
    top("transcripts", "transcript", 0.9)
    against("worker CPU beside the leanest, chapters", "chapters", "worker_cpu_s", min, 0.15, False)
    against("worker CPU beside the leanest, transcripts", "transcript", "worker_cpu_s", min, 0.15, False)
    memory = statistics.median(get(values, "fenceline", "chapters", "peak_kib")) / 1024
    aim(memory <= 12, f"a worker with chapters, at most 12 MiB; {memory:.1f}")
    against("p50 beside the quickest", rate, "p50_ms", min, 1, False)
    against("p99 beside the quickest", rate, "p99_ms", min, 1, False)
    return lines


# ---- the picture ----

WIDTH, PANEL, ROW, LABEL = 920, 430, 22, 118
STYLE = ("text{font:12px sans-serif;fill:#222}.h{font-weight:bold}.n{font-size:11px;fill:#444}"
         ".us{fill:#2166ac}.them{fill:#b8b8b8}.top{fill:none;stroke:#888;stroke-dasharray:3 2}"
         ".w{stroke:#222;stroke-width:1}")


def panel(x, y, title, bars, logarithmic):
    """Bars as long as their medians, with a line from the lowest to the highest. bars: (name, class, numbers)"""
    def length(value):
        return max(math.log10(value / 0.5), 0) if logarithmic else value

    bars = [bar for bar in bars if bar[2]]
    scale = (PANEL - LABEL - 70) / max(length(max(numbers)) for _, _, numbers in bars)
    parts = [f'<text class="h" x="{x}" y="{y}">{escape(title)}</text>']
    for i, (name, kind, numbers) in enumerate(bars):
        top = y + 10 + i * ROW
        left, middle = x + LABEL, top + 8
        low, median, high = (scale * length(f(numbers)) for f in (min, statistics.median, max))
        parts.append(f'<text x="{left - 6}" y="{top + 12}" text-anchor="end">{escape(name)}</text>'
                     f'<rect class="{kind}" x="{left}" y="{top}" width="{max(median, 1):.1f}" height="16"/>'
                     f'<line class="w" x1="{left + low:.1f}" y1="{middle}" x2="{left + high:.1f}" y2="{middle}"/>'
                     f'<text class="n" x="{left + high + 5:.1f}" y="{top + 12}">'
                     f'{figure(statistics.median(numbers))}</text>')
    return parts


def picture(values, peers, rate):
    def bars(work, measure, unit=1.0, ceiling=False):
        names = [("fenceline", "us"), *((name, "them") for name in peers)]
        names += [("pgbench", "top")] if ceiling else []
        return [(name, kind, [v / unit for v in get(values, name, work, measure)]) for name, kind in names]

    panels = [("chapter imports per second", bars("chapters", "per_s", ceiling=True)),
              ("transcript imports per second", bars("transcript", "per_s", ceiling=True)),
              ("worker CPU, seconds per 1,000 chapters", bars("chapters", "worker_cpu_s")),
              ("worker CPU, seconds per 1,000 transcripts", bars("transcript", "worker_cpu_s")),
              ("peak memory of a process, MiB", bars("chapters", "peak_kib", 1024)),
              ("Postgres CPU, seconds per 1,000 chapters", bars("chapters", "postgres_cpu_s", ceiling=True)),
              (f"p50 at {rate}, ms, logarithmic", bars(rate, "p50_ms")),
              (f"p99 at {rate}, ms, logarithmic", bars(rate, "p99_ms"))]
    step = 40 + ROW * (len(peers) + 2)
    height = 30 + step * ((len(panels) + 1) // 2)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">',
             f"<style>{STYLE}</style>", f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>']
    for i, (title, some) in enumerate(panels):
        parts += panel(20 + i % 2 * (PANEL + 20), 30 + i // 2 * step, title, some, "logarithmic" in title)
    return "\n".join([*parts, "</svg>", ""])


def main():
    results, *document = sys.argv[1:]
    values, peers = read(f"{results}/peers.csv")
    rate = next(work for work in values["fenceline"] if work.endswith("/s"))
    lines = tables(values, peers, rate)
    with open(f"{results}/peers.svg", "w", encoding="utf-8") as file:
        file.write(picture(values, peers, rate))
    if document:
        with open(document[0], encoding="utf-8") as file:
            before, rest = file.read().split("<!-- peers -->\n")
        with open(document[0], "w", encoding="utf-8") as file:
            after = rest.split("<!-- /peers -->")[1]
            file.write(before + "<!-- peers -->\n" + "\n".join(lines) + "<!-- /peers -->" + after)
    print("\n".join([*lines, *aims(values, peers, rate)]))


main()
