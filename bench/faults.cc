// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * faults.cc - what a page fault of a guest program costs, by each way of delivering it
 *
 *      bench-faults [--rounds N] [--pages N]
 *
 * A round arms all pages of a way and touches them one after the other: first with no PTE (a load:
 * "minor"), then write-protected (a store). Only the touching is timed. Rounds of all ways
 * alternate, so that what happens to the machine meanwhile happens to all of them; the figure is
 * the median of the rounds' means. Each way of the mmu stands beside the bare host mechanism, in
 * the same places:
 *
 *      free         threads run where the host puts them
 *      other CPU    the program on one processor, the handler thread idle on another
 *      same CPU     both on one
 *
 * The ratio of handler to inline is what handling faults in the faulting thread is worth; "bare
 * ratio" is what this host's mechanisms allow without any code of ours: no mmu can be far above it.
 *
 * Exit status: 0; 1: the host refused something; 2: bad arguments.
 */
#include "environment.h"
#include "faults_bare.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fstream>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

#include <kshim/machine.h>
#include <kshim/mmu.h>

namespace
{

using namespace faults;

/* The mmu: an area whose owner maps a frame for each page, as a driver would. */
class mmu_way : public way
{
public:
	mmu_way(std::size_t pages, enum mmu_delivery delivery, const char *name)
		: delivery_(delivery), pages_(pages), name_(name)
	{
		static const struct mmu_area_ops ops = {.fault = on_fault};
		unsigned long nr;

		problem_ = mmu_delivery_problem(delivery);
		if (problem_)
			return;
		frames_ = mmu_page_array(&nr);
		area_ = mmu_area_create(pages * PAGE_SIZE, delivery, &ops, this);
		if (IS_ERR(area_)) {
			std::fprintf(stderr, "bench-faults: no area for %s: %s\n", name,
				     std::strerror(-PTR_ERR_OR_ZERO(area_)));
			std::exit(1);
		}
		for (std::size_t i = 0; i < pages; i++)
			*page(i) = 1;
	}
	~mmu_way() override
	{
		if (!problem_)
			mmu_area_destroy(area_);
	}
	const char *name() const override { return name_; }
	const char *problem() const override { return problem_; }
	volatile unsigned *page(std::size_t n) override
	{
		return (volatile unsigned *)(mmu_area_start(area_) + n * PAGE_SIZE);
	}
	void arm_minor() override { mmu_zap(area_, mmu_area_start(area_), pages_); }
	void arm_write_protected() override
	{
		for (std::size_t i = 0; i < pages_; i++)
			*page(i) = 1;
		mmu_protect(area_, mmu_area_start(area_), pages_, MMU_RO);
	}
	void pin_handler(int cpu) override
	{
		if (delivery_ == MMU_DELIVER_HANDLER)
			pin_thread(handler_tid(), cpu);
	}

private:
	static int on_fault(struct mmu_area *area, unsigned long addr, bool write)
	{
		mmu_way *self = static_cast<mmu_way *>(mmu_area_owner(area));

		return mmu_map(area, addr,
			       self->frames_ + ((addr - mmu_area_start(area)) >> PAGE_SHIFT),
			       write ? MMU_RW : MMU_RO);
	}
	/* By its name; the interface does not say. */
	static int handler_tid()
	{
		DIR *tasks = opendir("/proc/self/task");
		int tid = 0;

		while (struct dirent *entry = tasks ? readdir(tasks) : nullptr) {
			std::ifstream comm(std::string("/proc/self/task/") + entry->d_name +
					   "/comm");
			std::string name;

			if (std::getline(comm, name) && name == "mmu-faults")
				tid = std::atoi(entry->d_name);
		}
		if (tasks)
			closedir(tasks);
		if (!tid) {
			std::fprintf(stderr,
				     "bench-faults: the mmu's handler thread is not there\n");
			std::exit(1);
		}
		return tid;
	}

	enum mmu_delivery delivery_;
	std::size_t pages_;
	const char *name_;
	const char *problem_ = nullptr;
	struct page *frames_ = nullptr;
	struct mmu_area *area_ = nullptr;
};

struct place {
	const char *name;
	int program, handler; /* processors; -1: any */
};

struct series {
	std::vector<double> us;
	long switches = 0; /* context switches of the process, while touching */

	double median()
	{
		if (us.empty())
			return 0;
		std::nth_element(us.begin(), us.begin() + (long)us.size() / 2, us.end());
		return us[us.size() / 2];
	}
};

struct row {
	way *what;
	place where;
	series minor, write_protected;
};

long context_switches()
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nvcsw + usage.ru_nivcsw;
}

template <typename F>
void timed(series &s, std::size_t pages, F &&touch)
{
	const long before = context_switches();
	const auto start = std::chrono::steady_clock::now();

	for (std::size_t i = 0; i < pages; i++)
		touch(i);
	const std::chrono::duration<double, std::micro> took =
		std::chrono::steady_clock::now() - start;

	s.switches += context_switches() - before;
	s.us.push_back(took.count() / (double)pages);
}

void run_round(row &r, std::size_t pages)
{
	pin_thread(0, r.where.program);
	r.what->pin_handler(r.where.handler);
	r.what->arm_minor();
	timed(r.minor, pages, [&](std::size_t i) { (void)*r.what->page(i); });
	r.what->arm_write_protected();
	timed(r.write_protected, pages, [&](std::size_t i) { *r.what->page(i) = 2; });
	r.what->pin_handler(-1);
	pin_thread(0, -1);
}

