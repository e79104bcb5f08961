#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Draws what benchmarks left (bench/report.h) and puts it together.

    report.py OUT BENCH.json...

For each benchmark OUT/NAME.png, all its plots with one legend for them; and OUT/bench.json, all of
them in one file. Prints the targets. Exit status: 0; 1: a target is not met; 2: no gnuplot.
"""
import json
import pathlib
import subprocess
import sys

COLOURS = ["#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#777777", "#e69f00"]
DASHES = {1: "1", 2: "2", 3: "3", 4: "4"}
WIDTH, HEIGHT, LEGEND = 1600, 1100, 0.24
COLUMNS = 2


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def style(line):
    colour = COLOURS[line["colour"] % len(COLOURS)]
    text = f'lc rgb "{colour}" dt {DASHES.get(line["dash"], "5")} lw 2'
    # Where only the ends are told, the line says that there is nothing in between.
    many = len(line["points"]) > 2
    return f"with linespoints {text} pt 7 ps 0.9" if many else f"with lines {text}"


def data(line):
    return "\n".join(f"{x} {y}" for x, y in line["points"]) + "\ne\n"


def panel(plot, place):
    """One plot at @place: left, bottom, width, height as parts of the picture."""
    left, bottom, width, height = place
    lines = [line for line in plot["lines"] if line["points"]]
    text = [f"set origin {left},{bottom}", f"set size {width},{height}",
            f'set title {quoted(plot["title"])}', f'set xlabel {quoted(plot["x"])}',
            f'set ylabel {quoted(plot["y"])}',
            "set logscale x 2" if plot["x_log"] else "unset logscale x",
            "set logscale y 10" if plot["y_log"] else "unset logscale y", "unset key",
            "plot " + ", ".join(f"'-' {style(line)}" for line in lines)]
    return "\n".join(text) + "\n" + "".join(data(line) for line in lines)


def legend(plots):
    """The lines of all plots, each once, in the right margin."""
    named = {line["label"]: line for plot in plots for line in plot["lines"] if line["points"]}
    entries = ", ".join(f'NaN {style(line)} title {quoted(label)}'
                        for label, line in named.items())
    return "\n".join([f"set origin {1 - LEGEND},0.2", f"set size {LEGEND},0.6", "unset title",
                      "unset xlabel", "unset ylabel", "unset border", "unset tics", "unset grid",
                      "unset logscale", "set key left center Left reverse spacing 1.4",
                      "set lmargin 0", "set rmargin 0",
                      "set xrange [0:1]", "set yrange [0:1]", "plot " + entries]) + "\n"


def script(bench, picture):
    plots = bench["plots"]
    rows = (len(plots) + COLUMNS - 1) // COLUMNS
    notes = bench.get("notes", [])
    ground, roof = 0.03 + 0.022 * len(notes), 0.94
    where = bench["environment"]
    machine = f'{where["cpu"].strip()}, {where["cpus"]} CPUs, Linux {where["kernel"]}'
    text = [f'set terminal pngcairo size {WIDTH},{HEIGHT} font "sans,11" noenhanced',
            f"set output {quoted(str(picture))}",
            "set multiplot", "set grid lc rgb '#cccccc'", "set format y '%.0s%c'",
            f'set label 1 {quoted(bench["title"])} at screen 0.02,0.975 font "sans,16"',
            f'set label 2 {quoted(machine)} at screen 0.98,0.975 right tc rgb "#555555"']
    for i, note in enumerate(notes):
        text.append(f"set label {i + 3} {quoted(note)} at screen 0.02,"
                    f"{0.02 + 0.022 * (len(notes) - 1 - i)} tc rgb '#333333'")
    text = "\n".join(text) + "\n"
    for i, plot in enumerate(plots):
        row, column = divmod(i, COLUMNS)
        height = (roof - ground) / rows
        width = (1 - LEGEND) / COLUMNS
        text += panel(plot, (column * width, roof - (row + 1) * height, width, height))
        if not i:
            text += "unset label\n"
    return text + legend(plots) + "unset multiplot\n"


def draw(bench, picture):
    try:
        subprocess.run(["gnuplot"], input=script(bench, picture), text=True, check=True)
    except FileNotFoundError:
        print("bench/report.py: gnuplot is not installed (tests/setup.sh bench)", file=sys.stderr)
        sys.exit(2)


def main():
    out = pathlib.Path(sys.argv[1])
    benches = [json.loads(pathlib.Path(path).read_text()) for path in sys.argv[2:]]
    missed = 0
    for bench in benches:
        for target in bench["targets"]:
            missed += not target["met"]
            print(f'{bench["name"]}: {target["what"]}: {target["value"]:.3g} '
                  f'({target["op"]} {target["wanted"]:.3g}) '
                  f'{"met" if target["met"] else "NOT met"}')
        if bench.get("plots"):
            picture = out / (bench["name"] + ".png")
            draw(bench, picture)
            print(f"{picture}")
    together = out / "bench.json"
    together.write_text(json.dumps(benches, indent=1) + "\n")
    print(f"{together}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
