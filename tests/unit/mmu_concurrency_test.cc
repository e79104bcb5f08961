// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Areas with several threads at once, with each way of delivering faults.
 *
 *      programs   store, store, store ...      into the area's pages
 *      test       protect, zap, map another frame, destroy
 */
#include "mmu_fixture.h"

#include <fcntl.h>
#include <unistd.h>

namespace
{

using namespace mmu_test;

class mmu_concurrency : public testing::TestWithParam<mmu_delivery>
{
protected:
	void SetUp() override
	{
		world w;
		const char *problem = mmu_delivery_problem(GetParam());

		if (problem)
			GTEST_SKIP() << problem;
	}
};

INSTANTIATE_TEST_SUITE_P(, mmu_concurrency,
			 testing::Values(MMU_DELIVER_INLINE, MMU_DELIVER_HANDLER,
					 MMU_DELIVER_MPROTECT),
			 [](const testing::TestParamInfo<mmu_delivery> &info) {
				 return info.param == MMU_DELIVER_INLINE    ? "inline"
					: info.param == MMU_DELIVER_HANDLER ? "handler"
									    : "mprotect";
			 });

constexpr unsigned long nr_pages = 4;

/* Threads that count in a word of each page until they are stopped. */
class programs
{
public:
	programs(const area &a, int threads)
	{
		for (int t = 0; t < threads; t++)
			threads_.emplace_back([this, &a, t] {
				for (u32 n = 1; !stop_.load(std::memory_order_relaxed); n++) {
					for (unsigned long i = 0; i < nr_pages; i++)
						kshim_user_store32(a.at(i, 4 * (unsigned)t), n);
					rounds_++;
				}
			});
	}
	~programs() { stop(); }

