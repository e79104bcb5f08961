/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lazy-flush manager under load: threads map, unmap, revive and shoot down the same pages,
 * while one purges. And the behaviours that lib/test_vmalloc.c of Linux exercises, each as a case
 * that runs in several threads at once, under each policy.
 *
 *      pages   one pool for all threads, each page begins with its stamp
 *      thread  maps a random run of the pool: every page must say its stamp, and be held
 *              (page_ref_count); unmaps; now and then purges, or shoots a page of the pool down
 *      at the end of a round, alone: counters equal areas (I4); after vm_unmap_aliases() none of
 *              the addresses of the round reaches anything, each probed with a load (I2)
 *
 * The seed is printed; PVSHIM_SEED=n repeats it, as far as threads can. To see it fail: let
 * collect_from() claim with a plain store, or leave_listed() list the area after it made it lazy,
 * or publish() add the superfluous area of a kmap().
 */
#include "unit/vmap_fixture.h"

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>
#include <set>

using namespace vmap_test;

namespace
{

constexpr unsigned int nr_threads = 4;

unsigned int seed()
{
	const char *text = std::getenv("PVSHIM_SEED");
	static const unsigned int value = text ? (unsigned int)std::strtoul(text, nullptr, 10)
					       : (unsigned int)std::time(nullptr);

	std::printf("seed %u (PVSHIM_SEED=%u repeats it)\n", value, value);
	return value;
}

void in_threads(world &w, const std::function<void(unsigned int)> &body)
{
	std::vector<std::thread> threads;

	for (unsigned int t = 0; t < nr_threads; t++)
		threads.push_back(w.thread([&body, t] { body(t); }));
	for (auto &thread : threads)
		thread.join();
}

/* The first and last word of a piece of memory are its own until it is freed. */
void fill_and_check(char *memory, size_t bytes, u32 mark)
{
	ASSERT_NE(memory, nullptr);
	std::memcpy(memory, &mark, sizeof(mark));
	std::memcpy(memory + bytes - sizeof(mark), &mark, sizeof(mark));
	std::this_thread::yield();
	ASSERT_EQ(std::memcmp(memory, &mark, sizeof(mark)), 0);
	ASSERT_EQ(std::memcmp(memory + bytes - sizeof(mark), &mark, sizeof(mark)), 0);
}

struct case_args {
	std::mt19937 &random;
	u32 mark;
};

/* 1: the same size again and again. */
void fix_size(case_args a)
{
	for (int i = 0; i < 300; i++) {
		char *p = static_cast<char *>(vmalloc(3 * PAGE_SIZE));

		fill_and_check(p, 3 * PAGE_SIZE, a.mark);
		vfree(p);
	}
}

/* 2: holes of one page each, to be filled exactly. */
void full_fit(case_args a)
{
	std::vector<void *> kept, junk;

	for (int i = 0; i < 100; i++) {
		kept.push_back(vmalloc(PAGE_SIZE));
		junk.push_back(vmalloc(PAGE_SIZE));
	}
	for (void *p : junk)
		vfree(p);
	for (int i = 0; i < 100; i++) {
		char *p = static_cast<char *>(vmalloc(PAGE_SIZE));

		fill_and_check(p, PAGE_SIZE, a.mark);
		vfree(p);
	}
	for (void *p : kept)
		vfree(p);
}

/* 4: many live areas, and work beside them. */
void long_busy_list(case_args a)
{
	std::vector<void *> live;

	for (int i = 0; i < 500; i++)
		live.push_back(vmalloc(PAGE_SIZE));
	for (int i = 0; i < 50; i++) {
		char *large = static_cast<char *>(vmalloc(100 * PAGE_SIZE)),
		     *small = static_cast<char *>(vmalloc(PAGE_SIZE));

		fill_and_check(large, 100 * PAGE_SIZE, a.mark);
		fill_and_check(small, PAGE_SIZE, a.mark);
		vfree(large);
		vfree(small);
	}
	for (void *p : live)
		vfree(p);
}

/* 8 */
void random_size(case_args a)
{
	for (int i = 0; i < 150; i++) {
		size_t bytes = (1 + a.random() % 100) * PAGE_SIZE;
		char *p = static_cast<char *>(vmalloc(bytes));

		fill_and_check(p, bytes, a.mark);
		vfree(p);
	}
}

char *aligned(size_t pages, size_t align)
{
	char *p = static_cast<char *>(
		__vmalloc_node(pages * PAGE_SIZE, align, GFP_KERNEL, -1, nullptr));

	EXPECT_EQ((unsigned long)p % align, 0u);
	return p;
}

/* 16 */
void fix_align(case_args a)
{
	for (int i = 0; i < 150; i++) {
		char *p = aligned(5, 32ul << 10);

		fill_and_check(p, 5 * PAGE_SIZE, a.mark);
		vfree(p);
	}
}

/* 32 */
void random_size_align(case_args a)
{
	for (int i = 0; i < 150; i++) {
		size_t pages = 1 + a.random() % 10;
		char *p = aligned(pages, 1ul << a.random() % 23);

		fill_and_check(p, pages * PAGE_SIZE, a.mark);
		vfree(p);
	}
}

/* 64: every alignment; those that no address has fail, and nothing else happens. */
void align_shift(case_args a)
{
	for (unsigned int shift = 0; shift < 64; shift++) {
		char *p = static_cast<char *>(
			__vmalloc_node(PAGE_SIZE, 1ul << shift, GFP_KERNEL, -1, nullptr));

		if (shift <= 24) {
			EXPECT_NE(p, nullptr) << shift;
		}
		if (shift > 47) {
			EXPECT_EQ(p, nullptr) << shift;
		}
		if (p) {
			EXPECT_EQ((unsigned long)p & ((1ul << shift) - 1), 0u);
			fill_and_check(p, PAGE_SIZE, a.mark);
		}
		vfree(p);
	}
}

/*
 * 128, 256, 512: Linux's per-CPU areas and kvfree_rcu() come from vmalloc; ours do not. What they
 * ask of it: many at once, freed by another thread than the one that allocated, after a while.
 */
void freed_by_others(case_args a)
{
	std::vector<void *> batch;

	for (int i = 0; i < 200; i++)
		batch.push_back(vzalloc((1 + a.random() % 4) * PAGE_SIZE));
	pv_machine *machine = current_machine();
	std::thread other([&] {
		machine_scope scope(machine);

		for (void *p : batch)
			vfree(p);
	});
	other.join();
}

/* 1024 */
void map_ram(case_args a)
{
	page_set pages(64);

	for (int i = 0; i < 100; i++) {
		unsigned int nr = 1 + (unsigned int)a.random() % 64;
		char *p = static_cast<char *>(vm_map_ram(pages.data(), nr, -1));

		ASSERT_NE(p, nullptr);
		for (unsigned int n = 0; n < nr; n++)
			ASSERT_EQ(load(p + n * PAGE_SIZE), stamp_of(pages[n]));
		vm_unmap_ram(p, nr);
	}
}

/* 2048: may fail, must not purge. */
void no_block(case_args a)
{
	for (int i = 0; i < 150; i++) {
		char *p = static_cast<char *>(__vmalloc_node(
			PAGE_SIZE, 1, (i % 2 ? GFP_ATOMIC : GFP_NOWAIT) | __GFP_NOWARN, -1,
			nullptr));

		if (p)
			fill_and_check(p, PAGE_SIZE, a.mark);
		vfree(p);
	}
}

/* 4096: grows, shrinks, grows in place; the content stays. */
void realloc_keeps_content(case_args a)
{
	for (int i = 0; i < 50; i++) {
		char *p = static_cast<char *>(vrealloc(nullptr, PAGE_SIZE, GFP_KERNEL));

		for (size_t pages : {4u, 3u, 1u, 8u, 5u}) {
			if (pages == 4)
				std::memcpy(p, &a.mark, sizeof(a.mark));
			p = static_cast<char *>(vrealloc(p, pages * PAGE_SIZE, GFP_KERNEL));
			ASSERT_NE(p, nullptr);
			ASSERT_EQ(std::memcmp(p, &a.mark, sizeof(a.mark)), 0);
			p[pages * PAGE_SIZE - 1] = 1;
		}
		EXPECT_EQ(vrealloc(p, 0, GFP_KERNEL), nullptr);
	}
}

struct stress_case {
	const char *name;
	void (*run)(case_args a);
};

constexpr stress_case cases[] = {
	{"fix_size", fix_size},
	{"full_fit", full_fit},
	{"long_busy_list", long_busy_list},
	{"random_size", random_size},
	{"fix_align", fix_align},
	{"random_size_align", random_size_align},
	{"align_shift", align_shift},
	{"freed_by_others", freed_by_others},
	{"map_ram", map_ram},
	{"no_block", no_block},
	{"realloc_keeps_content", realloc_keeps_content},
};

} // namespace