void print_rows(std::vector<row> &rows, std::size_t rounds, std::size_t pages)
{
	const double n = (double)(rounds * pages);

	std::printf("\n%-40s %-10s %10s %10s %14s\n", "us per fault", "place", "minor",
		    "write-prot", "switches/fault");
	for (row &r : rows)
		std::printf("%-40s %-10s %10.2f %10.2f %14.2f\n", r.what->name(), r.where.name,
			    r.minor.median(), r.write_protected.median(),
			    (double)(r.minor.switches + r.write_protected.switches) / (2 * n));
}

row *find(std::vector<row> &rows, const way *what, const char *place)
{
	for (row &r : rows) {
		if (r.what == what && !std::strcmp(r.where.name, place))
			return &r;
	}
	return nullptr;
}

void print_ratio(const char *label, const char *place, row *dear, row *cheap)
{
	if (dear && cheap)
		std::printf("%-40s %-10s %10.1f %10.1f\n", label, place,
			    dear->minor.median() / cheap->minor.median(),
			    dear->write_protected.median() / cheap->write_protected.median());
}

/*
 * What the mmu promises: with a processor to spare for the handler thread, as on a guest's machine,
 * inline is several times cheaper. (On one processor there is only a context switch to save: see
 * "same CPU".)
 */
void print_target(row *dear, row *cheap)
{
	constexpr double target = 8;

	if (!dear || !cheap)
		return;
	const double minor = dear->minor.median() / cheap->minor.median();
	const double store = dear->write_protected.median() / cheap->write_protected.median();

	std::printf("\ntarget: inline at least %.0f times cheaper than a handler thread on another "
		    "CPU: "
		    "minor %.1f, write-protected %.1f: %s\n",
		    target, minor, store, std::min(minor, store) >= target ? "met" : "NOT met");
}

bool parse_number(const char *text, std::size_t *value)
{
	char *end;
	long n = std::strtol(text, &end, 10);

	if (*end || n < 1 || n > 4096)
		return false;
	*value = (std::size_t)n;
	return true;
}

int usage(const char *why, const char *what)
{
	std::fprintf(
		stderr,
		"bench-faults: %s%s\nusage: bench-faults [--rounds 1..4096] [--pages 1..4096]\n",
		why, what);
	return 2;
}

void run(std::size_t rounds, std::size_t pages)
{
	mmu_way in_line(pages, MMU_DELIVER_INLINE, "mmu, inline");
	mmu_way handler(pages, MMU_DELIVER_HANDLER, "mmu, handler thread");
	mmu_way by_mprotect(pages, MMU_DELIVER_MPROTECT, "mmu, mprotect");
	const std::unique_ptr<way> sigbus = make_bare_sigbus(pages),
				   thread = make_bare_thread(pages),
				   protect = make_bare_mprotect(pages);
	const place places[] = {{"free", -1, -1}, {"other CPU", 0, 1}, {"same CPU", 0, 0}};
	std::vector<row> rows;

	for (way *w : std::initializer_list<way *>{&in_line, sigbus.get(), &handler, thread.get(),
						   &by_mprotect, protect.get()}) {
		if (w->problem()) {
			std::printf("# left out: %s: %s\n", w->name(), w->problem());
			continue;
		}
		bool threaded = w == &handler || w == thread.get();

		for (const place &p : places) {
			if ((threaded || p.program < 0) && (p.handler < 1 || kshim_nr_cpus() > 1))
				rows.push_back({w, p, {}, {}});
		}
	}
	/* Bare signal handlers replace the mmu's for their round. */
	struct sigaction segv, bus;

	sigaction(SIGSEGV, nullptr, &segv);
	sigaction(SIGBUS, nullptr, &bus);
	for (std::size_t i = 0; i < rounds; i++) {
		for (row &r : rows) {
			run_round(r, pages);
			sigaction(SIGSEGV, &segv, nullptr);
			sigaction(SIGBUS, &bus, nullptr);
		}
	}
	print_rows(rows, rounds, pages);

	row *cheap = find(rows, &in_line, "free"), *bare_cheap = find(rows, sigbus.get(), "free");

	std::printf("\n%-40s %-10s %10s %10s\n", "ratios", "place", "minor", "write-prot");
	for (const place &p : places) {
		print_ratio("handler thread / inline", p.name, find(rows, &handler, p.name), cheap);
		print_ratio("  bare ratio: what this host allows", p.name,
			    find(rows, thread.get(), p.name), bare_cheap);
	}
	print_ratio("mmu inline / bare SIGBUS", "free", cheap, bare_cheap);
	print_ratio("mprotect + SIGSEGV / inline", "free", find(rows, protect.get(), "free"),
		    cheap);
	print_target(find(rows, &handler, "other CPU"), cheap);
}

} // namespace

int main(int argc, char **argv)
{
	static const machine_initcall *const calls[] = {&mmu_initcall, nullptr};
	std::size_t rounds = 51, pages = 256;

	for (int i = 1; i < argc; i++) {
		const std::string option = argv[i];
		std::size_t *value = option == "--rounds"  ? &rounds
				     : option == "--pages" ? &pages
							   : nullptr;

		if (!value)
			return usage("no such option: ", argv[i]);
		if (++i == argc || !parse_number(argv[i], value))
			return usage("not a number from 1 to 4096: ",
				     i < argc ? argv[i] : "(nothing)");
	}
	pv_machine *m = pv_machine_create(nullptr, calls);

	if (IS_ERR(m)) {
		std::fprintf(stderr, "bench-faults: no machine: %s\n",
			     std::strerror(-PTR_ERR_OR_ZERO(m)));
		return 1;
	}
	{
		machine_scope bound(m);

		print_environment("the mmu's");
		std::printf("# rounds: %zu of %zu pages, ways alternating, medians\n", rounds,
			    pages);
		run(rounds, pages);
	}
	return pv_machine_destroy(m) ? 1 : 0;
}
