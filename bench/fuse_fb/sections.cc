/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sections.cc - the sections that measure pvshim-fb from outside
 *
 * The daemon is a process of its own; what it costs is read from its CPU clock and its threads'
 * context switches, what it costs others from the drawing programs.
 */
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <utility>

#include "bench.h"

namespace bench
{

namespace
{

constexpr int rounds = 5;

double printed_number(child &load)
{
	double number = std::stod(load.output());

	if (!load.wait())
		throw std::runtime_error("a load failed");
	return number;
}

double run_load(const char *load, const std::string &frame, const char *seconds)
{
	child process = child::self({load, frame, seconds});

	return printed_number(process);
}

} // namespace

void bandwidth()
{
	folder tmpfs("/dev/shm");
	std::string plain = make_frame_file(tmpfs);
	daemon_process daemon;
	std::vector<double> ours, theirs, ratios;

	print_section(
		"bandwidth: memset of 1920x1080x32 in a loop, tracked at 60 Hz, beside tmpfs");
	run_load("memset", daemon.frame(), "1");
	for (int i = 0; i < rounds; i++) {
		theirs.push_back(run_load("memset", plain, "1"));
		ours.push_back(run_load("memset", daemon.frame(), "1"));
		ratios.push_back(ours.back() / theirs.back());
	}
	printf("  mount %.1f GB/s, tmpfs %.1f GB/s (medians of %d rounds)\n", median(ours) * 1e-9,
	       median(theirs) * 1e-9, rounds);
	judge("bandwidth through the mount / tmpfs", median(ratios), "", false, 0.85);

	ours.clear();
	theirs.clear();
	ratios.clear();
	for (int i = 0; i < rounds; i++) {
		theirs.push_back(run_load("frames", plain, "1"));
		ours.push_back(run_load("frames", daemon.frame(), "1"));
		ratios.push_back(ours.back() / theirs.back());
	}
	printf("  drawing one frame of 60 a second: mount %.0f us, tmpfs %.0f us\n", median(ours),
	       median(theirs));
	judge("a frame's cost to its writer / tmpfs", median(ratios), "", true, 1.5);
}

namespace
{

/* Of one CPU, while it runs beside a load that has begun. */
double share_of_cpu(child &who)
{
	constexpr std::chrono::duration<double> warm_up = 500ms, measured = 2s;

	std::this_thread::sleep_for(warm_up);
	double before = who.cpu();
	std::this_thread::sleep_for(measured);
	return (who.cpu() - before) / measured.count();
}

} // namespace

void cpu()
{
	static const struct {
		const char *load, *text;
	} loads[] = {
		{"still", "still screen"},
		{"clock", "clock, once a second"},
		{"scroll", "terminal scrolling"},
		{"motion", "full motion"},
	};
	folder tmpfs("/dev/shm");
	std::string plain = make_frame_file(tmpfs);

	print_section("cpu: the daemon beside a poller that compares 1080p at 60 Hz, and beside "
		      "memcpy of all of it, % of a CPU");
	for (const auto &load : loads) {
		std::vector<double> ours, theirs, copies, ratios;

		for (int i = 0; i < rounds; i++) {
			for (auto [watcher, shares] :
			     {std::pair{"poll", &theirs}, std::pair{"copy", &copies}}) {
				child drawing = child::self({load.load, plain});
				child watching = child::self({watcher, plain});
				shares->push_back(share_of_cpu(watching));
			}
			{
				daemon_process daemon;
				child drawing = child::self({load.load, daemon.frame()});
				ours.push_back(share_of_cpu(daemon.process()));
			}
			ratios.push_back(ours.back() / theirs.back());
		}
		printf("  %-22s daemon %5.2f %%  poller %5.2f %%  memcpy %5.2f %%\n", load.text,
		       median(ours) * 100, median(theirs) * 100, median(copies) * 100);
		judge(std::string("daemon / poller, ") + load.text, median(ratios), "", true, 1.0);
	}
}

void still()
{
	folder tmpfs("/dev/shm");
	daemon_process daemon;
	child drawing = child::self({"still", daemon.frame()});
	child poller = child::self({"poll", make_frame_file(tmpfs)});
	auto deadline = clock::now() + 60s;

	print_section("still: context switches of all the daemon's threads while nothing is drawn");
	do {
		std::this_thread::sleep_for(500ms);
		if (clock::now() > deadline)
			throw std::runtime_error("fb0 did not come to rest in 60 s");
	} while (!daemon.idle());
	/* Reading stats.json was work; let it end. */
	std::this_thread::sleep_for(1s);
	std::uint64_t before = daemon.process().switches(), polls = poller.switches();
	std::this_thread::sleep_for(5s);
	printf("  a poller at 60 Hz: %llu\n", (unsigned long long)(poller.switches() - polls));
	judge("context switches in 5 s", (double)(daemon.process().switches() - before), "", true,
	      0);
}

} // namespace bench
