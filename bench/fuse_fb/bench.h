/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench.h - what the sections of bench/fuse_fb share
 *
 * Every figure is a ratio of two things measured in one run, in turns, by medians; where the target
 * is absolute (milliseconds, frames a second) the figure stands alone. A program that draws, a
 * poller and the daemon whose CPU is measured are processes of their own, started from this very
 * binary or from pvshim-fb, and end with this process.
 */
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

namespace bench
{

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

/* Of the frame that all sections but the last draw: 1920x1080, 32 bits a pixel. */
constexpr std::size_t width = 1920, height = 1080, line_bytes = width * 4;
constexpr std::size_t frame_bytes = line_bytes * height;

double seconds_between(clock::time_point from, clock::time_point to);
/* Sorts; 0 <= @q <= 1. */
double quantile(std::vector<double> values, double q);
double median(std::vector<double> values);

/* ---- what is printed ---- */

/* "# key: value" lines about where this runs. */
void print_environment();
void print_section(const char *title);
/* One line; remembers when it does not hold. @at_most: else at least. */
void judge(const std::string &what, double figure, const char *unit, bool at_most, double target);
/* Did every judge() so far hold? */
bool all_hold();

/* ---- processes ---- */

/*
 * A process of ours; ended, and waited for, by the destructor. What it says on standard error is
 * shown only when it fails.
 */
class child
{
public:
	/* This binary again, as main() --child ARGS... */
	static child self(const std::vector<std::string> &args);
	explicit child(const std::vector<std::string> &command);
	~child();
	child(child &&other) noexcept;
	child &operator=(child &&) = delete;

	pid_t pid() const { return pid_; }
	/* SIGTERM, then waits; false when it ended otherwise than by that or with 0. */
	bool end();
	/* Waits; true when it ended by itself with 0. */
	bool wait();
	/* What it prints to standard output until it ends. */
	std::string output();
	/* CPU time used so far by all its threads, seconds. */
	double cpu() const;
	/* Voluntary and other context switches so far, of all its present threads. */
	std::uint64_t switches() const;

private:
	/* Waits. */
	int status();
	/* Passes @ended_well on. */
	bool judge(bool ended_well);

	pid_t pid_ = -1;
	int out_ = -1;
	int err_ = -1;
};

/* A temporary folder, on tmpfs, or to mount upon. */
class folder
{
public:
	explicit folder(const std::string &parent);
	~folder();
	folder(const folder &) = delete;
	folder &operator=(const folder &) = delete;

	const std::string path;
};

/* A file of one frame on tmpfs: the baseline of drawing. */
std::string make_frame_file(const folder &where);

/* A mapping of a file, shared and writable. */
class mapping
{
public:
	mapping(const std::string &path, std::size_t bytes);
	~mapping();
	mapping(const mapping &) = delete;
	mapping &operator=(const mapping &) = delete;

	std::uint32_t *pixels() const { return static_cast<std::uint32_t *>(start_); }

private:
	void *start_;
	std::size_t bytes_;
};

/* pvshim-fb as a process of its own, with a 1080p fb0, on a mount point of its own. */
class daemon_process
{
public:
	daemon_process();
	~daemon_process();

	std::string frame() const { return mount_.path + "/fb0"; }
	/* fb0's tracker is in the state "idle", says stats.json. */
	bool idle() const;
	child &process() { return process_; }

private:
	folder mount_;
	child process_;
};

/*
 * ---- programs that draw (and one that looks), as processes: main() --child NAME FILE ARGS... ----
 */

int child_main(int argc, char **argv);

/* ---- the sections ---- */

void bandwidth();
void motion();
void cpu();
void latency();
void still();
void damage();

} // namespace bench
