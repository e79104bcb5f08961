// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vunmap_batching.cc - what it costs to map frames side by side, touch them, and unmap them
 *
 *      bench-vunmap-batching [--rounds N] [--ms N] [--load NAME] [--json FILE]
 *
 * What a manager puts off is paid in the end: the time to unmap what is left belongs to the figure,
 * but for xfs_dir and pair, which never end: their figure is that of a traversal among many.
 *
 * Each load (vunmap_loads.h) runs under every manager with 1, 2 and 4 threads, with and without a
 * thread that keeps the other processor busy (so that a flush has somebody to interrupt). Threads
 * have lists of their own. Rounds of all managers alternate; a figure is the median of the rounds.
 * It is the processor's time per operation (a wait for another processor's flush is spent spinning
 * and counts), so that threads in greater number than processors do not look slow; "wall" is the
 * other clock.
 *
 * A ratio between policies cannot be more than what the host's bare calls show, which differs from
 * host to host: creating and removing a mapping has its price besides the flush. Where that is less
 * than the ratio wanted, it is the target, and the line says so.
 *
 * --json also measures each batch size and leaves plots for bench/run.
 *
 * Exit status: 0; 1: the host refused something; 2: bad arguments.
 */
#include "report.h"
#include "vunmap_loads.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

using namespace vunmap_bench;

namespace
{

constexpr unsigned batch_sizes[] = {1, 4, 16, 64, 256, 1024};
/* A manager beside the bare calls, at most. */
constexpr double manager_cost = 1.15;
constexpr const char *policies[] = {"eager", "batch:64", "lazy", "lazy+revive"};

/* One measurement's name. */
struct cell {
	std::string load, manager;
	unsigned threads;
	bool busy;

	auto operator<=>(const cell &) const = default;
};

typedef std::map<cell, figure> table;
typedef std::vector<std::unique_ptr<manager>> managers;

struct options {
	unsigned rounds = 5;
	double ms = 40;
	std::string load, json;
};

std::string batch_name(unsigned batch)
{
	return "batch:" + std::to_string(batch);
}

void print_terms(const options &o)
{
	std::printf("# max_map_count: %s\n", first_line("/proc/sys/vm/max_map_count", "").c_str());
	std::printf(
		"# rounds: %u of %.0f ms, managers alternating, medians; ns of processor time\n",
		o.rounds, o.ms);
}

void print_load(const table &figures, const managers &all, const load &l,
		const std::vector<setting> &settings)
{
	for (const setting &s : settings) {
		std::printf("\n%-14s %u thread%s%-24s %10s %10s %10s %10s\n", l.name, s.threads,
			    s.threads > 1 ? "s, " : ",  ",
			    s.busy ? "other CPU busy" : "other CPU free", "ns/op", "wall",
			    l.traverse ? "1st time" : "", "TLB int/op");
		for (const auto &m : all) {
			const figure &f = figures.at({l.name, m->name(), s.threads, s.busy});

			std::printf("    %-44s %10.0f %10.0f ", m->name().c_str(), f.cost(),
				    figure::median(f.wall_ns));
			if (l.traverse)
				std::printf("%10.0f", f.first());
			else
				std::printf("%10s", "");
			std::printf(" %10.2f\n", figure::median(f.shootdowns));
		}
	}
}

class targets
{
public:
	targets(const table &figures, bench_report &report) : figures_(figures), report_(report) {}

	double cost(const std::string &load, const std::string &manager, unsigned threads = 1) const
	{
		auto found = figures_.find({load, manager, threads, true});

		return found == figures_.end() ? NAN : found->second.cost();
	}
	double shootdowns(const std::string &load, const std::string &manager) const
	{
		auto found = figures_.find({load, manager, 1, true});

		return found == figures_.end() ? NAN : figure::median(found->second.shootdowns);
	}
	void at_least(const std::string &what, double ratio, double wanted)
	{
		tell(what, ratio, ">=", wanted, ratio >= wanted);
	}
	void at_most(const std::string &what, double ratio, double wanted)
	{
		tell(what, ratio, "<=", wanted, ratio <= wanted);
	}
	/* @host: what the bare calls show; nobody can be asked for more. */
	void at_least_or_host(const std::string &what, double ratio, double wanted, double host)
	{
		/* What a manager may cost, as below. */
		host /= manager_cost;
		if (std::isnan(ratio) || host >= wanted) {
			at_least(what, ratio, wanted);
			return;
		}
		std::printf(
			"    %g is wanted; the host's bare calls, less what a manager may cost, "
			"show %.2f\n",
			wanted, host);
		at_least(what, ratio, host);
	}

private:
	void tell(const std::string &what, double ratio, const char *op, double wanted, bool met)
	{
		if (std::isnan(ratio))
			return;
		std::printf("%-64s %9.3f %s %-6.3g %s\n", what.c_str(), ratio, op, wanted,
			    met ? "met" : "NOT met");
		report_.target(what, ratio, op, wanted, met);
	}

