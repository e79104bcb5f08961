// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Work queues: once for each queueing, never beside itself; delays, flushes and cancels mean what
 * <linux/workqueue.h> says.
 */
#include "core_test.h"

#include <linux/atomic.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include <algorithm>
#include <random>

namespace
{

constexpr unsigned long an_hour = 3600 * HZ;

/* A work that counts, and may be held inside its function. */
struct counted {
	struct delayed_work dwork;
	atomic_t runs, inside, beside_itself;
	struct completion entered, leave;
	bool hold;
	unsigned long ran_at;

	work_struct *work() { return &dwork.work; }
	int count() { return atomic_read_acquire(&runs); }

	static void run(struct work_struct *work)
	{
		counted *c = container_of(work, counted, dwork.work);

		if (atomic_inc_return(&c->inside) != 1)
			atomic_inc(&c->beside_itself);
		EXPECT_EQ(current_work(), work);
		c->ran_at = jiffies;
		if (c->hold) {
			complete(&c->entered);
			wait_for_completion(&c->leave);
		}
		atomic_dec(&c->inside);
		atomic_inc_return(&c->runs);
	}

	counted() : dwork{}, runs{}, inside{}, beside_itself{}, hold(false), ran_at(0)
	{
		init_completion(&entered);
		init_completion(&leave);
		INIT_DELAYED_WORK(&dwork, run);
	}
};

class Workqueue : public machine_test
{
protected:
	workqueue_struct *wq = nullptr;

	void SetUp() override
	{
		machine_test::SetUp();
		wq = alloc_workqueue("test/%d", WQ_UNBOUND, 4, 1);
		ASSERT_NE(wq, nullptr);
	}

