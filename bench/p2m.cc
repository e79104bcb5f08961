// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * p2m.cc - what a lookup costs by policy, how long an update waits for a foreign holder, and what
 * a guest pays that works on four times the memory it has
 *
 *      bench-p2m [--seconds N] [--json FILE]
 *
 * Lookups: a lookup and its put, of random gfns that are all there, each thread in a part of its
 * own. "bare" is an array with a counter in each element, loaded, incremented and decremented: no
 * lookup that counts can be cheaper. Samples of all policies alternate, those that the host
 * disturbed are made again; figures are medians.
 * Updates: a foreign domain maps a frame and never lets go of it, but maps it again whenever it is
 * revoked; as soon as it has, the frame is exchanged.
 * Pager: 64 MiB of a guest, of which 16 MiB may be resident, and the same with all of it.
 *
 * Exit status: 0; 1: something failed; 2: bad arguments.
 */
#include "report.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>

#include <kshim/machine.h>
#include <kshim/mmu.h>
#include <kshim/swap.h>
#include <linux/mm.h>
#include <xen/paging.h>

namespace
{

using bench_clock = std::chrono::steady_clock;

double seconds_since(bench_clock::time_point begin)
{
	return std::chrono::duration<double>(bench_clock::now() - begin).count();
}

double percentile(std::vector<double> &values, double p)
{
	if (values.empty())
		return NAN;
	const auto at = values.begin() + (long)((double)(values.size() - 1) * p);

	std::nth_element(values.begin(), at, values.end());
	return *at;
}

double median(std::vector<double> values)
{
	return percentile(values, 0.5);
}

[[noreturn]] void fail(const char *what)
{
	std::fprintf(stderr, "bench-p2m: %s failed\n", what);
	std::exit(1);
}

class world
{
public:
	explicit world(std::size_t memory)
	{
		static const machine_initcall *const calls[] = {&mmu_initcall, &mm_initcall,
								nullptr};
		pv_machine_config config;

		config.memory_bytes = memory;
		machine = pv_machine_create(&config, calls);
		if (IS_ERR(machine))
			fail("the machine");
		scope_ = std::make_unique<machine_scope>(machine);
	}
	~world()
	{
		scope_.reset();
		if (pv_machine_destroy(machine))
			fail("taking the machine down");
	}
	world(const world &) = delete;
	world &operator=(const world &) = delete;

	pv_machine *machine;

private:
	std::unique_ptr<machine_scope> scope_;
};

struct p2m *make_p2m(unsigned long nr, p2m_policy policy, bool revoke)
{
	p2m_config config;

	config.nr_gfns = nr;
	config.policy = policy;
	config.revoke = revoke;
	struct p2m *p2m = p2m_create(&config);