	void stop()
	{
		stop_ = true;
		for (std::thread &t : threads_)
			t.join();
		threads_.clear();
	}
	/* Until they have all stored some more. */
	void wait_for_progress()
	{
		const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
		const unsigned long target = rounds_ + 4;

		while (rounds_ < target) {
			ASSERT_LT(std::chrono::steady_clock::now(), give_up)
				<< "no store gets through";
			std::this_thread::yield();
		}
	}

private:
	std::atomic<bool> stop_{false};
	std::atomic<unsigned long> rounds_{0};
	std::vector<std::thread> threads_;
};

/*
 * I1. With the gate shut no fault is resolved. What was stored before the call that took the right
 * away is in the frame when that call returns, and nothing after.
 */
template <typename TakeAway>
void nothing_is_stored_behind_the_gate(mmu_delivery delivery, TakeAway take_away)
{
	world w;
	std::mutex gate;
	area a(nr_pages, delivery, [&](area &self, unsigned long addr, bool write) {
		std::lock_guard<std::mutex> g(gate);

		return mmu_map(self.get(), addr, w.page(self.index(addr)), write ? MMU_RW : MMU_RO);
	});
	programs running(a, 3);

	for (int round = 0; round < 60; round++) {
		running.wait_for_progress();

		std::lock_guard<std::mutex> shut(gate);

		take_away(a);
		for (unsigned long i = 0; i < nr_pages; i++) {
			u32 first[3];

			EXPECT_FALSE(a.pte(i).writable);
			for (int t = 0; t < 3; t++)
				first[t] = w.word(i)[t];
			for (int k = 0; k < 20; k++)
				std::this_thread::yield();
			for (int t = 0; t < 3; t++)
				ASSERT_EQ(w.word(i)[t], first[t]) << "round " << round;
		}
	}
	running.stop();
	EXPECT_GE(a.write_faults, 60);
}

TEST_P(mmu_concurrency, NoStorePassesAfterProtect)
{
	nothing_is_stored_behind_the_gate(
		GetParam(), [](area &a) { mmu_protect(a.get(), a.at(0), nr_pages, MMU_RO); });
}

TEST_P(mmu_concurrency, NoStorePassesAfterZap)
{
	nothing_is_stored_behind_the_gate(GetParam(),
					  [](area &a) { mmu_zap(a.get(), a.at(0), nr_pages); });
}

/* The window between two frames: a store goes to one or the other, and never to neither. */
TEST_P(mmu_concurrency, StoresGoOnWhileFramesAreReplaced)
{
	world w;
	area a(nr_pages, GetParam(), [&](area &self, unsigned long addr, bool) {
		return self.pte(self.index(addr)).writable
			       ? 0
			       : mmu_map(self.get(), addr, w.page(self.index(addr)), MMU_RW);
	});
	programs running(a, 2);

	for (unsigned long round = 0; round < 100; round++) {
		for (unsigned long i = 0; i < nr_pages; i++)
			ASSERT_EQ(mmu_map(a.get(), a.at(i), w.page(10 * (round % 3) + i), MMU_RW),
				  0);
		running.wait_for_progress();
	}
	running.stop();
	u32 value = *w.word(0);

	kshim_user_store32(a.at(0), value + 1);
	EXPECT_EQ(*static_cast<u32 *>(page_address(a.pte(0).page)), value + 1);
	EXPECT_EQ(a.pte(0).page, w.page(0));
}

TEST_P(mmu_concurrency, ThreadsThatFaultOnOnePageAllGoOn)
{
	world w;

	for (int round = 0; round < 50; round++) {
		area a(1, GetParam(), map_frames(w, 0));
		std::atomic<int> ready{0};
		std::vector<std::thread> threads;

		for (int t = 0; t < 4; t++)
			threads.emplace_back([&, t] {
				ready++;
				while (ready < 4)
					std::this_thread::yield();
				kshim_user_store32(a.at(0, 4 * (unsigned)t), 1 + (u32)t);
			});
		for (std::thread &t : threads)
			t.join();
		for (int t = 0; t < 4; t++)
			EXPECT_EQ(w.word(0)[t], 1 + (u32)t);
		a.destroy();
		mmu_page_discard(w.page(0));
	}
}

TEST_P(mmu_concurrency, DestroyUnderStoresEndsThemAll)
{
	world w;

	for (int round = 0; round < 40; round++) {
		area a(nr_pages, GetParam(), map_frames(w, 0));
		std::atomic<int> stored{0}, ended{0};
		std::vector<std::thread> threads;
		const unsigned long start = a.at(0);

		for (int t = 0; t < 3; t++)
			threads.emplace_back([&] {
				for (u32 n = 0; can_store(start + (n % nr_pages) * PAGE_SIZE, n);
				     n++)
					stored++;
				ended++;
			});
		while (stored < 10)
			std::this_thread::yield();
		if (round % 2)
			mmu_zap(a.get(), a.at(0), nr_pages);
		a.destroy();
		for (std::thread &t : threads)
			t.join();
		EXPECT_EQ(ended, 3);
	}
	EXPECT_EQ(w.stats().host_mappings, 0u);
}

TEST_P(mmu_concurrency, DestroyWaitsForACallbackThatIsStillRunning)
{
	world w;
	std::atomic<bool> inside{false}, go_on{false}, destroyed{false};
	area a(1, GetParam(), [&](area &, unsigned long, bool) {
		inside = true;
		while (!go_on)
			std::this_thread::yield();
		EXPECT_FALSE(destroyed);
		return -EFAULT;
	});
	std::thread program([&] { EXPECT_FALSE(can_store(a.at(0), 1)); });

	while (!inside)
		std::this_thread::yield();
	std::thread destroyer([&] {
		machine_scope scope(w.machine());

		a.destroy();
		destroyed = true;
	});
	for (int i = 0; i < 100; i++)
		std::this_thread::yield();
	EXPECT_FALSE(destroyed);
	go_on = true;
	destroyer.join();
	program.join();
}

TEST(mmu_concurrency_handler, SystemCallsInManyThreads)
{
	world w;
	const char *problem = mmu_delivery_problem(MMU_DELIVER_HANDLER);

	if (problem)
		GTEST_SKIP() << problem;
	area a(64, MMU_DELIVER_HANDLER, map_frames(w, 0));
	std::vector<struct page *> frames;
	std::vector<std::thread> threads;

	for (unsigned long i = 0; i < 64; i++)
		frames.push_back(w.page(i));
	ASSERT_EQ(mmu_bind(a.get(), a.at(0), frames.data(), 64), 0);
	for (int t = 0; t < 4; t++)
		threads.emplace_back([&] {
			int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);

			for (int round = 0; round < 20; round++) {
				EXPECT_EQ(read(fd, (void *)a.at(0), 64 * PAGE_SIZE),
					  (ssize_t)(64 * PAGE_SIZE));
			}
			close(fd);
		});
	for (int round = 0; round < 50; round++) {
		mmu_zap(a.get(), a.at(0), 64);
		mmu_protect(a.get(), a.at(0), 64, MMU_RO);
	}
	for (std::thread &t : threads)
		t.join();
}

} // namespace
