// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Making and destroying machines (<kshim/machine.h>).
 *
 * The log is older than everything else and outlives it, since the leak report goes there; it and
 * the machine itself belong to no machine's slab.
 */
#include "core.h"

#include <linux/kernel.h>
#include <linux/slab.h>

struct core_part {
	const char *name;
	int (*init)(struct pv_machine *m);
	void (*exit)(struct pv_machine *m);
};

static const struct core_part core_parts[] = {
	{"slab", slab_init, slab_exit},
	{"kthreads", kthreads_init, kthreads_exit},
	{"timers", timers_init, timers_exit},
	{"rcu", rcu_init, rcu_exit},
	{"workqueues", workqueues_init, workqueues_exit},
};

static void core_undo(struct pv_machine *m, size_t nr)
{
	while (nr--)
		core_parts[nr].exit(m);
}

static int core_init(struct pv_machine *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(core_parts); i++) {
		int err = core_parts[i].init(m);

		if (err) {
			pr_err("core: %s could not be started: error %d\n", core_parts[i].name,
			       err);
			core_undo(m, i);
			return err;
		}
	}
	return 0;
}

static void core_exit(struct pv_machine *m)
{
	core_undo(m, ARRAY_SIZE(core_parts));
}

const struct machine_initcall core_initcall = {"core", core_init, core_exit};

/* The calls that ran, in order. */
struct machine_initcalls {
	size_t nr;
	const struct machine_initcall *done[];
};

static void undo_initcalls(struct pv_machine *m)
{
	struct machine_initcalls *ran = m->initcalls;

	while (ran->nr)
		ran->done[--ran->nr]->exit(m);
}

static int run_initcall(struct pv_machine *m, const struct machine_initcall *call)
{
	int err = call->init(m);

	if (err) {
		pr_err("machine: %s failed with error %d; the machine is not created\n", call->name,
		       err);
		return err;
	}
	m->initcalls->done[m->initcalls->nr++] = call;
	return 0;
}

static int run_initcalls(struct pv_machine *m, const struct machine_initcall *const *calls)
{
	int err = run_initcall(m, &core_initcall);

	for (; !err && calls && *calls; calls++) {
		if (*calls != &core_initcall)
			err = run_initcall(m, *calls);
	}
	return err;
}

static void free_machine(struct pv_machine *m)
{
	kfree(m->initcalls);
	kfree(m);
}

static struct pv_machine *alloc_machine(const struct pv_machine_config *config, size_t nr_calls)
{
	/* The machine and its list belong to no other machine, whatever the caller is bound to. */
	machine_scope unbound(nullptr);
	struct pv_machine *m = kzalloc_obj(struct pv_machine, GFP_KERNEL);

	if (!m)
		return nullptr;
	m->config = config ? *config : pv_machine_config{};
	if (!m->config.nr_cpus)
		m->config.nr_cpus = kshim_nr_cpus();
	m->initcalls = (struct machine_initcalls *)kzalloc(
		sizeof(*m->initcalls) + (nr_calls + 1) * sizeof(m->initcalls->done[0]), GFP_KERNEL);
	if (!m->initcalls) {
		kfree(m);
		return nullptr;
	}
	return m;
}

struct pv_machine *pv_machine_create(const struct pv_machine_config *config,
				     const struct machine_initcall *const *calls)
{
	struct pv_machine *m;
	size_t nr_calls = 0;
	int err;

	while (calls && calls[nr_calls])
		nr_calls++;
	m = alloc_machine(config, nr_calls);
	if (!m)
		return ERR_PTR(-ENOMEM);

	machine_scope bound(m);
	err = log_init(m);
	if (!err) {
		err = run_initcalls(m, calls);
		if (!err)
			return m;
		undo_initcalls(m);
		log_exit(m);
	}
	free_machine(m);
	return ERR_PTR(err);
}

unsigned int pv_machine_destroy(struct pv_machine *m)
{
	machine_scope bound(m);
	unsigned int warnings;

	undo_initcalls(m);
	warnings = pv_machine_warnings(m);
	log_exit(m);
	free_machine(m);
	return warnings;
}