	if (IS_ERR(p2m))
		fail("p2m_create");
	return p2m;
}

void populate(struct p2m *p2m, unsigned long gfn)
{
	struct page *page = alloc_page(GFP_KERNEL);

	if (!page || p2m_populate(p2m, _gfn(gfn), page, p2m_ram_rw, P2M_TRY))
		fail("p2m_populate");
}

/* ---- lookups ---- */

constexpr unsigned long LOOKUP_GFNS = 4096;
constexpr unsigned int PAIRS = 10000, SAMPLES = 21, TRIES = 2000;

/* How often the calling thread lost its processor to another. */
long preemptions()
{
	rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nivcsw;
}

/*
 * Runs @all in @nr threads at a time. Nanoseconds a pair, as the slowest thread had it; NAN when
 * they did not run side by side, each on a processor of its own: the host had other work.
 */
double time_pairs(pv_machine *machine, unsigned int nr,
		  const std::function<void(const std::vector<u32> &)> &all)
{
	struct times {
		double begin, end;
		long preemptions;
	};
	std::atomic<unsigned int> ready{0};
	std::vector<times> times(nr);
	std::vector<std::thread> threads;
	const auto zero = bench_clock::now();

	for (unsigned int t = 0; t < nr; t++)
		threads.emplace_back([&, t] {
			machine_scope scope(machine);
			const unsigned long part = LOOKUP_GFNS / nr;
			std::minstd_rand random(t + 1);
			std::vector<u32> gfns(PAIRS);

			for (u32 &gfn : gfns)
				gfn = (u32)(t * part + random() % part);
			const long before = preemptions();

			ready++;
			while (ready < nr)
				continue;
			times[t].begin = seconds_since(zero);
			all(gfns);
			times[t].end = seconds_since(zero);
			times[t].preemptions = preemptions() - before;
		});
	for (std::thread &thread : threads)
		thread.join();
	double worst = 0;

	for (const auto &time : times) {
		if (time.preemptions || std::abs(time.begin - times[0].begin) > 20e-6)
			return NAN;
		worst = std::max(worst, time.end - time.begin);
	}
	return worst * 1e9 / PAIRS;
}

struct bare_entry {
	u64 frame;
	std::atomic<u64> count;
};

struct way {
	const char *name;
	std::function<void(const std::vector<u32> &)> all;
	std::vector<double> samples[2];
};

void take_sample(pv_machine *machine, unsigned int nr, way &y)
{
	std::vector<double> &samples = y.samples[nr - 1];
	const double sample = samples.size() < SAMPLES ? time_pairs(machine, nr, y.all) : NAN;

	if (!std::isnan(sample))
		samples.push_back(sample);
}

void pairs_of(struct p2m *p2m, const std::vector<u32> &gfns)
{
	u64 sum = 0;

	for (u32 gfn : gfns) {
		struct gfn_ref ref;

		if (get_gfn(p2m, _gfn(gfn), &ref))
			fail("get_gfn");
		sum += (u64)ref.page;
		put_gfn(&ref);
	}
	if (!sum)
		fail("a lookup");
}

void bench_lookups(bench_report &report)
{
	world w(64ul << 20);
	static constexpr p2m_policy policies[] = {P2M_COUNTED, P2M_RWLOCK, P2M_PERCPU_RWLOCK};
	static constexpr const char *names[] = {"counted", "rwlock", "percpu-rwlock"};
	std::vector<bare_entry> bare(LOOKUP_GFNS);
	std::vector<struct p2m *> p2ms;
	std::vector<way> ways;

	for (bare_entry &entry : bare)
		entry.frame = 1;
	ways.push_back({"bare",
			[&bare](const std::vector<u32> &gfns) {
				u64 sum = 0;

				for (u32 gfn : gfns) {
					sum += bare[gfn].frame;
					bare[gfn].count.fetch_add(1);
					bare[gfn].count.fetch_sub(1);
				}
				if (!sum)
					fail("a load");
			},
			{}});
	for (unsigned int i = 0; i < std::size(policies); i++) {
		struct p2m *p2m = make_p2m(LOOKUP_GFNS, policies[i], true);

		for (unsigned long gfn = 0; gfn < LOOKUP_GFNS; gfn++)
			populate(p2m, gfn);
		p2ms.push_back(p2m);
		ways.push_back({names[i],
				[p2m](const std::vector<u32> &gfns) { pairs_of(p2m, gfns); },
				{}});
	}
	for (unsigned int i = 0; i < TRIES; i++)
		for (way &y : ways)
			for (unsigned int nr = 1; nr <= 2; nr++)
				take_sample(w.machine, nr, y);
	for (const way &y : ways)
		if (y.samples[0].empty() || y.samples[1].empty())
			fail("measuring: the host has too much other work; that");
	for (struct p2m *p2m : p2ms)
		p2m_destroy(p2m);

	std::printf("\n%-15s %12s %12s %14s\n", "lookup and put", "1 thread/ns", "2 threads/ns",
		    "pairs, 2 to 1");
	for (way &y : ways) {
		const double one = median(y.samples[0]), two = median(y.samples[1]);

		std::printf("%-15s %12.1f %12.1f %14.2f\n", y.name, one, two, 2 * one / two);
		report.figure({{"policy", y.name}, {"ns, 1 thread", one}, {"ns, 2 threads", two}});
	}
	const double floor = median(ways[0].samples[0]), one = median(ways[1].samples[0]),
		     two = median(ways[1].samples[1]), lock = median(ways[2].samples[1]);
	const auto target = [&report](const char *what, double value, const char *op, double wanted,
				      bool met) {
		std::printf("%-60s %6.2f  %s %.2f  %s\n", what, value, op, wanted,
			    met ? "met" : "MISSED");
		report.target(what, value, op, wanted, met);
	};

	target("2 threads: rwlock / counted", lock / two, ">=", 5, lock / two >= 5);
	target("counted: pairs of 2 threads / of 1", 2 * one / two, ">=", 1.8,
	       2 * one / two >= 1.8);
	target("1 thread: counted / bare", one / floor, "<=", 3, one / floor <= 3);
}

/* ---- updates against a foreign holder ---- */

void bench_update(bench_report &report, bool revoke, double seconds)
{
	world w(16ul << 20);
	struct p2m *p2m = make_p2m(16, P2M_COUNTED, revoke);
	std::atomic<bool> stop{false};
	std::atomic<struct xen_foreign *> mapping{nullptr};
	std::vector<double> took;
	u64 refused = 0;

	for (unsigned long gfn = 0; gfn < 16; gfn++)
		populate(p2m, gfn);
	std::thread holder([&] {
		machine_scope scope(w.machine);
		const u64 gfn = 1;
		const xen_foreign_config config;
		struct xen_foreign *f = p2m_foreign_map(p2m, &gfn, 1, &config);

		if (IS_ERR(f))
			fail("p2m_foreign_map");
		mapping = f;
		while (!stop) {
			if (xen_foreign_use(f) < 0)
				fail("xen_foreign_use");
			(void)*static_cast<volatile u32 *>(xen_foreign_addr(f));
		}
		xen_foreign_unmap(f);
	});
	while (!mapping)
		std::this_thread::yield();
	for (const auto begin = bench_clock::now(); seconds_since(begin) < seconds;) {
		struct page *page = alloc_page(GFP_KERNEL);

		while (xen_foreign_begin(mapping) < 0)
			std::this_thread::yield();
		const auto at = bench_clock::now();
		const int err = p2m_change_frame(p2m, _gfn(1), page, P2M_REVOKE);

		took.push_back(seconds_since(at) * 1e6);
		if (err) {
			refused++;
			put_page(page);
		}
	}
	stop = true;
	holder.join();
	p2m_destroy(p2m);
	const double p50 = percentile(took, 0.5), p99 = percentile(took, 0.99),
		     worst = percentile(took, 1);

	std::printf("%-22s %9zu %9llu %8.1f %8.1f %8.1f\n", revoke ? "with revocation" : "without",
		    took.size(), (unsigned long long)refused, p50, p99, worst);
	report.figure({{"revocation", revoke},
		       {"updates", took.size()},
		       {"refused", refused},
		       {"p50 us", p50},
		       {"p99 us", p99}});
	if (revoke)
		report.target("an update against a foreign holder, p99 us", p99, "<=", 1000,
			      p99 <= 1000);
}

/* ---- the pager ---- */

constexpr unsigned long PAGER_GFNS = 16384, PAGER_LIMIT = 4096;

/* Bytes that the host has given to guest memory. */
u64 resident_bytes()
{
	for (const auto &entry : std::filesystem::directory_iterator("/proc/self/fd")) {
		std::error_code error;
		const std::string target = std::filesystem::read_symlink(entry, error).string();
		struct stat st;

		if (target.rfind("/memfd:pvshim-memory", 0) == 0 &&
		    !stat(entry.path().c_str(), &st))
			return (u64)st.st_blocks * 512;
	}
	return 0;
}

/* Numbers of gfns, most of them small when @zipf (exponent 1). */
std::vector<u32> gfns_to_touch(bool zipf, std::size_t nr)
{
	std::minstd_rand random(7);
	std::vector<double> sums(PAGER_GFNS);
	std::vector<u32> gfns(nr);
	double sum = 0;

	for (unsigned long i = 0; i < PAGER_GFNS; i++)
		sums[i] = sum += zipf ? 1 / (double)(i + 1) : 1;
	for (u32 &gfn : gfns) {
		const double x = std::uniform_real_distribution<>(0, sum)(random);

		/* Neighbours in rank are not neighbours in memory. */
		gfn = (u32)((u64)(std::lower_bound(sums.begin(), sums.end(), x) - sums.begin()) *
			    7919 % PAGER_GFNS);
	}
	return gfns;
}

void bench_pager(bench_report &report, bool zipf, bool paged, double seconds)
{
	world w(128ul << 20);
	struct p2m *p2m = make_p2m(PAGER_GFNS, P2M_COUNTED, true);
	const u64 before = resident_bytes();
	struct swap_file *swap = swap_file_open(nullptr, PAGER_GFNS);
	const p2m_paging_config config;
	p2m_pager_config pages;
	struct p2m_pager_stats stats = {};
	struct p2m_pager *pager = nullptr;
	const std::vector<u32> gfns = gfns_to_touch(zipf, 1 << 18);
	std::vector<double> took;

	if (p2m_paging_enable(p2m, &config))
		fail("p2m_paging_enable");
	pages.swap = swap;
	pages.limit = PAGER_LIMIT;
	if (paged)
		pager = p2m_pager_start(p2m, &pages);
	struct p2m_view *view = p2m_view_create(p2m, _gfn(0), PAGER_GFNS, MMU_DELIVER_INLINE);

	if (IS_ERR(swap) || IS_ERR(pager) || IS_ERR(view))
		fail("the pager");
	for (unsigned long gfn = 0; gfn < PAGER_GFNS; gfn++) {
		populate(p2m, gfn);
		*(volatile u32 *)(p2m_view_start(view) + gfn * PAGE_SIZE) = (u32)gfn;
	}
	/* Until the pager has caught up with that. */
	struct p2m_stats now = {};
	const auto populated = bench_clock::now();

	while (paged && seconds_since(populated) < 60 && now.paged < PAGER_GFNS - PAGER_LIMIT) {
		std::this_thread::yield();
		p2m_stats(p2m, &now);
	}
	struct p2m_pager_stats at_begin = {};
	u64 peak = 0, average = 0, looks = 0;
	std::size_t i = 0;
	const auto begin = bench_clock::now();

	if (paged)
		p2m_pager_stats(pager, &at_begin);
	for (; i % 256 || seconds_since(begin) < seconds; i++) {
		auto *word =
			(volatile u32 *)(p2m_view_start(view) + gfns[i % gfns.size()] * PAGE_SIZE);
		const auto at = bench_clock::now();
		const u32 value = *word;

		if (i % 2)
			*word = value;
		took.push_back(seconds_since(at) * 1e6);
		if (value != gfns[i % gfns.size()])
			fail("an access: wrong content, it");
		if (i % 4096 == 0) {
			const u64 bytes = resident_bytes() - before;

			peak = std::max(peak, bytes);
			average += bytes;
			looks++;
		}
	}
	const double elapsed = seconds_since(begin);

	if (paged)
		p2m_pager_stats(pager, &stats);
	const u64 page_ins = stats.page_ins - at_begin.page_ins;
	const double over = (double)average / (double)looks / (PAGER_LIMIT * PAGE_SIZE);

	/* The accesses that paged in are the slowest ones. */
	std::sort(took.begin(), took.end(), std::greater<>());
	std::vector<double> slow(took.begin(), took.begin() + (long)std::min(page_ins, (u64)i));

	std::printf("%-8s %-9s %10.0f %10.0f %8.0f %8.0f %9.1f %9.1f\n", zipf ? "zipf" : "uniform",
		    paged ? "16 of 64" : "all", (double)i / elapsed, (double)page_ins / elapsed,
		    percentile(slow, 0.5), percentile(slow, 0.99),
		    (double)average / (double)looks / (1 << 20), (double)peak / (1 << 20));
	report.figure({{"accesses", zipf ? "zipf" : "uniform"},
		       {"paged", paged},
		       {"accesses a second", (double)i / elapsed},
		       {"page-ins a second", (double)page_ins / elapsed}});
	if (paged)
		report.target(std::string(zipf ? "zipf" : "uniform") +
				      ": resident on the host / the limit",
			      over, "<=", 1.1, over <= 1.1);
	p2m_view_destroy(view);
	p2m_pager_stop(pager);
	p2m_paging_disable(p2m);
	p2m_destroy(p2m);
	swap_file_close(swap);
}

} // namespace

