/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report.h - what a benchmark leaves for bench/run: figures, targets and plots, as JSON
 *
 *      bench_report report("vunmap_batching", "What it costs to map and unmap frames");
 *      report.target("merge: eager / lazy", 6.5, ">=", 6);
 *      auto &plot = report.plot("merge", "areas unmapped at once", "ns an operation");
 *      plot.line("batch:N, 1 thread", 1, 1).at(64, 5100);
 *      report.write("vunmap_batching.json");
 *
 * bench/report.py draws the plots of all benchmarks the same way; it knows none of them.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "environment.h"

#include <cmath>
#include <cstdio>
#include <deque>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

struct bench_line {
	std::string label;
	int colour; /* lines of one colour belong together */
	int dash;   /* 1: solid */
	std::vector<std::pair<double, double>> points;

	void at(double x, double y)
	{
		if (!std::isnan(y))
			points.emplace_back(x, y);
	}
};

struct bench_plot {
	std::string title, x, y;
	bool x_log = true, y_log = true;
	std::deque<bench_line> lines;

	bench_line &line(const std::string &label, int colour, int dash)
	{
		return lines.emplace_back(bench_line{label, colour, dash, {}});
	}
};

class bench_report
{
public:
	/* @name: of files. @title: above all plots. */
	bench_report(const std::string &name, const std::string &title)
	{
		json_["name"] = name;
		json_["title"] = title;
		for (const auto &[key, value] : environment("all"))
			json_["environment"][key] = value;
		json_["targets"] = nlohmann::ordered_json::array();
		json_["figures"] = nlohmann::ordered_json::array();
	}
	/* What a reader of the picture must know; a line below it. */
	void note(const std::string &text) { json_["notes"].push_back(text); }
	/* Any row of a table. */
	void figure(const nlohmann::ordered_json &row) { json_["figures"].push_back(row); }
	void target(const std::string &what, double value, const char *op, double wanted, bool met)
	{
		json_["targets"].push_back({{"what", what},
					    {"value", value},
					    {"op", op},
					    {"wanted", wanted},
					    {"met", met}});
	}
	bench_plot &plot(const std::string &title, const std::string &x, const std::string &y)
	{
		return plots_.emplace_back(bench_plot{title, x, y, true, true, {}});
	}
	/* Return: false: the file cannot be written; errno says why. */
	bool write(const std::string &path)
	{
		std::ofstream out(path);

		for (const bench_plot &p : plots_) {
			nlohmann::ordered_json lines = nlohmann::ordered_json::array();

			for (const bench_line &l : p.lines)
				lines.push_back({{"label", l.label},
						 {"colour", l.colour},
						 {"dash", l.dash},
						 {"points", l.points}});
			json_["plots"].push_back({{"title", p.title},
						  {"x", p.x},
						  {"y", p.y},
						  {"x_log", p.x_log},
						  {"y_log", p.y_log},
						  {"lines", lines}});
		}
		out << json_.dump(1) << "\n";
		return (bool)out.flush();
	}

private:
	nlohmann::ordered_json json_;
	std::deque<bench_plot> plots_;
};

#endif