class vmalloc_case
	: public testing::TestWithParam<std::tuple<stress_case, const char * /* parameters */>>
{
};

TEST_P(vmalloc_case, in_several_threads)
{
	auto [what, params] = GetParam();
	unsigned int start = seed();
	world w(params, 64ul << 20);

	in_threads(w, [&, what = what](unsigned int t) {
		std::mt19937 random(start + t);

		what.run({random, 0xabc00000u + t});
	});
	EXPECT_TRUE(vmap_check()) << w.log();
	EXPECT_EQ(w.stats().live_areas, 0u);
	vm_unmap_aliases();
	EXPECT_EQ(w.stats().lazy_pages, 0u);
	EXPECT_EQ(nr_free_pages(), totalram_pages());
}

INSTANTIATE_TEST_SUITE_P(cases, vmalloc_case,
			 testing::Combine(testing::ValuesIn(cases),
					  testing::Values("", "vmap.policy=batch:16",
							  "vmap.policy=eager")),
			 [](const auto &param) {
				 return std::string(std::get<0>(param.param).name) + "_" +
					std::to_string(param.index % 3);
			 });

class vmap_stress : public testing::TestWithParam<const char *>
{
};

namespace
{

/* The addresses of a round. */
class addresses
{
public:
	void note(char *addr, unsigned int nr)
	{
		std::lock_guard<std::mutex> g(lock_);

		for (unsigned int i = 0; i < nr; i++)
			all_.insert(addr + i * PAGE_SIZE);
	}
	/* How many of them reach something; forgets them. */
	size_t reached()
	{
		size_t n = 0;

		for (char *addr : all_)
			n += load(addr).has_value();
		all_.clear();
		return n;
	}

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

} // namespace

TEST_P(vmap_stress, live_areas_are_whole_and_nothing_old_is_reached)
{
	unsigned int start = seed();
	world w(GetParam());
	page_set pool(40);

	for (unsigned int round = 0; round < 20 && !HasFatalFailure(); round++) {
		addresses seen;

		in_threads(w, [&](unsigned int t) {
			std::mt19937 random(start + round * nr_threads + t);

			for (int i = 0; i < 400; i++) {
				switch (random() % 64) {
				case 0:
					vm_unmap_aliases();
					break;
				case 1: {
					page *victim = pool[random() % 40];
					/* Live, or gone: both may be, others map it meanwhile. */
					int err = vmap_shootdown(&victim, 1);

					EXPECT_TRUE(!err || err == -EBUSY);
					break;
				}
				default:
					map_some(pool, random, seen);
				}
			}
		});
		ASSERT_TRUE(vmap_check()) << w.log();
		ASSERT_EQ(w.stats().live_areas, 0u);
		vm_unmap_aliases();
		ASSERT_EQ(seen.reached(), 0u) << "addresses reach pages after vm_unmap_aliases()";
		for (unsigned int i = 0; i < pool.size(); i++)
			ASSERT_EQ(page_ref_count(pool[i]), 1);
	}
}

INSTANTIATE_TEST_SUITE_P(policies, vmap_stress,
			 testing::Values("", "vmap.policy=lazy vmap.lazy_pages=200",
					 "vmap.policy=batch:7", "vmap.policy=eager",
					 "vmap.lazy_pages=50", "vmap.window_pages=2000",
					 "vmap.lazy_age_ms=1", "vmap.debug"),
			 [](const auto &param) { return std::to_string(param.index); });
