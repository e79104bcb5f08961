/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * environment.h - where a benchmark ran
 */
#ifndef BENCH_ENVIRONMENT_H
#define BENCH_ENVIRONMENT_H

#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <sys/utsname.h>
#include <unistd.h>
#include <utility>
#include <vector>

/* What follows @prefix in the first line of the file at @path that begins with it. */
inline std::string first_line(const char *path, const char *prefix)
{
	std::ifstream in(path);
	std::string line;

	while (std::getline(in, line)) {
		if (line.rfind(prefix, 0) == 0)
			return line.substr(std::strlen(prefix));
	}
	return "unknown";
}

/* Key and value, as every benchmark tells them. @what: whose figures a sanitizer spoils. */
inline std::vector<std::pair<std::string, std::string>> environment(const char *what)
{
	const bool hypervisor =
		first_line("/proc/cpuinfo", "flags").find(" hypervisor") != std::string::npos;
	struct utsname uts;

	uname(&uts);
	std::vector<std::pair<std::string, std::string>> lines = {
		{"kernel", std::string(uts.release) + " " + uts.machine},
		{"cpus", std::to_string(sysconf(_SC_NPROCESSORS_ONLN))},
		{"cpu", first_line("/proc/cpuinfo", "model name\t: ")},
		{"hypervisor", hypervisor ? "yes (waking another processor is dear)" : "no"},
		{"load", first_line("/proc/loadavg", "")},
		{"compiler", __VERSION__},
	};
#ifdef BENCH_SANITIZED
	lines.emplace_back("warning", std::string("built with a sanitizer: ") + what +
					      " figures mean nothing");
#else
	(void)what;
#endif
#ifndef __OPTIMIZE__
	lines.emplace_back("warning", "built without optimisation");
#endif
	return lines;
}

inline void print_environment(const char *what)
{
	for (const auto &[key, value] : environment(what))
		std::printf("# %s: %s\n", key.c_str(), value.c_str());
}

#endif
