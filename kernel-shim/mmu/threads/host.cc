// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * host.cc - the machine's part of fault delivery: which ways this host can do
 *
 * Asked once, when the machine is made. What does not work is one line of text, kept for
 * mmu_delivery_problem().
 *
 *      INLINE    userfaultfd of programs' faults
 *      HANDLER   userfaultfd of system calls' faults too
 *      MPROTECT  always works
 */
#include "area.h"

#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/slab.h>

#include <unistd.h>

int mmu_host_init(struct mmu *mmu)
{
	struct mmu_host *host = kzalloc_obj(struct mmu_host, GFP_KERNEL);
	int err;

	if (!host)
		return -ENOMEM;
	err = mmu_traps_get();
	if (err)
		goto free_host;
	err = area_table_get(mmu);
	if (err)
		goto put_traps;
	mutex_init(&host->lock);
	scoped_guard (mutex, &host->lock)
		INIT_LIST_HEAD(&host->areas);
	mmu->host = host;
	host->uffd_inline =
		uffd_open(mmu, false, host->inline_problem, sizeof(host->inline_problem));
	host->uffd_handler =
		uffd_open(mmu, true, host->handler_problem, sizeof(host->handler_problem));
	if (host->uffd_inline < 0)
		pr_notice("mmu: page faults by mprotect and SIGSEGV: %s\n", host->inline_problem);
	if (host->uffd_handler < 0)
		pr_info("mmu: no page faults by a handler thread: %s\n", host->handler_problem);
	return 0;

put_traps:
	mmu_traps_put();
free_host:
	kfree(host);
	return err;
}

const char *mmu_delivery_problem(enum mmu_delivery delivery)
{
	const struct mmu_host *host = current_mmu()->host;

	if (delivery == MMU_DELIVER_INLINE && host->uffd_inline < 0)
		return host->inline_problem;
	if (delivery == MMU_DELIVER_HANDLER && host->uffd_handler < 0)
		return host->handler_problem;
	return nullptr;
}

void mmu_area_link(struct mmu_area *area)
{
	struct mmu_host *host = area->mmu->host;

	guard(mutex)(&host->lock);
	list_add(&area->node, &host->areas);
}

void mmu_area_unlink(struct mmu_area *area)
{
	guard(mutex)(&area->mmu->host->lock);
	list_del(&area->node);
}

static void destroy_leaked_areas(struct mmu_host *host)
{
	for (;;) {
		struct mmu_area *area;

		scoped_guard (mutex, &host->lock)
			area = list_first_entry_or_null(&host->areas, struct mmu_area, node);
		if (!area)
			return;
		WARN(true, "an area of %lu pages at %#lx was never destroyed\n", area->nr_pages,
		     area->start);
		mmu_area_destroy(area);
	}
}

void mmu_host_exit(struct mmu *mmu)
{
	struct mmu_host *host = mmu->host;

	destroy_leaked_areas(host);
	mmu_handler_stop(mmu);
	if (host->uffd_inline >= 0)
		close(host->uffd_inline);
	if (host->uffd_handler >= 0)
		close(host->uffd_handler);
	area_table_put();
	mmu_traps_put();
	kfree(host);
}
