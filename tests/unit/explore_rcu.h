/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * explore_rcu.h - a machine with one object behind an RCU pointer, and two threads at it
 */
#ifndef TESTS_UNIT_EXPLORE_RCU_H
#define TESTS_UNIT_EXPLORE_RCU_H

#include <kshim/explore.h>
#include <kshim/machine.h>
#include <linux/slab.h>

namespace explore_test
{

template <typename T>
struct rcu_world_of {
	struct pv_machine *m;
	T *object; /* zeroed, of kzalloc() */
};

template <typename T>
void *rcu_setup()
{
	auto *w = explore_new<rcu_world_of<T>>();
	struct pv_machine_config config;

	config.memory_bytes = 1 << 20;
	w->m = pv_machine_create(&config, nullptr);
	machine_scope bound(w->m);

	w->object = static_cast<T *>(kzalloc(sizeof(T), GFP_KERNEL));
	return w;
}

template <typename T>
explore_scenario rcu_scenario(explore_task reader, explore_task other)
{
	return {.name = "rcu",
		.setup = rcu_setup<T>,
		.tasks = {std::move(reader), std::move(other)},
		.teardown = [](void *p) {
			explore_machine_destroy(static_cast<rcu_world_of<T> *>(p)->m);
		}};
}

} // namespace explore_test

#endif
