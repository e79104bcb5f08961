// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Locks exclude, wake who waits, and notice misuse.
 */
#include "core_test.h"

#include <linux/atomic.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>

namespace
{

constexpr int nr_threads = 4, nr_rounds = 20000;

class Locks : public machine_test
{
protected:
	/*
	 * Two plain counters that a lock keeps equal: a second holder sees or makes a difference.
	 */
	long first = 0, second = 0;

	void bump()
	{
		EXPECT_EQ(first, second);
		first = first + 1;
		barrier();
		second = second + 1;
	}

	void SetUp() override
	{
		machine_test::SetUp();
		GTEST_FLAG_SET(death_test_style, "threadsafe");
	}
};
using LocksDeathTest = Locks;

TEST_F(Locks, MutexExcludes)
{
	struct mutex lock;

	mutex_init(&lock);
	run_together(nr_threads, [&](int) {
		for (int i = 0; i < nr_rounds; i++) {
			guard(mutex)(&lock);
			lockdep_assert_held(&lock);
			bump();
		}
	});
	EXPECT_EQ(first, static_cast<long>(nr_threads) * nr_rounds);
	mutex_destroy(&lock);
}

TEST_F(Locks, SpinLockExcludes)
{
	spinlock_t lock;

	spin_lock_init(&lock);
	run_together(nr_threads, [&](int n) {
		for (int i = 0; i < nr_rounds; i++) {
			if (n & 1) {
				unsigned long flags;

				spin_lock_irqsave(&lock, flags);
				bump();
				spin_unlock_irqrestore(&lock, flags);
			} else {
				scoped_guard (spinlock, &lock) {
					assert_spin_locked(&lock);
					bump();
				}
			}
		}
	});
	EXPECT_EQ(first, static_cast<long>(nr_threads) * nr_rounds);
	EXPECT_FALSE(spin_is_locked(&lock));
}

TEST_F(Locks, TrylockExcludesAndGivesUp)
{
	struct mutex lock;
	atomic_t got = ATOMIC_INIT(0);

	mutex_init(&lock);
	mutex_lock(&lock);
	run_together(1, [&](int) {
		if (mutex_trylock(&lock)) {
			atomic_inc(&got);
			mutex_unlock(&lock);
		}
	});
	EXPECT_EQ(atomic_read(&got), 0);
	mutex_unlock(&lock);
	run_together(nr_threads, [&](int) {
		for (int i = 0; i < nr_rounds; i++) {
			if (mutex_trylock(&lock)) {
				bump();
				atomic_inc(&got);
				mutex_unlock(&lock);
			}
		}
	});
	EXPECT_EQ(first, atomic_read(&got));
	EXPECT_GT(first, 0);
}

/* The holder sleeps inside: waiters must sleep on the lock and be woken, one after another. */
TEST_F(Locks, SleepingWaitersAreAllWoken)
{
	for (int round = 0; round < 200; round++) {
		struct mutex lock;
		atomic_t waiting = ATOMIC_INIT(0);

		mutex_init(&lock);
		mutex_lock(&lock);
		std::vector<std::unique_ptr<test_thread>> threads;
		for (int i = 0; i < nr_threads; i++) {
			threads.push_back(std::make_unique<test_thread>([&] {
				atomic_inc(&waiting);
				guard(mutex)(&lock);
				bump();
			}));
		}
		while (atomic_read(&waiting) != nr_threads)
			yield();
		mutex_unlock(&lock);
	}
	EXPECT_EQ(first, 200 * nr_threads);
}

TEST_F(Locks, RwsemWritersExcludeEverybody)
{
	struct rw_semaphore sem;
	atomic_t writers = ATOMIC_INIT(0);

	init_rwsem(&sem);
	run_together(nr_threads, [&](int n) {
		for (int i = 0; i < nr_rounds; i++) {
			if (n & 1) {
				guard(rwsem_write)(&sem);
				EXPECT_EQ(atomic_inc_return(&writers), 1);
				bump();
				atomic_dec(&writers);
			} else {
				guard(rwsem_read)(&sem);
				EXPECT_EQ(atomic_read(&writers), 0);
				EXPECT_EQ(first, second);
			}
		}
	});
	EXPECT_EQ(first, static_cast<long>(nr_threads / 2) * nr_rounds);
	EXPECT_FALSE(rwsem_is_locked(&sem));
}

/*
 * The two that follow hold a lock in ways that the analysis cannot follow: over a loop of trylocks,
 * and from writer to reader.
 */
static void readers_share_and_writers_wait() __no_thread_safety_analysis
{
	struct rw_semaphore sem;
	struct completion go, inside;
	u32 written = 0;

	init_rwsem(&sem);
	init_completion(&go);
	down_read(&sem);
	{
		/* A second reader comes in while we are in; it leaves when told. */
		init_completion(&inside);
		test_thread reader([&] {
			guard(rwsem_read)(&sem);
			complete(&inside);
			wait_for_completion(&go);
		});
		EXPECT_NE(wait_for_completion_timeout(&inside, deadline), 0u);
		EXPECT_FALSE(down_write_trylock(&sem));
		complete(&go);
	}
	test_thread writer([&] {
		guard(rwsem_write)(&sem);
		WRITE_ONCE(written, 1);
	});
	/* The writer queues: from now on newcomers queue behind it. */
	while (down_read_trylock(&sem)) {
		up_read(&sem);
		yield();
	}
	/* Time for the writer to fall asleep, most of the rounds. */
	for (int i = 0; i < 20; i++)
		yield();
	EXPECT_EQ(READ_ONCE(written), 0u);
	up_read(&sem);
	writer.join();
	EXPECT_EQ(READ_ONCE(written), 1u);
}

TEST_F(Locks, RwsemReadersShareAndWritersWait)
{
	for (int i = 0; i < 300; i++)
		readers_share_and_writers_wait();
}

static void downgrade_lets_readers_in() __no_thread_safety_analysis
{
	struct rw_semaphore sem;

	init_rwsem(&sem);
	down_write(&sem);
	test_thread reader([&] { guard(rwsem_read)(&sem); });
	/*
	 * Until the reader has announced itself, and time for it to fall asleep, most of the
	 * rounds.
	 */
	while (!(READ_ONCE(sem.word) & (1u << 30)))
		yield();
	for (int i = 0; i < 20; i++)
		yield();
	EXPECT_FALSE(down_read_trylock(&sem));
	downgrade_write(&sem);
	reader.join();
	EXPECT_FALSE(down_write_trylock(&sem));
	up_read(&sem);
	EXPECT_FALSE(rwsem_is_locked(&sem));
}

TEST_F(Locks, RwsemDowngradeLetsReadersInAndKeepsWritersOut)
{
	for (int i = 0; i < 300; i++)
		downgrade_lets_readers_in();
}

#ifndef __clang__ /* which refuses to compile these, as it should */
TEST_F(LocksDeathTest, MisuseIsAViolation)
{
	struct mutex lock;
	spinlock_t spin;
	struct rw_semaphore sem;

	mutex_init(&lock);
	spin_lock_init(&spin);
	init_rwsem(&sem);
	EXPECT_DEATH(mutex_unlock(&lock), "does not hold it");
	EXPECT_DEATH(spin_unlock(&spin), "does not hold it");
	EXPECT_DEATH(up_read(&sem), "no reader");
	EXPECT_DEATH(up_write(&sem), "does not hold");
	EXPECT_DEATH(lockdep_assert_held(&lock), "should be held");
	mutex_lock(&lock);
	EXPECT_DEATH(mutex_lock(&lock), "locked twice");
	EXPECT_DEATH(mutex_destroy(&lock), "while it is held");
	run_together(1, [&](int) { EXPECT_DEATH(mutex_unlock(&lock), "does not hold it"); });
	mutex_unlock(&lock);
	down_write(&sem);
	EXPECT_DEATH(down_read(&sem), "holds it for writing");
	up_write(&sem);
}
#endif

} // namespace
