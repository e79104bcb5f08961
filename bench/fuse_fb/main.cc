/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuse_fb - what the FUSE framebuffer costs and brings, beside what it is compared with
 *
 *   build/bench/fuse_fb/fuse_fb [SECTION]...	bandwidth motion cpu latency still damage; none: all
 *
 * Exit status: 0 every target holds, 1 one is missed, 2 usage, 3 something did not work.
 */
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <thread>

#include <sys/utsname.h>

#include "bench.h"

namespace bench
{

namespace
{

bool everything_holds = true;

} // namespace

double seconds_between(clock::time_point from, clock::time_point to)
{
	return std::chrono::duration<double>(to - from).count();
}

double quantile(std::vector<double> values, double q)
{
	std::sort(values.begin(), values.end());
	return values[std::min(values.size() - 1, (std::size_t)(q * (double)values.size()))];
}

double median(std::vector<double> values)
{
	return quantile(std::move(values), 0.5);
}

void print_environment()
{
	struct utsname name;
	std::ifstream cpuinfo("/proc/cpuinfo"), load("/proc/loadavg");
	std::string line, first;

	uname(&name);
	printf("# kernel: %s\n# cpus: %u\n", name.release, std::thread::hardware_concurrency());
	while (std::getline(cpuinfo, line))
		if (line.rfind("model name", 0) == 0) {
			printf("# cpu: %s\n", line.c_str() + line.find(':') + 2);
			break;
		}
	load >> first;
	printf("# load: %s\n", first.c_str());
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	printf("# warning: built with sanitizers, the figures mean nothing\n");
#endif
#ifndef __OPTIMIZE__
	printf("# warning: built without optimisation, the figures mean nothing\n");
#endif
	fflush(stdout);
}

void print_section(const char *title)
{
	printf("\n%s\n", title);
	fflush(stdout);
}

void judge(const std::string &what, double figure, const char *unit, bool at_most, double target)
{
	bool holds = at_most ? figure <= target : figure >= target;

	printf("  %-46s %8.2f %-2s (target: %s %.2f)  %s\n", what.c_str(), figure, unit,
	       at_most ? "at most" : "at least", target, holds ? "holds" : "MISSES");
	fflush(stdout);
	everything_holds = everything_holds && holds;
}

bool all_hold()
{
	return everything_holds;
}

} // namespace bench

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)();
	} sections[] = {
		{"bandwidth", bench::bandwidth},
		{"motion", bench::motion},
		{"cpu", bench::cpu},
		{"latency", bench::latency},
		{"still", bench::still},
		{"damage", bench::damage},
	};

	try {
		if (argc > 1 && strcmp(argv[1], "--child") == 0)
			return bench::child_main(argc - 2, argv + 2);
		for (int i = 1; i < argc; i++) {
			if (std::none_of(std::begin(sections), std::end(sections),
					 [&](auto &s) { return strcmp(s.name, argv[i]) == 0; })) {
				fprintf(stderr,
					"fuse_fb: no section is called '%s'; there are:", argv[i]);
				for (const auto &s : sections)
					fprintf(stderr, " %s", s.name);
				fprintf(stderr, "\n");
				return 2;
			}
		}
		bench::print_environment();
		for (const auto &s : sections)
			if (argc == 1 || std::any_of(argv + 1, argv + argc, [&](char *arg) {
				    return strcmp(arg, s.name) == 0;
			    }))
				s.run();
	} catch (const std::exception &error) {
		fflush(stdout);
		fprintf(stderr, "fuse_fb: %s\n", error.what());
		return 3;
	}
	return bench::all_hold() ? 0 : 1;
}