int main(int argc, char **argv)
{
	double seconds = 3;
	const char *json = nullptr;

	for (int i = 1; i < argc; i++) {
		if (i + 1 < argc && !std::strcmp(argv[i], "--seconds")) {
			seconds = std::atof(argv[++i]);
		} else if (i + 1 < argc && !std::strcmp(argv[i], "--json")) {
			json = argv[++i];
		} else {
			std::fprintf(stderr, "usage: bench-p2m [--seconds N] [--json FILE]\n");
			return 2;
		}
	}
	bench_report report("p2m", "Lookups, updates and paging of guest frames");

	print_environment("all");
	bench_lookups(report);
	std::printf("\n%-22s %9s %9s %8s %8s %8s\n", "a foreign holder", "updates", "refused",
		    "p50/us", "p99/us", "max/us");
	bench_update(report, true, seconds);
	bench_update(report, false, seconds);
	std::printf("\n%-8s %-9s %10s %10s %8s %8s %9s %9s\n", "pager", "MiB", "accesses/s",
		    "page-ins/s", "p50/us", "p99/us", "host/MiB", "peak/MiB");
	for (bool zipf : {false, true})
		for (bool paged : {true, false})
			bench_pager(report, zipf, paged, seconds);
	if (json && !report.write(json)) {
		std::perror(json);
		return 1;
	}
	return 0;
}
