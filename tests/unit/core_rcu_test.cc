// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RCU: a grace period waits for the readers before it, and callbacks come after one.
 */
#include "core_test.h"

#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include <thread>

namespace
{

using Rcu = machine_test;

TEST_F(Rcu, SynchronizeWaitsForAReaderThatWasInside)
{
	struct completion inside, leave;
	u32 left = 0;

	init_completion(&inside);
	init_completion(&leave);
	test_thread reader([&] {
		rcu_read_lock();
		rcu_read_lock(); /* nests */
		complete(&inside);
		wait_for_completion(&leave);
		rcu_read_unlock();
		EXPECT_TRUE(rcu_read_lock_held());
		WRITE_ONCE(left, 1);
		rcu_read_unlock();
		EXPECT_FALSE(rcu_read_lock_held());
	});
	wait_for_completion(&inside);
	u32 started = 0;
	test_thread writer([&] {
		WRITE_ONCE(started, 1);
		synchronize_rcu();
		EXPECT_EQ(READ_ONCE(left), 1u);
	});
	while (!READ_ONCE(started))
		yield();
	/* Readers that come later do not hold it up, and it does not hold them up. */
	for (int i = 0; i < 1000; i++) {
		guard(rcu)();
		EXPECT_FALSE(writer.done());
	}
	complete(&leave);
}

TEST_F(Rcu, CallbacksRunInOrderBoundToTheMachineAndBarrierWaits)
{
	struct object {
		struct rcu_head head;
		std::vector<int> *out;
		pv_machine *machine;
		int id;
	};
	std::vector<int> out;

	for (int i = 0; i < 100; i++) {
		object *o = kzalloc_obj(object, GFP_KERNEL);

		o->out = &out;
		o->machine = machine;
		o->id = i;
		call_rcu(&o->head, [](struct rcu_head *head) {
			object *o = container_of(head, object, head);

			EXPECT_EQ(current_machine(), o->machine);
			o->out->push_back(o->id);
			kfree(o);
		});
	}
	rcu_barrier();
	ASSERT_EQ(out.size(), 100u);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(out[i], i);
	rcu_barrier();
}

TEST_F(Rcu, CallbacksWaitForAReaderThatWasInside)
{
	struct object {
		struct rcu_head head;
		u32 called;
	} o = {};
	struct work_struct work;

	INIT_WORK(&work, [](struct work_struct *) {});
	{
		guard(rcu)();
		call_rcu(&o.head, [](struct rcu_head *head) {
			WRITE_ONCE(container_of(head, object, head)->called, 1);
		});
		/* Threads come and go; the callback's would have come, too. */
		for (int i = 0; i < 1000; i++) {
			schedule_work(&work);
			flush_work(&work);
		}
		EXPECT_EQ(READ_ONCE(o.called), 0u);
	}
	rcu_barrier();
	EXPECT_EQ(READ_ONCE(o.called), 1u);
}

TEST_F(Rcu, KfreeRcuFreesTheObjectNotTheHead)
{
	struct object {
		char payload[200];
		struct rcu_head head;
	};
	slab_stats before = pv_machine_slab_stats(machine);

	for (int i = 0; i < 10; i++) {
		object *o = kzalloc_obj(object, GFP_KERNEL);
		kfree_rcu(o, head);
	}
	rcu_barrier();
	EXPECT_EQ(pv_machine_slab_stats(machine).objects, before.objects);
}

/* A callback that waits for a reader, queued while a machine ends, still runs. */
TEST_F(Rcu, MachineEndRunsWhatIsQueued)
{
	pv_machine *m = pv_machine_create(nullptr, nullptr);
	struct object {
		struct rcu_head head;
	};
	{
		machine_scope inner(m);

		for (int i = 0; i < 10; i++) {
			object *o = kzalloc_obj(object, GFP_KERNEL);
			kfree_rcu(o, head);
		}
	}
	EXPECT_EQ(pv_machine_destroy(m), 0u);
}

TEST_F(Rcu, ReadersOfAChangingPointerNeverSeeAFreedObject)
{
	struct object {
		struct rcu_head head;
		u32 alive;
	};
	constexpr int rounds = 3000;
	object *shared = kzalloc_obj(object, GFP_KERNEL);
	u32 stop = 0;
	atomic_long_t reads = {}, bad = {};

	shared->alive = 1;
	run_together(3, [&](int n) {
		if (n) {
			while (!READ_ONCE(stop)) {
				guard(rcu)();
				object *o = rcu_dereference(shared);

				for (int i = 0; i < 10; i++) {
					if (READ_ONCE(o->alive) != 1)
						atomic_long_inc(&bad);
				}
				atomic_long_inc(&reads);
			}
			return;
		}
		for (int i = 0; i < rounds || !atomic_long_read(&reads); i++) {
			object *fresh = kzalloc_obj(object, GFP_KERNEL), *old;

			fresh->alive = 1;
			old = shared;
			rcu_assign_pointer(shared, fresh);
			if (i % 100 == 0) {
				synchronize_rcu();
				WRITE_ONCE(old->alive, 0);
				kfree(old);
				continue;
			}
			call_rcu(&old->head, [](struct rcu_head *head) {
				object *o = container_of(head, object, head);

				WRITE_ONCE(o->alive, 0);
				kfree(o);
			});
		}
		WRITE_ONCE(stop, 1);
	});
	EXPECT_EQ(atomic_long_read(&bad), 0);
	EXPECT_GT(atomic_long_read(&reads), 0);
	kfree(shared);
}

TEST_F(Rcu, ThreadsOfOthersMayReadAndEnd)
{
	for (int i = 0; i < 50; i++) {
		std::thread thread([] {
			guard(rcu)();
			EXPECT_TRUE(rcu_read_lock_held());
		});
		thread.join();
	}
	/* If a thread had not been unregistered, its memory would be looked at now. */
	synchronize_rcu();
}

TEST_F(Rcu, ListsCanBeWalkedWhileTheyChange)
{
	struct item {
		struct list_head node;
		struct rcu_head head;
		int value;
	};
	LIST_HEAD(list);
	u32 stop = 0;
	atomic_t bad = ATOMIC_INIT(0), walks = ATOMIC_INIT(0);

	for (int i = 0; i < 10; i++) {
		item *x = kzalloc_obj(item, GFP_KERNEL);
		x->value = i;
		list_add_tail_rcu(&x->node, &list);
	}
	test_thread reader([&] {
		while (!READ_ONCE(stop)) {
			guard(rcu)();
			int last = -1;
			item *x;

			list_for_each_entry_rcu(x, &list, node)
			{
				if (x->value <= last)
					atomic_inc(&bad);
				last = x->value;
			}
			atomic_inc(&walks);
		}
	});
	for (int i = 10; i < 3000 || !atomic_read(&walks); i++) {
		item *x = list_first_entry(&list, item, node);
		item *fresh = kzalloc_obj(item, GFP_KERNEL);

		fresh->value = i;
		list_add_tail_rcu(&fresh->node, &list);
		list_del_rcu(&x->node);
		kfree_rcu(x, head);
	}
	WRITE_ONCE(stop, 1);
	reader.join();
	EXPECT_EQ(atomic_read(&bad), 0);
	while (!list_empty(&list)) {
		item *x = list_first_entry(&list, item, node);
		list_del(&x->node);
		kfree(x);
	}
}

} // namespace
