// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each case allocates, fills the first and last word of what it got with its thread's mark, gives
 * way to others, and finds both words as they were: nobody else has the same memory.
 */
#include "vmalloc_cases.h"

#include "unit/vmap_fixture.h"

#include <cstring>

#include <linux/rcupdate.h>

using namespace vmap_test;

namespace stress
{

namespace
{

void fill_and_check(char *memory, size_t bytes, u32 mark)
{
	ASSERT_NE(memory, nullptr);
	ASSERT_GE(bytes, sizeof(mark));
	std::memcpy(memory, &mark, sizeof(mark));
	std::memcpy(memory + bytes - sizeof(mark), &mark, sizeof(mark));
	std::this_thread::yield();
	ASSERT_EQ(std::memcmp(memory, &mark, sizeof(mark)), 0);
	ASSERT_EQ(std::memcmp(memory + bytes - sizeof(mark), &mark, sizeof(mark)), 0);
}

char *aligned(size_t bytes, size_t align)
{
	char *p = static_cast<char *>(__vmalloc_node(bytes, align, GFP_KERNEL, -1, nullptr));

	EXPECT_EQ((unsigned long)p % align, 0u);
	return p;
}

void use(size_t pages, const vmalloc_args &a)
{
	char *p = static_cast<char *>(vmalloc(pages * PAGE_SIZE));

	fill_and_check(p, pages * PAGE_SIZE, a.mark);
	vfree(p);
}

/* 1: the same size again and again. */
void fix_size(const vmalloc_args &a)
{
	for (unsigned long i = 0; i < a.loops && !a.ctx.over(); i++)
		use(a.pages, a);
}

/* 2: holes of one page each, to be filled exactly. */
void full_fit(const vmalloc_args &a)
{
	std::vector<void *> kept, junk;

	for (unsigned long i = 0; i < a.loops; i++) {
		kept.push_back(vmalloc(PAGE_SIZE));
		junk.push_back(vmalloc(PAGE_SIZE));
	}
	for (void *p : junk)
		vfree(p);
	for (unsigned long i = 0; i < a.loops; i++)
		use(1, a);
	for (void *p : kept)
		vfree(p);
}

/* 4: many live areas, and work beside them. */
void long_busy_list(const vmalloc_args &a)
{
	std::vector<void *> live;

	for (unsigned long i = 0; i < 10 * a.loops; i++)
		live.push_back(vmalloc(PAGE_SIZE));
	for (unsigned long i = 0; i < a.loops && !a.ctx.over(); i++) {
		use(100, a);
		use(1, a);
	}
	for (void *p : live)
		vfree(p);
}

/* 8 */
void random_size(const vmalloc_args &a)
{
	for (unsigned long i = 0; i < a.loops && !a.ctx.over(); i++)
		use(1 + a.random() % 100, a);
}

/* 16 */
void fix_align(const vmalloc_args &a)
{
	for (unsigned long i = 0; i < a.loops && !a.ctx.over(); i++) {
		char *p = aligned(5 * PAGE_SIZE, 32ul << 10);

		fill_and_check(p, 5 * PAGE_SIZE, a.mark);
		vfree(p);
	}
}

/* 32 */
void random_size_align(const vmalloc_args &a)
{
	for (unsigned long i = 0; i < a.loops && !a.ctx.over(); i++) {
		size_t pages = 1 + a.random() % 10;
		char *p = aligned(pages * PAGE_SIZE, 1ul << a.random() % 23);

		fill_and_check(p, pages * PAGE_SIZE, a.mark);
		vfree(p);
	}
}

/* 64: every alignment; those that no address has fail, and nothing else happens. */
void align_shift(const vmalloc_args &a)
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
 * 128: objects of 1 to 1024 bytes for each processor, with any alignment. In Linux they share
 * chunks that come from vmalloc; here each is an area of its own, and they live side by side.
 */
void per_cpu_objects(const vmalloc_args &a)
{
	std::vector<std::pair<char *, size_t>> objects;

	for (unsigned long i = 0; i < a.loops && !a.ctx.over(); i++) {
		size_t bytes = sizeof(u32) + a.random() % 1024;

		bytes *= current_machine()->config.nr_cpus;
		objects.emplace_back(aligned(bytes, 1ul << a.random() % 10), bytes);
		fill_and_check(objects.back().first, bytes, a.mark);
	}
	for (auto [p, bytes] : objects) {
		EXPECT_EQ(std::memcmp(p + bytes - sizeof(a.mark), &a.mark, sizeof(a.mark)), 0);
		vfree(p);
	}
}

/* 256: freed after a grace period, for which the thread waits. */
void freed_after_waiting(const vmalloc_args &a)
{
	std::vector<void *> batch;

	for (unsigned long i = 0; i < a.loops; i++) {
		batch.push_back(vmalloc(PAGE_SIZE));
		fill_and_check(static_cast<char *>(batch.back()), PAGE_SIZE, a.mark);
	}
	synchronize_rcu();
	for (void *p : batch)
		vfree(p);
}

struct deferred {
	rcu_head rcu;
	u32 mark;
};

/* 512: freed by somebody else, after a grace period. */
void freed_by_rcu(const vmalloc_args &a)
{
	for (unsigned long i = 0; i < a.loops && !a.ctx.over(); i++) {
		auto *p = static_cast<deferred *>(vmalloc(PAGE_SIZE));

		ASSERT_NE(p, nullptr);
		p->mark = a.mark;
		guard(rcu)();
		call_rcu(&p->rcu, [](rcu_head *head) { vfree(container_of(head, deferred, rcu)); });
		/* Not before the section ends. */
		std::this_thread::yield();
		ASSERT_EQ(p->mark, a.mark);
	}
}

/* 1024 */
void map_ram(const vmalloc_args &a)
{
	page_set pages(64);

	for (unsigned long i = 0; i < a.loops && !a.ctx.over(); i++) {
		unsigned int nr = 1 + (unsigned int)a.random() % 64;
		char *p = static_cast<char *>(vm_map_ram(pages.data(), nr, -1));

		ASSERT_NE(p, nullptr);
		for (unsigned int n = 0; n < nr; n++)
			ASSERT_EQ(load(p + n * PAGE_SIZE), stamp_of(pages[n]));
		vm_unmap_ram(p, nr);
	}
}

/* 2048: may fail, must not purge. */
void no_block(const vmalloc_args &a)
{
	for (unsigned long i = 0; i < a.loops && !a.ctx.over(); i++) {
		char *p = static_cast<char *>(__vmalloc_node(
			PAGE_SIZE, 1, (i % 2 ? GFP_ATOMIC : GFP_NOWAIT) | __GFP_NOWARN, -1,
			nullptr));

		if (p)
			fill_and_check(p, PAGE_SIZE, a.mark);
		vfree(p);
	}
}

/* 4096: grows, shrinks, grows in place; the content stays. */
void realloc_keeps_content(const vmalloc_args &a)
{
	for (unsigned long i = 0; i < a.loops && !a.ctx.over(); i++) {
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

} // namespace

const std::vector<vmalloc_case> &vmalloc_cases()
{
	static const std::vector<vmalloc_case> all = {
		{"fix_size", fix_size, 1},
		{"full_fit", full_fit, 3},
		{"long_busy_list", long_busy_list, 6},
		{"random_size", random_size, 2},
		{"fix_align", fix_align, 2},
		{"random_size_align", random_size_align, 2},
		{"align_shift", align_shift, 1},
		{"per_cpu_objects", per_cpu_objects, 1},
		{"freed_after_waiting", freed_after_waiting, 2},
		{"freed_by_rcu", freed_by_rcu, 1},
		{"map_ram", map_ram, 3},
		{"no_block", no_block, 2},
		{"realloc_keeps_content", realloc_keeps_content, 6},
	};

	return all;
}

} // namespace stress
