// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lazy-flush manager under load: threads map, unmap, revive and shoot down the same pages,
 * while one purges; and the behaviours that lib/test_vmalloc.c of Linux exercises. Machine after
 * machine, with other parameters each.
 *
 *      pages   one pool for all threads, each page begins with its stamp
 *      thread  maps a random run of the pool: every page must say its stamp, and be held
 *              (page_ref_count); unmaps; now and then purges, or shoots a page of the pool down
 *      at the end of a round, alone: counters equal areas (I4); after vm_unmap_aliases() none of
 *      the
 *              addresses of the round reaches anything, each probed with a load (I2); an area holds
 *              each of its pages with one reference, live or lazy, and with none afterwards (I1)
 *
 * To see it fail for real: let collect_from() claim with a plain store, or leave_listed() list the
 * area after it made it lazy, or publish() add the superfluous area of a kmap().
 */
#include "catalogue.h"
#include "vmalloc_cases.h"

#include "unit/vmap_fixture.h"

#include <algorithm>
#include <cstring>
#include <set>

#include <linux/rcupdate.h>

using namespace vmap_test;

namespace stress
{

namespace
{

constexpr unsigned int POOL_PAGES = 40;
constexpr unsigned int MAPS_A_ROUND = 400;
constexpr unsigned int POOL_ROUNDS = 3;
constexpr size_t BYTES_A_THREAD = 16ul << 20;

struct machine_params {
	const char *text;
	bool cases; /* the window has room for all of their alignments */
};

constexpr machine_params all_machines[] = {
	{"", true},
	{"vmap.policy=lazy vmap.lazy_pages=200", true},
	{"vmap.policy=batch:7", true},
	{"vmap.policy=eager", true},
	{"vmap.lazy_pages=50", true},
	{"vmap.window_pages=2000", false},
	{"vmap.lazy_age_ms=1", true},
	{"vmap.debug", true},
};

/* The addresses of a round. */
class addresses
{
public:
	void note(char *addr, unsigned int nr)
	{
		std::lock_guard g(lock_);

		for (unsigned int i = 0; i < nr; i++)
			all_.insert(addr + i * PAGE_SIZE);
	}
	const std::set<char *> &all() const { return all_; }

private:
	std::mutex lock_;
	std::set<char *> all_;
};

void map_some(page_set &pool, std::mt19937 &random, addresses &seen)
{
	unsigned int nr = 1 + (unsigned int)random() % 8;
	page **first = pool.data() + random() % 4 * 8;
	bool ram = random() % 2;
	char *addr = static_cast<char *>(ram ? vm_map_ram(first, nr, -1) : map(first, nr));

	ASSERT_NE(addr, nullptr);
	seen.note(addr, nr);
	for (unsigned int i = 0; i < nr; i++) {
		ASSERT_EQ(load(addr + i * PAGE_SIZE), stamp_of(first[i]));
		ASSERT_GE(page_ref_count(first[i]), 2);
		ASSERT_EQ(vmalloc_to_page(addr + i * PAGE_SIZE), first[i]);
	}
	if (ram)
		vm_unmap_ram(addr, nr);
	else
		vunmap(addr);
}

void pool_thread(context &ctx, page_set &pool, std::mt19937 &random, addresses &seen)
{
	for (unsigned int i = 0; i < MAPS_A_ROUND && !ctx.over(); i++) {
		switch (random() % 64) {
		case 0:
			vm_unmap_aliases();
			break;
		case 1: {
			page *victim = pool[random() % POOL_PAGES];
			/* Live, or gone: both may be, others map it meanwhile. */
			int err = vmap_shootdown(&victim, 1);

			EXPECT_TRUE(!err || err == -EBUSY);
			break;
		}
		default:
			map_some(pool, random, seen);
		}
	}
}

/* Nobody else is there. */
void check_aliases_are_gone(context &ctx, const addresses &seen)
{
	size_t reached = 0;

	if (!ctx.injected("skip-flush"))
		vm_unmap_aliases();
	for (char *addr : seen.all())
		reached += load(addr).has_value();
	ctx.count("addresses probed").add(seen.all().size());
	if (reached)
		ctx.violation("%zu of %zu addresses reach pages after vm_unmap_aliases()", reached,
			      seen.all().size());
}

void expect_references(context &ctx, page_set &pool, int wanted, const char *when)
{
	for (unsigned int i = 0; i < pool.size(); i++) {
		if (page_ref_count(pool[i]) != wanted)
			ctx.violation("page %lu has %d references %s, not %d", page_to_pfn(pool[i]),
				      page_ref_count(pool[i]), when, wanted);
	}
}

/* Nobody else is there. */
void check_references(context &ctx, page_set &pool, bool eager)
{
	vm_unmap_aliases();
	expect_references(ctx, pool, 1, "and is not mapped");
	char *addr = map(pool);

	if (ctx.injected("drop-reference"))
		put_page(pool[0]);
	expect_references(ctx, pool, 2, "in a live area");
	if (ctx.injected("drop-reference"))
		get_page(pool[0]);
	vunmap(addr);
	expect_references(ctx, pool, eager ? 1 : 2, "after vunmap()");
	vm_unmap_aliases();
	expect_references(ctx, pool, 1, "after vm_unmap_aliases()");
}

void pool_round(context &ctx, world &w, page_set &pool, u64 stream, bool eager)
{
	addresses seen;

	ctx.in_threads(w.machine(), ctx.threads(), [&](unsigned int t) {
		std::mt19937 random = ctx.random(stream + t);

		pool_thread(ctx, pool, random, seen);
	});
	if (!vmap_check() || w.stats().live_areas)
		ctx.violation("%llu areas are live after the round:\n%s",
			      (unsigned long long)w.stats().live_areas, w.log().c_str());
	check_aliases_are_gone(ctx, seen);
	check_references(ctx, pool, eager);
	ctx.count("rounds").add();
}

/* Each thread all cases, in an order of its own; so different ones meet. */
void cases_thread(context &ctx, std::mt19937 &random, u32 mark)
{
	std::vector<vmalloc_case> cases;
	const unsigned long mask = ctx.number("mask");

	for (size_t i = 0; i < vmalloc_cases().size(); i++) {
		if (mask >> i & 1)
			cases.push_back(vmalloc_cases()[i]);
	}
	if (ctx.number("shuffle"))
		std::shuffle(cases.begin(), cases.end(), random);
	for (const vmalloc_case &c : cases) {
		if (ctx.over())
			return;
		c.run({.ctx = ctx,
		       .random = random,
		       .mark = mark,
		       .loops = ctx.number("loops") / c.part + 1,
		       .pages = ctx.number("pages")});
		ctx.count(c.name).add();
	}
}

void run_machine(context &ctx, const machine_params &params, u64 stream)
{
	const size_t memory = std::max(BYTES_A_THREAD * ctx.threads(), 64ul << 20);
	const bool eager = strstr(params.text, "policy=eager");
	world w(params.text, memory);

	{
		page_set pool(POOL_PAGES);

		for (unsigned int i = 0; i < POOL_ROUNDS && !ctx.over(); i++)
			pool_round(ctx, w, pool, stream + i * ctx.threads(), eager);
	}
	ctx.in_threads(w.machine(), params.cases ? ctx.threads() : 0, [&](unsigned int t) {
		std::mt19937 random = ctx.random(stream + POOL_ROUNDS * ctx.threads() + t);

		cases_thread(ctx, random, 0xabc00000u + t);
	});
	/* What is freed after a grace period. */
	rcu_barrier();
	EXPECT_TRUE(vmap_check()) << w.log();
	EXPECT_EQ(w.stats().live_areas, 0u);
	vm_unmap_aliases();
	EXPECT_EQ(w.stats().lazy_pages, 0u);
	EXPECT_EQ(nr_free_pages(), totalram_pages());
	const struct vmap_stats stats = w.stats();

	ctx.count("areas mapped").add(stats.maps);
	ctx.count("revived or shared").add(stats.hits);
	ctx.count("purges").add(stats.purges);
	ctx.count("ranges unmapped").add(stats.flushes);
	ctx.count("areas shot down").add(stats.shootdowns);
	ctx.count("machines").add();
}

void run(context &ctx)
{
	const std::string &only = ctx.text("params");
	u64 stream = 0;

	ctx.count("rounds");
	ctx.count("areas mapped");
	ctx.count("revived or shared");
	while (!ctx.over()) {
		for (const machine_params &params : all_machines) {
			if (ctx.over())
				break;
			run_machine(ctx,
				    only == "all" ? params : machine_params{only.c_str(), true},
				    stream);
			stream += (POOL_ROUNDS + 1) * ctx.threads();
		}
	}
}

} // namespace

} // namespace stress

stress::scenario stress::vmap_scenario()
{
	return {.name = "vmap",
		.checks = "mapped pages are held and found, unmapped ones out of reach after a "
			  "purge; "
			  "vmalloc's memory is one's own",
		.settings =
			{
				{"loops", "100", "rounds of each case of test_vmalloc"},
				{"pages", "3", "size of the areas of fix_size"},
				{"mask", "0x1fff", "which cases, as test_vmalloc's run_test_mask"},
				{"shuffle", "1", "0: each thread has the cases in order"},
				{"params", "all",
				 "one machine's parameters, such as vmap.policy=lazy"},
			},
		.faults =
			{
				{"skip-flush", "vm_unmap_aliases() is left out"},
				{"drop-reference", "an area's reference to a page is dropped"},
			},
		.run = run};
}
