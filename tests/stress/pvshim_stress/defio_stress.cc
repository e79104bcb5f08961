// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Deferred I/O under load: guest threads store stamps at random places of their mappings while the
 * worker and flushes harvest. A store that got lost would be carried along by the next store into
 * its page, so the load comes in many short rounds, and after each one everything is compared:
 *
 *      all threads: 300 stores each      |     wait      | next round
 *      main:        flush, flush, flush ..| flush, compare|
 *
 *      oracle: every thread owns every nr-th word of the frame (so all pages are shared by all
 *      threads) and remembers its last stamp there.
 *
 * Each thread has an address space of its own, and at the start of some rounds maps something else;
 * so pages are dirtied through several PTEs, and mappings come and go while others harvest. Frame
 * after frame, with another delivery of faults each.
 *
 * To see it fail for real: let harvest_page() skip page_mkclean(), or call it after
 * fb_damage_absorb(), or not take the page lock.
 */
#include "catalogue.h"

#include "unit/video_fixture.h"

#include <barrier>

using namespace video_test;

namespace stress
{

namespace
{

constexpr unsigned int ROUNDS_A_FRAME = 100;
constexpr int STORES_A_ROUND = 300;
constexpr size_t PAGE_WORDS = PAGE_SIZE / 4;

/* The frame, what should be in it, and how many share it. */
struct subject {
	framebuffer &fb;
	std::vector<u32> oracle;
	unsigned int writers;
	enum mmu_delivery delivery;
};

/* A guest program with one mapping, of a random part of the frame. */
class writer
{
public:
	writer(subject &s, unsigned int number, std::mt19937 random)
		: s_(s), number_(number), random_(random), file_(fb_open(s.fb.info())),
		  mm_(mm_alloc())
	{
		mm_->delivery = s.delivery;
		map();
	}
	~writer()
	{
		mmput(mm_);
		fput(file_);
	}
	writer(const writer &) = delete;
	writer &operator=(const writer &) = delete;

	void round()
	{
		if (random_() % 16 == 0) {
			EXPECT_EQ(vm_munmap(mm_, addr_, pages_ << PAGE_SHIFT), 0);
			map();
		}
		for (int i = 0; i < STORES_A_ROUND; i++)
			store(++stamp_);
	}

private:
	void map()
	{
		size_t nr = s_.fb.size() >> PAGE_SHIFT;

		first_ = random_() % nr;
		pages_ = 1 + random_() % (nr - first_);
		addr_ = vm_mmap(mm_, file_, pages_ << PAGE_SHIFT, PROT_READ | PROT_WRITE,
				MAP_SHARED, first_ << PAGE_SHIFT);
		EXPECT_FALSE(IS_ERR_VALUE(addr_)) << (long)addr_;
	}
	/* At a word of its own: a page has one at least. */
	void store(u32 stamp)
	{
		const size_t first = first_ * PAGE_WORDS, end = first + pages_ * PAGE_WORDS;
		size_t word = first + random_() % (end - first);

		word += number_ - word % s_.writers;
		if (word >= end)
			word -= s_.writers;
		else if (word < first)
			word += s_.writers;
		((volatile u32 *)addr_)[word - first] = stamp;
		s_.oracle[word] = stamp;
	}

	subject &s_;
	const unsigned int number_;
	std::mt19937 random_;
	file *const file_;
	mm_struct *const mm_;
	unsigned long addr_ = 0;
	size_t first_ = 0, pages_ = 0;
	u32 stamp_ = 0;
};

/* Everything is flushed, nobody stores. */
void compare(context &ctx, const subject &s)
{
	const auto *frame = (const u32 *)s.fb.frame();
	size_t lost = 0;

	for (size_t i = 0; i < s.oracle.size(); i++)
		lost += frame[i] != s.oracle[i];
	if (lost)
		ctx.violation("%zu words of the frame are not what was stored", lost);
	if (const size_t hidden = s.fb.wrongly_shown())
		ctx.violation("%zu bytes changed and were in no rectangle", hidden);
}

/* Main's part of a round, while the others store: @busy of them. */
void flush_and_compare(context &ctx, subject &s, const std::atomic<unsigned int> &busy)
{
	while (busy > 0)
		EXPECT_EQ(fb_fsync(s.fb.info()), 0);
	/* As a mapping would that is writable and that nobody knows of. */
	if (ctx.injected("untracked-store"))
		((volatile u32 *)s.fb.info()->screen_buffer)[PAGE_WORDS] = ++s.oracle[PAGE_WORDS];
	if (!ctx.injected("skip-flush")) {
		EXPECT_EQ(fb_fsync(s.fb.info()), 0);
	}
	compare(ctx, s);
	ctx.count("rounds").add();
}

void run_frame(context &ctx, world &w, subject &s, u64 stream)
{
	std::atomic<bool> stop = false;
	std::atomic<unsigned int> busy = 0;
	std::barrier start(s.writers + 1);
	std::thread main = w.thread([&] {
		for (unsigned int round = 0; round < ROUNDS_A_FRAME && !ctx.over(); round++) {
			busy = s.writers;
			start.arrive_and_wait();
			flush_and_compare(ctx, s, busy);
		}
		stop = true;
		start.arrive_and_wait();
	});

	ctx.in_threads(w.machine(), s.writers, [&](unsigned int t) {
		writer program(s, t, ctx.random(stream + t));

		for (start.arrive_and_wait(); !stop; start.arrive_and_wait()) {
			program.round();
			ctx.count("stores").add(STORES_A_ROUND);
			busy--;
		}
	});
	main.join();
}

void run_machine(context &ctx, enum mmu_delivery delivery, u64 stream)
{
	world w;
	struct fb_defio_vma_stats stats;
	mode m;

	m.width = 256;
	m.height = 128; /* 33 pages: all of them are always wanted by all */
	m.offset = 3232;
	m.period = 300;
	framebuffer fb(m);
	subject s = {.fb = fb,
		     .oracle = std::vector<u32>(fb.size() / 4),
		     .writers = ctx.threads(),
		     .delivery = delivery};

	if (mmu_delivery_problem(delivery)) {
		ctx.count("deliveries this host has not").add();
		return;
	}
	run_frame(ctx, w, s, stream);
	fb_defio_vma_stats(fb.info(), &stats);
	ctx.count("dirtyings").add(stats.write_faults);
	ctx.count("refreshes").add(fb.refreshes());
}

void run(context &ctx)
{
	u64 stream = 0;

	ctx.count("rounds");
	ctx.count("dirtyings");
	while (!ctx.over()) {
		for (enum mmu_delivery delivery : {MMU_DELIVER_INLINE, MMU_DELIVER_MPROTECT}) {
			if (!ctx.over())
				run_machine(ctx, delivery, stream);
			stream += ctx.threads();
		}
	}
}

} // namespace

} // namespace stress

stress::scenario stress::defio_scenario()
{
	return {.name = "defio",
		.checks = "every store of every program is in the frame, and was shown",
		.settings = {},
		.faults =
			{
				{"skip-flush", "the flush before the comparison is left out"},
				{"untracked-store", "a store that no page table knows of"},
			},
		.run = run};
}