	const table &figures_;
	bench_report &report_;
};

void tell_targets(targets &t)
{
	const std::string eager = "eager", lazy = "lazy", revive = "lazy+revive";
	const std::string per_op = floor_name(1), per_64 = floor_name(64);

	std::printf("\ntargets, 1 thread, other CPU busy\n");
	t.at_least("xfs_dir, later traversals: eager / lazy+revive",
		   t.cost("xfs_dir", eager) / t.cost("xfs_dir", revive), 100);
	t.at_least("xfs_dir, later traversals: batch:64 / lazy+revive",
		   t.cost("xfs_dir", "batch:64") / t.cost("xfs_dir", revive), 100);
	for (const auto &[load, wanted] : {std::pair("merge", 6.0), {"scatter_read", 2.5}})
		t.at_least_or_host(std::string(load) + ": eager / lazy",
				   t.cost(load, eager) / t.cost(load, lazy), wanted,
				   t.cost(load, per_op) / t.cost(load, per_64));
	for (const std::string load : {"merge", "scatter_read", "scatter_write", "xfs_dir"})
		t.at_most(load + ": batch:64 / its floor",
			  t.cost(load, "batch:64") / t.cost(load, per_64), manager_cost);
	t.at_most("xfs_dir, later traversals: 2 threads / 1 thread, per op",
		  t.cost("xfs_dir", revive, 2) / t.cost("xfs_dir", revive), 1.3);
	t.at_most("pair: lazy+revive / eager", t.cost("pair", revive) / t.cost("pair", eager),
		  0.01);
}

/* Why no batch helps scatter_write, and what does. */
void explain_scatter_write(const targets &t)
{
	const double eager = t.cost("scatter_write", "eager"),
		     lazy = t.cost("scatter_write", "lazy"),
		     revive = t.cost("scatter_write", "lazy+revive");

	if (std::isnan(eager))
		return;
	std::printf(
		"\nscatter_write: a page that may be dirty is flushed with its mapping, one by "
		"one,\n"
		"however many go at once: %.2f interrupts an operation when eager, %.2f when "
		"lazy,\n"
		"%.2f with read-only mappings (scatter_read). So lazy gains %.2f times. Giving "
		"back\n"
		"what is still mapped gains %.2f times here, where each list comes again after\n"
		"16384 pages, and %.0f times for a working set that fits (xfs_dir).\n",
		t.shootdowns("scatter_write", "eager"), t.shootdowns("scatter_write", "lazy"),
		t.shootdowns("scatter_read", "lazy"), eager / lazy, eager / revive,
		t.cost("xfs_dir", "eager") / t.cost("xfs_dir", "lazy+revive"));
}

/* What belongs to no load. */
void tell_rest(const managers &all, targets &t, bench_report &report)
{
	double shootdown = NAN;

	for (const auto &m : all) {
		const double ns = m->shootdown_ns();

		if (ns >= 0)
			shootdown = std::isnan(shootdown) ? ns : std::max(ns, shootdown);
	}
	t.at_most("vmap_shootdown() of a page without alias, ns", shootdown, 30);
	std::printf("\nmemory beside the pages, bytes an area:");
	for (unsigned pages : {1u, 4u, 16u}) {
		const double bytes = all.back()->bytes_per_area(pages);

		std::printf("  %u page%s %.0f", pages, pages > 1 ? "s" : "", bytes);
		report.figure({{"pages", pages}, {"bytes an area", bytes}});
	}
	std::printf("\n");
}

/* Every batch size, other CPU busy; what has no batch size is there already. */
void sweep(const std::vector<load> &loads, const options &o, table *figures)
{
	busy_time ignored;
	managers all, floors;

	for (unsigned batch : batch_sizes) {
		if (batch == 64)
			continue; /* measured with the others */
		all.push_back(make_policy(batch_name(batch)));
		floors.push_back(make_floor(batch));
	}
	for (const load &l : loads) {
		auto run = [&](manager &m, unsigned threads) {
			run_round(m, l, {threads, true}, o.ms,
				  (*figures)[{l.name, m.name(), threads, true}], &ignored);
		};

		for (unsigned round = 0; round < (o.rounds + 1) / 2; round++) {
			for (auto &m : all) {
				for (unsigned threads : {1u, 2u, 4u})
					run(*m, threads);
			}
			for (auto &m : floors)
				run(*m, 1);
		}
	}
}

void plot(const table &figures, const load &l, bench_report &report)
{
	const targets t(figures, report);
	bench_plot &p = report.plot(std::string(l.name) + ": " + l.what_it_is,
				    "areas unmapped at once", "ns to map, touch and unmap an area");

	for (unsigned threads : {1u, 2u, 4u}) {
		const std::string suffix =
			", " + std::to_string(threads) + (threads > 1 ? " threads" : " thread");
		bench_line &batch = p.line("batch:N" + suffix, 1, (int)threads);

		for (unsigned n : batch_sizes)
			batch.at(n, t.cost(l.name, batch_name(n), threads));
		int colour = 2;

		for (const char *policy : {"eager", "lazy", "lazy+revive"}) {
			bench_line &line = p.line(policy + suffix, colour++, (int)threads);

			for (unsigned n : {batch_sizes[0], batch_sizes[std::size(batch_sizes) - 1]})
				line.at(n, t.cost(l.name, policy, threads));
		}
	}
	bench_line &bare = p.line("bare mmap(), munmap() per N, 1 thread", 5, 3);

	for (unsigned n : batch_sizes)
		bare.at(n, t.cost(l.name, floor_name(n)));
}

int write_report(const table &figures, const std::vector<load> &loads, const options &o,
		 bench_report &report)
{
	for (const auto &[where, f] : figures) {
		if (!f.ns.empty())
			report.figure({{"load", where.load},
				       {"manager", where.manager},
				       {"threads", where.threads},
				       {"other CPU busy", where.busy},
				       {"ns", f.cost()},
				       {"wall ns", figure::median(f.wall_ns)},
				       {"first ns", f.first()},
				       {"TLB interrupts", figure::median(f.shootdowns)}});
	}
	report.note("Lower is better. A thread keeps the other processor busy, so that each flush "
		    "has somebody to interrupt.");
	report.note("eager: unmapped at once. batch:N: all when there are N. lazy: past a limit of "
		    "pages. lazy+revive, the default: the same, and the same pages get back what "
		    "is still mapped.");
	report.note("Mappings that may be dirty (scatter_write, xfs_dir) cost a flush each, "
		    "however many go at once; only not unmapping them helps.");
	for (const load &l : loads)
		plot(figures, l, report);
	if (report.write(o.json))
		return 0;
	std::fprintf(stderr, "bench-vunmap-batching: cannot write %s: %s\n", o.json.c_str(),
		     std::strerror(errno));
	return 1;
}

int usage(const char *why, const char *what)
{
	std::fprintf(stderr,
		     "bench-vunmap-batching: %s%s\nusage: bench-vunmap-batching [--rounds 1..1000] "
		     "[--ms 1..10000] [--load NAME] [--json FILE]\n",
		     why, what);
	return 2;
}

bool parse_number(const char *text, long most, long *value)
{
	char *end;

	*value = std::strtol(text, &end, 10);
	return !*end && *value >= 1 && *value <= most;
}

int parse(int argc, char **argv, options *o)
{
	for (int i = 1; i < argc; i++) {
		const std::string option = argv[i];
		long value;

		if (option != "--rounds" && option != "--ms" && option != "--load" &&
		    option != "--json")
			return usage("no such option: ", argv[i]);
		if (++i == argc)
			return usage("a value is missing: ", option.c_str());
		if (option == "--load" || option == "--json") {
			(option == "--load" ? o->load : o->json) = argv[i];
			continue;
		}
		if (!parse_number(argv[i], option == "--ms" ? 10000 : 1000, &value))
			return usage("not a number in range: ", argv[i]);
		if (option == "--ms")
			o->ms = (double)value;
		else
			o->rounds = (unsigned)value;
	}
	return 0;
}

void print_busy(const busy_time &busy)
{
	/*
	 * An idle address space is not interrupted: without the busy thread there is no flush to
	 * pay.
	 */
	std::printf("\n# busy thread beside 1 thread: ran %.0f %% of the time%s\n",
		    100 * busy.ran_ns / busy.wanted_ns,
		    busy.ran_ns < 0.8 * busy.wanted_ns
			    ? "; warning: other programs took the processor: eager looks too cheap"
			    : "");
}

} // namespace

