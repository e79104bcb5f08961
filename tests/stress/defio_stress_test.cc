/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Deferred I/O under load: guest threads store stamps at random places of their mappings while
 * the worker and flushes harvest. A store that got lost would be carried along by the next store
 * into its page, so the load comes in many short rounds, and after each one everything is
 * compared:
 *
 *      all threads: 300 stores each      |     wait      | next round
 *      main:        flush, flush, flush ..| flush, compare|
 *
 *      oracle: every thread owns every nr-th word of the frame (so all pages are shared by all
 *      threads) and remembers its last stamp there.
 *
 * Each thread has an address space of its own, and at the start of some rounds maps something
 * else; so pages are dirtied through several PTEs, and mappings come and go while others harvest.
 * At least 100,000 dirtyings (write faults), then it ends; the time limit only catches a hang.
 *
 * To see it fail: let harvest_page() skip page_mkclean(), or call it after fb_damage_absorb(), or
 * not take the page lock.
 */
#include "unit/video_fixture.h"

#include <atomic>
#include <barrier>
#include <random>

using namespace video_test;

namespace
{

constexpr u64 dirtyings_wanted = 100000;
constexpr unsigned int nr_threads = 4;
constexpr int stores_a_round = 300;
constexpr size_t page_words = PAGE_SIZE / 4;

class stress : public testing::TestWithParam<enum mmu_delivery>
{
};

/* A guest program with one mapping, of a random part of the frame. */
class writer
{
public:
	writer(framebuffer &fb, std::vector<u32> &oracle, enum mmu_delivery delivery,
	       unsigned int number)
		: fb_(fb), oracle_(oracle), number_(number), random_(number + 1),
		  file_(fb_open(fb.info())), mm_(mm_alloc())
	{
		mm_->delivery = delivery;
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
		for (int i = 0; i < stores_a_round; i++)
			store(++stamp_);
	}

private:
	void map()
	{
		size_t nr = fb_.size() >> PAGE_SHIFT;

		first_ = random_() % nr;
		pages_ = 1 + random_() % (nr - first_);
		addr_ = vm_mmap(mm_, file_, pages_ << PAGE_SHIFT, PROT_READ | PROT_WRITE,
				MAP_SHARED, first_ << PAGE_SHIFT);
		ASSERT_FALSE(IS_ERR_VALUE(addr_)) << (long)addr_;
	}
	void store(u32 stamp)
	{
		size_t word = random_() % (pages_ * page_words);

		word += number_ - word % nr_threads;
		((volatile u32 *)addr_)[word] = stamp;
		oracle_[first_ * page_words + word] = stamp;
	}

	framebuffer &fb_;
	std::vector<u32> &oracle_;
	unsigned int number_;
	std::mt19937 random_;
	file *file_;
	mm_struct *mm_;
	unsigned long addr_ = 0;
	size_t first_ = 0, pages_ = 0;
	u32 stamp_ = 0;
};

u64 write_faults(framebuffer &fb)
{
	struct fb_defio_vma_stats stats;

	fb_defio_vma_stats(fb.info(), &stats);
	return stats.write_faults;
}

bool delivery_works(enum mmu_delivery delivery)
{
	world w;

	return mmu_delivery_problem(delivery) == nullptr;
}

} // namespace

TEST_P(stress, every_store_is_in_the_frame_and_was_shown)
{
	if (!delivery_works(GetParam()))
		GTEST_SKIP() << "this delivery of faults does not work on this host";
	world w;
	mode m;

	m.width = 256;
	m.height = 128; /* 33 pages: all of them are always wanted by all */
	m.offset = 3232;
	m.period = 300;
	framebuffer fb(m);
	std::vector<u32> oracle(fb.size() / 4);
	std::atomic<bool> stop = false;
	std::atomic<unsigned int> busy = 0;
	std::barrier start(nr_threads + 1);
	std::vector<std::thread> threads;
	auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(240);

	for (unsigned int t = 0; t < nr_threads; t++) {
		threads.push_back(w.thread([&, t] {
			writer program(fb, oracle, GetParam(), t);

			for (start.arrive_and_wait(); !stop; start.arrive_and_wait()) {
				program.round();
				busy--;
			}
		}));
	}
	size_t lost = 0, hidden = 0;
	while (!lost && !hidden && write_faults(fb) < dirtyings_wanted &&
	       std::chrono::steady_clock::now() < give_up) {
		busy = nr_threads;
		start.arrive_and_wait();
		while (busy > 0)
			EXPECT_EQ(fb_fsync(fb.info()), 0);
		EXPECT_EQ(fb_fsync(fb.info()), 0);
		for (size_t i = 0; i < oracle.size(); i++)
			lost += ((const u32 *)fb.frame())[i] != oracle[i];
		hidden = fb.wrongly_shown();
	}
	u64 dirtyings = write_faults(fb);
	stop = true;
	start.arrive_and_wait();
	for (auto &thread : threads)
		thread.join();
	EXPECT_EQ(lost, 0u) << "words of the frame are not what was stored";
	EXPECT_EQ(hidden, 0u) << "bytes changed and were in no rectangle";
	if (!lost && !hidden) {
		EXPECT_GE(dirtyings, dirtyings_wanted) << "too slow, not wrong";
	}
}

INSTANTIATE_TEST_SUITE_P(defio, stress, testing::Values(MMU_DELIVER_INLINE, MMU_DELIVER_MPROTECT),
			 [](const auto &param) {
				 return param.param == MMU_DELIVER_INLINE ? "inline" : "mprotect";
			 });
