// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pinning.cc - what it costs to pin and unpin page tables, by policy
 *
 *      bench-pinning [--rounds N] [--tables N]
 *
 *      fork+exit   of an mm with so many page-table pages (512), a thread busy on each other
 *                  processor, so that taking rights away has somebody to interrupt:
 *                  every policy, and the same told page by page (pin.batch=1)
 *      under load  fork+exit while another thread clears accessed bits and a program stores: how
 *                  many oopses, and dirty bits that were lost
 *      stores      one emulated store to a pinned PTE beside a hypercall that does the same
 *      memory      the largest mm that still forks, where tables need memory that only reclaim can
 *                  give: late-visible beside pte-lock (Hugh Dickins's objection)
 *
 * Rounds of all policies alternate. fork+exit is the thread's processor time (a wait for another
 * processor's flush is spent spinning and counts), the median of the rounds; pins and locks are
 * measured by the clock from inside, so the figure is the round that was disturbed least.
 *
 * Exit status: 0; 1: something failed; 2: bad arguments.
 */
#include "environment.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <random>
#include <sched.h>
#include <string>
#include <thread>
#include <vector>

#include <asm/xen/hypercall.h>
#include <kshim/direct_map.h>
#include <kshim/machine.h>
#include <kshim/user.h>
#include <kshim/xen_mmu.h>
#include <linux/err.h>
#include <linux/mman.h>
#include <linux/pgtable.h>

namespace
{

typedef std::chrono::steady_clock steady;

constexpr unsigned long L1_BYTES = 512 * PAGE_SIZE;

[[noreturn]] void fail(const char *what)
{
	std::fprintf(stderr, "bench-pinning: %s\n", what);
	std::exit(1);
}

double median(std::vector<double> values)
{
	if (values.empty())
		return 0;
	std::nth_element(values.begin(), values.begin() + (long)values.size() / 2, values.end());
	return values[values.size() / 2];
}

double us_since(steady::time_point start)
{
	return std::chrono::duration<double, std::micro>(steady::now() - start).count();
}

double least(const std::vector<double> &values)
{
	return values.empty() ? 0 : *std::min_element(values.begin(), values.end());
}

double thread_us()
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1000;
}

struct kind {
	std::string policy;
	unsigned int batch;

	std::string name() const { return policy + (batch == 1 ? ", page by page" : ""); }
};

class machine
{
public:
	machine(const kind &k, size_t memory)
		: params_("pin.policy=" + k.policy + " pin.batch=" + std::to_string(k.batch))
	{
		static const machine_initcall *const calls[] = {&mmu_initcall, &xen_mmu_initcall,
								&mm_initcall, nullptr};
		pv_machine_config config;

		config.memory_bytes = memory;
		config.nr_cpus = 2;
		config.params = params_.c_str();
		config.log = [](void *, int, const char *) {}; /* oopses are counted */
		machine_ = pv_machine_create(&config, calls);
		if (IS_ERR(machine_))
			fail("no machine");
		scope_ = std::make_unique<machine_scope>(machine_);
	}
	~machine()
	{
		scope_.reset();
		pv_machine_destroy(machine_);
	}
	machine(const machine &) = delete;
	machine &operator=(const machine &) = delete;

	pv_machine *get() { return machine_; }
	struct pgtable_stats stats() const
	{
		struct pgtable_stats s;

		::pgtable_stats(&s);
		return s;
	}
	u64 oopses() const
	{
		struct xen_mmu_stats s;

		::xen_mmu_stats(&s);
		return s.oopses;
	}

private:
	const std::string params_;
	pv_machine *machine_;
	std::unique_ptr<machine_scope> scope_;
};

/* An mm whose tables are mostly L1: @pages pages in each of @tables places. */
class program
{
public:
	program(unsigned long tables, unsigned long pages) : mm_(mm_alloc())
	{
		if (mm_alloc_tables(mm_))
			fail("no page tables");
		va_ = vm_mmap(mm_, nullptr, tables * L1_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, 0);
		if (IS_ERR_VALUE(va_))
			fail("no addresses");
		view_ = mm_view(mm_, va_);
		/* Backwards: what was used last, and stays when memory is tight, is copied first */
		for (unsigned long t = tables; t-- > 0;) {
			for (unsigned long p = 0; p < pages; p++)
				store(t, p, (u32)(t + p));
		}
		if (mm_activate(mm_))
			fail("the program's tables cannot be pinned");
	}
	~program() { mmput(mm_); }
	program(const program &) = delete;
	program &operator=(const program &) = delete;

	struct mm_struct *mm() { return mm_; }
	unsigned long address(unsigned long table, unsigned long page) const
	{
		return view_ + table * L1_BYTES + page * PAGE_SIZE;
	}
	void store(unsigned long table, unsigned long page, u32 value)
	{
		kshim_user_store32(address(table, page), value);
	}
	u32 load(unsigned long table, unsigned long page) const
	{
		return kshim_user_load32(address(table, page));
	}

private:
	struct mm_struct *const mm_;
	unsigned long va_, view_;
};

/* Somebody to interrupt on each other processor: threads that touch memory. */
class busy_processors
{
public:
	busy_processors()
	{
		for (unsigned int i = 1; i < std::max(2u, std::thread::hardware_concurrency()); i++)
			threads_.emplace_back([this] {
				volatile unsigned int n = 0;

				while (!stop_)
					n = n + 1;
			});
	}
	~busy_processors()
	{
		stop_ = true;
		for (std::thread &t : threads_)
			t.join();
	}
	busy_processors(const busy_processors &) = delete;
	busy_processors &operator=(const busy_processors &) = delete;

private:
	std::atomic<bool> stop_{false};
	std::vector<std::thread> threads_;
};

struct figures {
	std::vector<double> total_us, pin_us, lock_us_max;
	u64 locks_max = 0, batches = 0, oopses = 0, lost = 0, loaded_forks = 0;
};

/* One fork and exit of a program with @tables L1 tables; nothing else runs in the machine. */
void measure_fork(const kind &k, unsigned long tables, figures *f)
{
	machine m(k, (4 * tables + 512) * PAGE_SIZE);
	program p(tables, 1);
	const struct pgtable_stats before = m.stats();
	busy_processors busy;
	const double start = thread_us();
	struct mm_struct *child = dup_mm(p.mm());

	if (IS_ERR(child))
		fail("a fork failed");
	mmput(child);
	f->total_us.push_back(thread_us() - start);
	const struct pgtable_stats after = m.stats();

	f->pin_us.push_back((double)(after.pin_ns - before.pin_ns) / 1000);
	f->lock_us_max.push_back((double)after.lock_ns_max / 1000);
	f->locks_max = std::max(f->locks_max, after.locks_max);
	f->batches = after.pin_batches - before.pin_batches;
}

/* Clears the accessed bits of what it meets. */
void clear_young(const std::atomic<bool> &stop)
{
	std::minstd_rand random(1);
	unsigned long nr;
	struct page *pages = mmu_page_array(&nr);

	while (!stop) {
		struct page *page = pages + random() % nr;

		if (!get_page_unless_zero(page))
			continue;
		if (page_mapcount(page) && trylock_page(page)) {
			(void)page_referenced(page);
			unlock_page(page);
		}
		put_page(page);
	}
}

/* The same while accessed bits are cleared and a program stores; in the end all is reclaimed. */
void measure_load(const kind &k, figures *f)
{
	constexpr unsigned long tables = 24, pages = 8;
	machine m(k, 4ul << 20);
	program p(tables, pages);
	std::vector<u32> oracle(tables * pages);
	std::atomic<bool> stop{false};
	std::minstd_rand random(2);

	for (unsigned long i = 0; i < oracle.size(); i++)
		oracle[i] = (u32)(i / pages + i % pages);
	/* Clean and writable, with a copy in swap: what a lost dirty bit falls back to. */
	(void)reclaim_pages(oracle.size());
	std::thread reclaim([&] {
		machine_scope bound(m.get());

		clear_young(stop);
	});
	for (unsigned int i = 0; i < 150; i++) {
		struct mm_struct *child = dup_mm(p.mm());

		for (unsigned int n = 0; n < 40; n++) {
			const unsigned long at = random() % oracle.size();

			oracle[at] = (u32)random();
			p.store(at / pages, at % pages, oracle[at]);
		}
		if (!IS_ERR(child))
			mmput(child);
		f->loaded_forks++;
		if (i % 16 == 0)
			(void)reclaim_pages(64);
	}
	stop = true;
	reclaim.join();
	(void)reclaim_pages(oracle.size());
	for (unsigned long i = 0; i < oracle.size(); i++)
		f->lost += p.load(i / pages, i % pages) != oracle[i];
	f->oopses += m.oopses();
}

void print_policies(const std::vector<kind> &kinds, const std::vector<figures> &all)
{
	std::printf("\n%-28s %10s %10s %12s %6s %11s %9s %9s\n", "policy", "fork+exit", "pins",
		    "lock held", "locks", "hypercalls", "oopses", "dirty");
	std::printf("%-28s %10s %10s %12s %6s %11s %9s %9s\n", "", "us", "us", "at most, us",
		    "held", "there+back", "per 1000", "lost");
	for (size_t i = 0; i < kinds.size(); i++) {
		const figures &f = all[i];

		std::printf("%-28s %10.0f %10.0f %12.1f %6llu %11llu ", kinds[i].name().c_str(),
			    median(f.total_us), least(f.pin_us), least(f.lock_us_max),
			    (unsigned long long)f.locks_max, (unsigned long long)f.batches);
		if (f.loaded_forks)
			std::printf("%9.1f %9llu\n",
				    1000.0 * (double)f.oopses / (double)f.loaded_forks,
				    (unsigned long long)f.lost);
		else
			std::printf("%9s %9s\n", "-", "-");
	}
	std::printf("\nbatched / page by page, the time of pins: pte-lock %.1f, historical %.1f "
		    "times faster (target 4)\n",
		    least(all[5].pin_us) / least(all[1].pin_us),
		    least(all[6].pin_us) / least(all[4].pin_us));
}

template <typename Fn>
double ns_each(unsigned int times, Fn fn)
{
	std::vector<double> rounds;

	for (int round = 0; round < 9; round++) {
		const auto start = steady::now();

		for (unsigned int i = 0; i < times; i++)
			fn(i);
		rounds.push_back(us_since(start) * 1000 / times);
	}
	return median(rounds);
}

int update(u64 *ptep, pteval_t value)
{
	struct mmu_update req;

	req.ptr = pfn_pte(page_to_pfn(virt_to_page(ptep)), offset_in_page(ptep));
	req.val = value;
	return HYPERVISOR_mmu_update(&req, 1, nullptr);
}

void print_stores()
{
	machine m({"atomic", 32}, 1ul << 20);
	struct page *table = alloc_page(GFP_KERNEL | __GFP_ZERO);
	u64 *pte = static_cast<u64 *>(page_address(table)) + 3;
	struct mmuext_op op = {};
	pteval_t old;
	constexpr unsigned int times = 4000;

	const double plain = ns_each(times, [&](unsigned int i) { native_pte_set(pte, 2 * i); });
	if (direct_map_protect(&table, 1, MMU_RO))
		fail("a frame cannot be protected");
	xen_writable_put(table);
	op.cmd = MMUEXT_PIN_L1_TABLE;
	op.arg1.mfn = page_to_pfn(table);
	if (HYPERVISOR_mmuext_op(&op, 1, nullptr, 0))
		fail("a table cannot be pinned");
	const double set = ns_each(times, [&](unsigned int i) { native_pte_set(pte, 2 * i); });
	const double btr = ns_each(times, [&](unsigned int) { (void)native_pte_btr(pte, 5); });
	const double hypercall = ns_each(times, [&](unsigned int i) {
		if (update(pte, 2 * i))
			fail("an update was refused");
	});
	const double modify = ns_each(times, [&](unsigned int i) {
		if (HYPERVISOR_pte_modify(pte, ~0ull, 2 * i, &old))
			fail("an update was refused");
	});
	std::printf("\na store to a PTE, ns: plain %.1f; emulated mov %.0f, lock btr %.0f; by "
		    "mmu_update %.0f, pte_modify %.0f; emulated / hypercall %.1f\n",
		    plain, set, btr, hypercall, modify, set / hypercall);
	op.cmd = MMUEXT_UNPIN_TABLE;
	if (HYPERVISOR_mmuext_op(&op, 1, nullptr, 0) || xen_writable_get(table) ||
	    direct_map_protect(&table, 1, MMU_RW))
		fail("a table cannot be unpinned");
	put_page(table);
}

bool forks(const kind &k, size_t memory, unsigned long tables, unsigned long pages)
{
	machine m(k, memory);
	program p(tables, pages);
	struct mm_struct *child = dup_mm(p.mm());
	const bool ok = !IS_ERR(child);

	if (ok)
		mmput(child);
	else if (PTR_ERR(child) != -ENOMEM)
		fail("a fork failed for another reason than memory");
	return ok;
}

/* Tables of the largest program that still forks. */
unsigned long largest(const kind &k, size_t memory, unsigned long pages)
{
	unsigned long low = 1, high = memory / PAGE_SIZE / 2;

	while (high - low > 1) {
		const unsigned long middle = (low + high) / 2;

		if (forks(k, memory, middle, pages))
			low = middle;
		else
			high = middle;
	}
	return low;
}

void print_memory()
{
	constexpr size_t memory = 4ul << 20;

	std::printf("\nthe largest program that still forks, L1 tables of it; a machine of %zu "
		    "pages\n%-28s %10s %13s %8s\n",
		    memory / PAGE_SIZE, "data pages of each table", "pte-lock", "late-visible",
		    "ratio");
	for (unsigned long pages : {1ul, 4ul, 16ul}) {
		const unsigned long seen = largest({"pte-lock", 32}, memory, pages);
		const unsigned long hidden = largest({"late-visible", 32}, memory, pages);

		std::printf("%-28lu %10lu %13lu %8.2f\n", pages, seen, hidden,
			    (double)seen / (double)hidden);
	}
}

unsigned long number(const char *text, unsigned long min)
{
	char *end;
	const unsigned long value = std::strtoul(text, &end, 10);

	if (*end || end == text || value < min) {
		std::fprintf(stderr, "bench-pinning: '%s' is no number of at least %lu\n", text,
			     min);
		std::exit(2);
	}
	return value;
}

} // namespace