	void TearDown() override { destroy_workqueue(wq); }
};

TEST_F(Workqueue, RunsOnceForAnyNumberOfQueueingsWhilePending)
{
	counted c, blocker;
	workqueue_struct *ordered = alloc_ordered_workqueue("ordered", 0);

	blocker.hold = true;
	EXPECT_TRUE(queue_work(ordered, blocker.work()));
	wait_for_completion(&blocker.entered);
	EXPECT_TRUE(queue_work(ordered, c.work()));
	EXPECT_TRUE(work_pending(c.work()));
	EXPECT_FALSE(queue_work(ordered, c.work()));
	EXPECT_FALSE(queue_work(wq, c.work()));
	EXPECT_FALSE(queue_delayed_work(wq, &c.dwork, 5));
	complete(&blocker.leave);
	EXPECT_TRUE(flush_work(c.work()) || c.count() == 1);
	EXPECT_EQ(c.count(), 1);
	EXPECT_FALSE(flush_work(c.work()));
	EXPECT_FALSE(work_busy(c.work()));
	destroy_workqueue(ordered);
}

TEST_F(Workqueue, QueuedWhileExecutingRunsOnceMoreAfterwards)
{
	counted c;

	c.hold = true;
	queue_work(wq, c.work());
	wait_for_completion(&c.entered);
	EXPECT_FALSE(work_pending(c.work()));
	EXPECT_TRUE(queue_work(wq, c.work()));
	EXPECT_FALSE(queue_work(wq, c.work()));
	complete(&c.leave);
	wait_for_completion(&c.entered);
	complete(&c.leave);
	flush_work(c.work());
	EXPECT_EQ(c.count(), 2);
	EXPECT_EQ(atomic_read(&c.beside_itself), 0);
}

TEST_F(Workqueue, NeverRunsBesideItselfWhateverIsQueuedWhere)
{
	constexpr int rounds = 5000;
	counted c;
	workqueue_struct *other = alloc_workqueue("other", 0, 4);

	run_together(4, [&](int n) {
		for (int i = 0; i < rounds; i++) {
			queue_work(n & 1 ? wq : other, c.work());
			if (i % 64 == 0)
				flush_work(c.work());
		}
	});
	/* What was queued last has a run of its own, after it was queued. */
	int before = c.count();
	flush_work(c.work());
	EXPECT_GE(c.count(), before);
	EXPECT_GT(c.count(), 0);
	EXPECT_EQ(atomic_read(&c.beside_itself), 0);
	EXPECT_FALSE(work_busy(c.work()));
	destroy_workqueue(other);
}

TEST_F(Workqueue, FlushSeesWhatWasStoredBeforeQueueing)
{
	struct adder {
		struct work_struct work;
		long in, out;
	} a = {};

	INIT_WORK(&a.work, [](struct work_struct *work) {
		adder *a = container_of(work, adder, work);
		a->out = a->in;
	});
	for (int i = 1; i < 5000; i++) {
		a.in = i;
		ASSERT_TRUE(queue_work(wq, &a.work));
		flush_work(&a.work);
		ASSERT_EQ(a.out, i);
	}
}

static void works_that_wait_for_each_other(workqueue_struct *wq)
{
	counted c[4];

	for (counted &x : c) {
		x.hold = true;
		queue_work(wq, x.work());
	}
	for (counted &x : c)
		EXPECT_NE(wait_for_completion_timeout(&x.entered, deadline), 0u);
	for (counted &x : c)
		complete(&x.leave);
	flush_workqueue(wq);
	for (counted &x : c)
		EXPECT_EQ(x.count(), 1);
}

TEST_F(Workqueue, WorksThatWaitForEachOtherRunAtTheSameTime)
{
	/* A new queue each time: the works race with the start of its workers. */
	for (int i = 0; i < 200; i++) {
		workqueue_struct *fresh = alloc_workqueue("fresh", 0, 4);

		works_that_wait_for_each_other(fresh);
		works_that_wait_for_each_other(fresh);
		destroy_workqueue(fresh);
	}
}

TEST_F(Workqueue, OrderedQueueKeepsTheOrder)
{
	struct step {
		struct work_struct work;
		std::vector<int> *out;
		int id;
	};
	std::vector<int> out;
	std::vector<step> steps(300);
	workqueue_struct *ordered = alloc_ordered_workqueue("ordered", 0);

	for (int i = 0; i < 300; i++) {
		steps[i].out = &out;
		steps[i].id = i;
		INIT_WORK(&steps[i].work, [](struct work_struct *work) {
			step *s = container_of(work, step, work);
			s->out->push_back(s->id);
		});
		queue_work(ordered, &steps[i].work);
	}
	flush_workqueue(ordered);
	ASSERT_EQ(out.size(), 300u);
	EXPECT_TRUE(std::is_sorted(out.begin(), out.end()));
	destroy_workqueue(ordered);
}

TEST_F(Workqueue, DelayedWorkIsNotEarly)
{
	counted c;
	unsigned long begin = jiffies;

	EXPECT_TRUE(queue_delayed_work(wq, &c.dwork, 20000));
	EXPECT_FALSE(queue_delayed_work(wq, &c.dwork, 0));
	EXPECT_FALSE(queue_work(wq, c.work()));
	EXPECT_TRUE(delayed_work_pending(&c.dwork));
	while (!c.count())
		yield();
	EXPECT_GE(c.ran_at - begin, 20000u);
	EXPECT_FALSE(delayed_work_pending(&c.dwork));
}

TEST_F(Workqueue, ModDelayedWorkMovesItBothWays)
{
	counted c;

	EXPECT_FALSE(mod_delayed_work(wq, &c.dwork, an_hour));
	EXPECT_TRUE(mod_delayed_work(wq, &c.dwork, 2 * an_hour));
	EXPECT_EQ(c.count(), 0);
	EXPECT_TRUE(mod_delayed_work(wq, &c.dwork, 1000));
	while (!c.count())
		yield();
	/* Brought forward and put off again before it is due, many times: it stays put off. */
	for (int i = 0; i < 1000; i++) {
		mod_delayed_work(wq, &c.dwork, 1 + i % 3);
		mod_delayed_work(wq, &c.dwork, an_hour);
	}
	int count = (flush_workqueue(wq), c.count());
	EXPECT_TRUE(delayed_work_pending(&c.dwork));
	EXPECT_TRUE(cancel_delayed_work_sync(&c.dwork));
	EXPECT_EQ(c.count(), count);
	EXPECT_FALSE(mod_delayed_work(wq, &c.dwork, 0));
	flush_work(c.work());
	EXPECT_EQ(c.count(), count + 1);
}

TEST_F(Workqueue, FlushDelayedWorkExecutesItNow)
{
	counted c;

	EXPECT_FALSE(flush_delayed_work(&c.dwork));
	for (int i = 1; i <= 200; i++) {
		queue_delayed_work(wq, &c.dwork, i % 2 ? an_hour : 30);
		flush_delayed_work(&c.dwork);
		ASSERT_EQ(c.count(), i);
		ASSERT_FALSE(delayed_work_pending(&c.dwork));
	}
}

TEST_F(Workqueue, FlushWorkDoesNotWaitForATimer)
{
	counted c;

	queue_delayed_work(wq, &c.dwork, an_hour);
	EXPECT_FALSE(flush_work(c.work()));
	EXPECT_EQ(c.count(), 0);
	EXPECT_TRUE(cancel_delayed_work(&c.dwork));
	EXPECT_FALSE(cancel_delayed_work(&c.dwork));
}

TEST_F(Workqueue, FlushDoesNotWaitForLaterQueueings)
{
	/* A work that queues itself for as long as it is told to. */
	struct endless {
		struct work_struct work;
		workqueue_struct *wq;
		u32 stop;
		atomic_t runs;
	} e = {};

	e.wq = wq;
	INIT_WORK(&e.work, [](struct work_struct *work) {
		endless *e = container_of(work, endless, work);

		atomic_inc(&e->runs);
		if (!READ_ONCE(e->stop))
			queue_work(e->wq, work);
	});
	queue_work(wq, &e.work);
	for (int i = 0; i < 100; i++)
		flush_work(&e.work);
	for (int i = 0; i < 100; i++)
		flush_workqueue(wq);
	EXPECT_GT(atomic_read(&e.runs), 1);
	WRITE_ONCE(e.stop, 1);
	cancel_work_sync(&e.work);
	EXPECT_FALSE(work_busy(&e.work));
}

TEST_F(Workqueue, CancelSyncWaitsAndKeepsItFromComingBack)
{
	/* Arms itself again each time it runs: only a cancel that refuses that ends it. */
	struct periodic {
		struct delayed_work dwork;
		workqueue_struct *wq;
		atomic_t runs;
	} p = {};

	p.wq = wq;
	INIT_DELAYED_WORK(&p.dwork, [](struct work_struct *work) {
		periodic *p = container_of(work, periodic, dwork.work);

		atomic_inc(&p->runs);
		queue_delayed_work(p->wq, &p->dwork, atomic_read(&p->runs) % 3);
	});
	for (int i = 0; i < 300; i++) {
		int goal = atomic_read(&p.runs) + i % 5;

		queue_delayed_work(wq, &p.dwork, i % 7);
		while (atomic_read(&p.runs) < goal)
			yield();
		cancel_delayed_work_sync(&p.dwork);
		int runs = atomic_read(&p.runs);
		ASSERT_FALSE(work_busy(&p.dwork.work));
		ASSERT_FALSE(timer_pending(&p.dwork.timer));
		ASSERT_EQ(atomic_read(&p.runs), runs);
	}
}

TEST_F(Workqueue, CancelSyncReturnsAfterTheFunction)
{
	counted c;

	c.hold = true;
	queue_work(wq, c.work());
	wait_for_completion(&c.entered);
	EXPECT_FALSE(cancel_work(c.work()));
	/* Listed while it executes: what the cancel takes back. */
	EXPECT_TRUE(queue_work(wq, c.work()));
	test_thread canceller([&] {
		EXPECT_TRUE(cancel_work_sync(c.work()));
		EXPECT_EQ(c.count(), 1);
	});
	while (work_pending(c.work()))
		yield();
	EXPECT_FALSE(queue_work(wq, c.work()));
	EXPECT_FALSE(canceller.done());
	complete(&c.leave);
}

TEST_F(Workqueue, AWorkMayFreeItself)
{
	struct mortal {
		struct work_struct work;
		atomic_t *dead;
	};
	atomic_t dead = ATOMIC_INIT(0);

	for (int i = 0; i < 1000; i++) {
		mortal *x = kzalloc_obj(mortal, GFP_KERNEL);

		x->dead = &dead;
		INIT_WORK(&x->work, [](struct work_struct *work) {
			mortal *x = container_of(work, mortal, work);

			atomic_inc(x->dead);
			kfree(x);
		});
		queue_work(wq, &x->work);
	}
	flush_workqueue(wq);
	EXPECT_EQ(atomic_read(&dead), 1000);
}

TEST_F(Workqueue, DestroyExecutesWhatIsListedAndWhatThatLists)
{
	struct chain {
		struct work_struct work;
		workqueue_struct *wq;
		int left;
	} c = {};
	workqueue_struct *doomed = alloc_workqueue("doomed", 0, 1);

	c.wq = doomed;
	c.left = 100;
	INIT_WORK(&c.work, [](struct work_struct *work) {
		chain *c = container_of(work, chain, work);

		if (--c->left)
			queue_work(c->wq, work);
	});
	queue_work(doomed, &c.work);
	destroy_workqueue(doomed);
	EXPECT_EQ(c.left, 0);
}

TEST_F(Workqueue, DestroyWithATimedWorkWarnsAndDropsIt)
{
	pv_machine_config config;
	pv_machine *m;

	config.loglevel = 0;
	m = pv_machine_create(&config, nullptr);
	{
		machine_scope inner(m);
		counted c;
		workqueue_struct *doomed = alloc_workqueue("doomed", 0, 1);

		queue_delayed_work(doomed, &c.dwork, an_hour);
		destroy_workqueue(doomed);
		EXPECT_FALSE(delayed_work_pending(&c.dwork));
		EXPECT_EQ(c.count(), 0);
	}
	EXPECT_EQ(pv_machine_destroy(m), 1u);
}

TEST_F(Workqueue, AllocationFailuresLeakNothing)
{
	slab_stats before = pv_machine_slab_stats(machine);

	for (long n = 1;; n++) {
		pv_machine_fail_alloc(machine, n);
		workqueue_struct *x = alloc_workqueue("x", 0, 4);
		long left = pv_machine_fail_alloc(machine, 0);

		if (x)
			destroy_workqueue(x);
		EXPECT_EQ(x == nullptr, left == 0);
		EXPECT_EQ(pv_machine_slab_stats(machine).objects, before.objects);
		if (left)
			break;
		ASSERT_LT(n, 20);
	}
}

/*
 * Random operations from four threads on four works, against what must hold whatever happens: no
 * work beside itself, and when everything has been cancelled nothing runs and nothing is armed.
 */
TEST_F(Workqueue, RandomOperations)
{
	counted works[4];
	const unsigned seed = std::random_device()();

	SCOPED_TRACE("seed " + std::to_string(seed));
	run_together(4, [&](int n) {
		std::mt19937 random(seed + n);

		for (int i = 0; i < 4000; i++) {
			counted &c = works[random() % 4];

			switch (random() % 9) {
			case 0:
			case 1:
				queue_work(wq, c.work());
				break;
			case 2:
				queue_delayed_work(wq, &c.dwork, random() % 50);
				break;
			case 3:
				queue_delayed_work(system_wq, &c.dwork, random() % 50);
				break;
			case 4:
				mod_delayed_work(wq, &c.dwork, random() % 50);
				break;
			case 5:
				flush_delayed_work(&c.dwork);
				break;
			case 6:
				cancel_delayed_work(&c.dwork);
				break;
			case 7:
				cancel_delayed_work_sync(&c.dwork);
				break;
			case 8:
				flush_work(c.work());
				break;
			}
		}
	});
	for (counted &c : works) {
		cancel_delayed_work_sync(&c.dwork);
		EXPECT_FALSE(work_busy(c.work()));
		EXPECT_FALSE(timer_pending(&c.dwork.timer));
		EXPECT_EQ(atomic_read(&c.beside_itself), 0);
		EXPECT_EQ(atomic_read(&c.inside), 0);
		int count = c.count();
		EXPECT_TRUE(queue_work(wq, c.work()));
		flush_work(c.work());
		EXPECT_EQ(c.count(), count + 1);
	}
}

} // namespace
