// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kshim_try() and the signals that are not ours.
 */
#include "mmu_fixture.h"

#include <csetjmp>
#include <csignal>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace
{

using namespace mmu_test;

/* A page that nobody may touch. */
class no_page
{
public:
	no_page() : addr_(mmap(nullptr, PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
	{
	}
	~no_page() { munmap(addr_, PAGE_SIZE); }
	unsigned long at() const { return (unsigned long)addr_; }

private:
	void *addr_;
};

TEST(mmu_trap, TryReturnsWhetherTheFunctionDid)
{
	world w;
	no_page bad;
	int ran = 0;

	EXPECT_TRUE(kshim_try([](void *p) { ++*static_cast<int *>(p); }, &ran));
	EXPECT_EQ(ran, 1);
	for (int i = 0; i < 1000; i++) {
		EXPECT_FALSE(can_load(bad.at()));
		EXPECT_FALSE(can_store(bad.at(), 1));
	}
	EXPECT_FALSE(can_load(0));
	/* An address no processor can have: the signal does not say which one it was. */
	EXPECT_FALSE(can_load(0x8000000000000000ul));
}

TEST(mmu_trap, TriesNestAndEachCatchesItsOwn)
{
	struct nest {
		unsigned long bad;
		bool inner_ok, after_inner;
	};
	world w;
	no_page bad;
	nest n = {bad.at(), true, false};

	EXPECT_FALSE(kshim_try(
		[](void *p) {
			nest *inner = static_cast<nest *>(p);

			inner->inner_ok = can_load(inner->bad);
			inner->after_inner = true;
			(void)kshim_user_load32(inner->bad);
		},
		&n));
	EXPECT_FALSE(n.inner_ok);
	EXPECT_TRUE(n.after_inner);
	EXPECT_FALSE(can_load(bad.at()));
}

TEST(mmu_trap, TryInsideOfAFaultCallbackIsItsOwn)
{
	world w;
	no_page bad;
	area a(1, MMU_DELIVER_INLINE, [&](area &self, unsigned long addr, bool) {
		EXPECT_FALSE(can_load(bad.at()));
		return mmu_map(self.get(), addr, w.page(0), MMU_RW);
	});

	EXPECT_TRUE(can_store(a.at(0), 3));
	EXPECT_EQ(*w.word(0), 3u);
}

TEST(mmu_trap, ProbesCopyOrSayEfault)
{
	world w;
	no_page bad;
	char from[64] = "some bytes", to[64] = {};

	EXPECT_EQ(kshim_probe_read(to, from, sizeof(from)), 0);
	EXPECT_STREQ(to, "some bytes");
	EXPECT_EQ(kshim_probe_read(to, (void *)bad.at(), 8), -EFAULT);
	EXPECT_EQ(kshim_probe_write((void *)bad.at(), from, 8), -EFAULT);
	EXPECT_EQ(kshim_probe_write(to + 5, from, 4), 0);
	EXPECT_STREQ(to, "some somes");
	EXPECT_EQ(kshim_probe_read(to, (void *)bad.at(), 0), 0);
}

TEST(mmu_trap, FileThatShrankUnderItsMappingIsCaught)
{
	world w;
	int fd = memfd_create("short", MFD_CLOEXEC);
	void *addr;

	ASSERT_EQ(ftruncate(fd, PAGE_SIZE), 0);
	addr = mmap(nullptr, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	EXPECT_TRUE(can_store((unsigned long)addr, 1));
	ASSERT_EQ(ftruncate(fd, 0), 0);
	EXPECT_FALSE(can_load((unsigned long)addr));
	munmap(addr, PAGE_SIZE);
	close(fd);
}

TEST(mmu_trap, EveryThreadHasItsOwnTries)
{
	world w;
	no_page bad;
	std::vector<std::thread> threads;
	std::atomic<int> caught{0};

	for (int t = 0; t < 4; t++)
		threads.emplace_back([&] {
			for (int i = 0; i < 1000; i++)
				caught += !can_load(bad.at());
		});
	for (std::thread &t : threads)
		t.join();
	EXPECT_EQ(caught, 4000);
}

TEST(mmu_trap, ErrnoSurvivesFaults)
{
	world w;
	area a(1, MMU_DELIVER_INLINE, [&](area &self, unsigned long addr, bool) {
		errno = EIO;
		return mmu_map(self.get(), addr, w.page(0), MMU_RW);
	});

	errno = ENOTTY;
	kshim_user_store32(a.at(0), 3);
	EXPECT_EQ(errno, ENOTTY);
}

/* A handler of a program that was there before us. */
struct earlier {
	static inline sigjmp_buf env;
	static inline volatile unsigned long addr;
	static inline volatile int calls;

	static void on_signal(int, siginfo_t *info, void *)
	{
		addr = (unsigned long)info->si_addr;
		calls = calls + 1;
		siglongjmp(env, 1);
	}
};

TEST(mmu_trap, EarlierHandlersGetWhatIsNotOurs)
{
	struct sigaction action = {}, before[2], after;
	no_page bad;

	action.sa_sigaction = earlier::on_signal;
	action.sa_flags = SA_SIGINFO;
	sigaction(SIGSEGV, &action, &before[0]);
	sigaction(SIGBUS, &action, &before[1]);
	{
		world w;
		area a(1, MMU_DELIVER_INLINE, map_frames(w, 0));

		earlier::calls = 0;
		if (sigsetjmp(earlier::env, 1) == 0)
			kshim_user_store32(bad.at() + 16, 1);
		EXPECT_EQ(earlier::calls, 1);
		EXPECT_EQ(earlier::addr, bad.at() + 16);
		/* What is ours does not reach it, nor what a kshim_try() expects. */
		kshim_user_store32(a.at(0), 1);
		EXPECT_FALSE(can_load(bad.at()));
		EXPECT_EQ(earlier::calls, 1);
		if (sigsetjmp(earlier::env, 1) == 0)
			raise(SIGBUS);
		EXPECT_EQ(earlier::calls, 2);
	}
	sigaction(SIGSEGV, nullptr, &after);
	EXPECT_EQ(after.sa_sigaction, earlier::on_signal);
	sigaction(SIGSEGV, &before[0], nullptr);
	sigaction(SIGBUS, &before[1], nullptr);
}

void default_actions()
{
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
}

TEST(mmu_trap_death, ForeignFaultKillsTheProcess)
{
	no_page bad;

	GTEST_FLAG_SET(death_test_style, "threadsafe");
	EXPECT_EXIT(
		{
			default_actions();
			world w;
			kshim_user_store32(bad.at(), 1);
		},
		testing::KilledBySignal(SIGSEGV), "");
	EXPECT_EXIT(
		{
			default_actions();
			world w;
			raise(SIGSEGV);
		},
		testing::KilledBySignal(SIGSEGV), "");
}

TEST(mmu_trap_death, FaultThatItsOwnerRefusesKillsTheProgram)
{
	GTEST_FLAG_SET(death_test_style, "threadsafe");
	EXPECT_EXIT(
		{
			default_actions();
			world w;
			area a(1, MMU_DELIVER_INLINE,
			       [](area &, unsigned long, bool) { return -EFAULT; });

			kshim_user_store32(a.at(0), 1);
		},
		[](int status) {
			return WIFSIGNALED(status) &&
			       (WTERMSIG(status) == SIGBUS || WTERMSIG(status) == SIGSEGV);
		},
		"");
}

TEST(mmu_trap, HandlersGoWithTheLastMachine)
{
	struct sigaction before, during, after;

	sigaction(SIGBUS, nullptr, &before);
	{
		world first;
		{
			world second;
		}
		sigaction(SIGBUS, nullptr, &during);
		EXPECT_NE(during.sa_sigaction, before.sa_sigaction);
		EXPECT_FALSE(can_load(8));
	}
	sigaction(SIGBUS, nullptr, &after);
	EXPECT_EQ(after.sa_sigaction, before.sa_sigaction);
}

} // namespace
