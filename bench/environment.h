/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * environment.h - where a benchmark ran, as "# key: value" lines
 */
#ifndef BENCH_ENVIRONMENT_H
#define BENCH_ENVIRONMENT_H

#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <sys/utsname.h>
#include <unistd.h>

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

/* @what: whose figures mean nothing in a build with a sanitizer. */
inline void print_environment(const char *what)
{
	struct utsname uts;

	uname(&uts);
	std::printf("# kernel: %s %s\n# cpus: %ld\n", uts.release, uts.machine,
		    sysconf(_SC_NPROCESSORS_ONLN));
	std::printf("# cpu:%s\n", first_line("/proc/cpuinfo", "model name\t:").c_str());
	std::printf("# hypervisor: %s\n",
		    first_line("/proc/cpuinfo", "flags").find(" hypervisor") != std::string::npos
			    ? "yes (waking another processor is dear)"
			    : "no");
	std::printf("# load: %s\n", first_line("/proc/loadavg", "").c_str());
	std::printf("# compiler: %s\n", __VERSION__);
#ifdef BENCH_SANITIZED
	std::printf("# warning: built with a sanitizer: %s figures mean nothing\n", what);
#else
	(void)what;
#endif
#ifndef __OPTIMIZE__
	std::printf("# warning: built without optimisation\n");
#endif
}

#endif