int main(int argc, char **argv)
{
	const std::vector<setting> settings = {{1, false}, {1, true},  {2, false},
					       {2, true},  {4, false}, {4, true}};
	std::vector<load> loads = make_loads();
	busy_time busy_alone;
	table figures;
	managers all;
	options o;
	int err = parse(argc, argv, &o);

	if (err)
		return err;
	std::erase_if(loads, [&](const load &l) { return !o.load.empty() && o.load != l.name; });
	if (loads.empty())
		return usage("no such load: ", o.load.c_str());
	bench_report report("vunmap_batching",
			    "Unmapping frames: what a flush for many at once saves");
	targets t(figures, report);

	all.push_back(make_floor(1));
	all.push_back(make_floor(64));
	all.push_back(make_naive());
	for (const char *policy : policies)
		all.push_back(make_policy(policy));
	print_environment("all");
	print_terms(o);
	for (const load &l : loads) {
		for (unsigned round = 0; round < o.rounds; round++) {
			for (const setting &s : settings) {
				for (auto &m : all)
					run_round(*m, l, s, o.ms,
						  figures[{l.name, m->name(), s.threads, s.busy}],
						  &busy_alone);
			}
		}
		print_load(figures, all, l, settings);
		std::fflush(stdout);
	}
	print_busy(busy_alone);
	tell_targets(t);
	tell_rest(all, t, report);
	explain_scatter_write(t);
	if (o.json.empty())
		return 0;
	std::erase_if(loads, [](const load &l) { return !l.plotted; });
	sweep(loads, o, &figures);
	return write_report(figures, loads, o, report);
}