int main(int argc, char **argv)
{
	unsigned long rounds = 9, tables = 508;

	for (int i = 1; i < argc; i++) {
		const std::string option = argv[i];

		if (option == "--rounds" && i + 1 < argc) {
			rounds = number(argv[++i], 1);
		} else if (option == "--tables" && i + 1 < argc) {
			tables = number(argv[++i], 8) - 4;
		} else {
			std::fprintf(stderr, "usage: bench-pinning [--rounds N] [--tables N]\n");
			return 2;
		}
	}

	const std::vector<kind> kinds = {
		{"atomic", 32},     {"pte-lock", 32}, {"hypercall", 32}, {"late-visible", 32},
		{"historical", 32}, {"pte-lock", 1},  {"historical", 1},
	};
	std::vector<figures> all(kinds.size());

	print_environment("pinning");
	std::printf("# page-table pages: %lu, of them L1: %lu\n# rounds: %lu\n", tables + 4, tables,
		    rounds);
	for (unsigned long round = 0; round < rounds; round++) {
		for (size_t i = 0; i < kinds.size(); i++)
			measure_fork(kinds[i], tables, &all[i]);
	}
	for (unsigned long round = 0; round < 3; round++) {
		for (size_t i = 0; i < kinds.size(); i++) {
			if (kinds[i].batch > 1)
				measure_load(kinds[i], &all[i]);
		}
	}
	print_policies(kinds, all);
	print_stores();
	print_memory();
	return 0;
}
