/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pte_lock.cc - each table's PTE lock is held from read-only until its own pin has completed
 *
 *      batch:  lock 1 .. 31 | RO 1 .. RO 31, pin 1 .. 31 (one entry) | flush | unlock 1 .. 31
 *      ...     then the upper tables read-only, and the L4 pinned, which validates no L1 again
 *
 * What Linux 2.6.24 did. Whoever comes from rmap has the PTE lock, so it waits, at most for a
 * batch: no pin holds more than MC_BATCH - 1 locks. Each L1 has a pin of its own, because a lock
 * may go only when the hypervisor knows *this* table. The unlocks are callbacks of the batch.
 *
 * Mutant: pin_unlock_before_flush lets the locks go when the batch is filled: it looks done.
 */
#include "multicall.h"
#include "pin.h"

#include <kshim/mutant.h>
#include <linux/bug.h>

/* One entry is for the pins. */
#define LOCKS_MAX (MC_BATCH - 1)

struct locked_batch {
	struct mc_batch mc;
	struct pt_page *pts[LOCKS_MAX];
	unsigned int nr;
	u64 locked_at;
};

static void unlock_one(void *arg) __no_thread_safety_analysis
{
	spin_unlock(&((struct pt_page *)arg)->ptl);
}

static void note_locks(const struct locked_batch *batch)
{
	struct pgtable_stats *stats = &current_pgtable()->stats;
	u64 ns = kshim_now_ns() - batch->locked_at;

	pgtable_count(&stats->lock_ns, ns);
	if (ns > __atomic_load_n(&stats->lock_ns_max, __ATOMIC_RELAXED))
		__atomic_store_n(&stats->lock_ns_max, ns, __ATOMIC_RELAXED);
	if (batch->nr > __atomic_load_n(&stats->locks_max, __ATOMIC_RELAXED))
		__atomic_store_n(&stats->locks_max, batch->nr, __ATOMIC_RELAXED);
}

/* Locks the tables of a batch, does both things to each, unlocks them as they complete. */
static int do_batch(struct locked_batch *batch, bool pin) __no_thread_safety_analysis
{
	struct mc_batch *mc = &batch->mc;

	mc_init(mc, 0);
	for (unsigned int i = 0; i < batch->nr; i++)
		spin_lock(&batch->pts[i]->ptl);
	batch->locked_at = kshim_now_ns();
	for (unsigned int i = 0; pin && i < batch->nr; i++)
		mc_right(mc, batch->pts[i]->page, false);
	for (unsigned int i = 0; i < batch->nr; i++)
		mc_ext(mc, pin ? MMUEXT_PIN_L1_TABLE : MMUEXT_UNPIN_TABLE,
		       page_to_pfn(batch->pts[i]->page));
	for (unsigned int i = 0; !pin && i < batch->nr; i++)
		mc_right(mc, batch->pts[i]->page, true);
	for (unsigned int i = 0; i < batch->nr; i++) {
		if (KSHIM_MUTANT(pin_unlock_before_flush))
			unlock_one(batch->pts[i]);
		else
			mc_callback(mc, unlock_one, batch->pts[i]);
	}
	(void)mc_flush(mc);
	note_locks(batch);
	pgtable_count(&current_pgtable()->stats.pin_batches, mc->flushes);
	return mc->err;
}

/* The first @limit L1 tables. Return: how many were done; *@err says why not all. */
static u32 do_l1(struct mm_tables *tables, bool pin, u32 limit, int *err)
{
	const unsigned long room = current_pgtable()->pin_batch;
	const unsigned int locks = room > 1 ? (unsigned int)room - 1 : 1;
	struct locked_batch batch;
	struct pt_page *pt;
	u32 done = 0;

	*err = 0;
	batch.nr = 0;
	list_for_each_entry (pt, &tables->list[1], node) {
		if (done + batch.nr == limit)
			break;
		batch.pts[batch.nr++] = pt;
		if (batch.nr < locks)
			continue;
		*err = do_batch(&batch, pin);
		if (*err)
			return done;
		done += batch.nr;
		batch.nr = 0;
	}
	if (batch.nr)
		*err = do_batch(&batch, pin);
	return *err ? done : done + batch.nr;
}

/* Each table of a batch that failed by itself: what was done to it is undone. */
static void undo_failed(struct mm_tables *tables, u32 done)
{
	struct pt_page *pt;
	u32 i = 0;

	list_for_each_entry (pt, &tables->list[1], node) {
		if (i++ < done || i > done + LOCKS_MAX)
			continue;
		guard(spinlock)(&pt->ptl);
		(void)pin_ext(pt->page, MMUEXT_UNPIN_TABLE);
		if (!direct_map_writable(pt->page)) {
			struct mc_batch mc;

			mc_init(&mc, 0);
			mc_right(&mc, pt->page, true);
			WARN_ON(mc_flush(&mc));
		}
	}
}

static int pin(struct mm_tables *tables)
{
	int err, undo;
	u32 done;

	pin_set_phase(tables, "L1 tables, a batch at a time");
	done = do_l1(tables, true, ~0u, &err);
	if (err) {
		undo_failed(tables, done);
		goto unpin_l1;
	}
	pin_set_phase(tables, "upper tables");
	err = pin_protect_all(tables, false, 2);
	if (err)
		goto unpin_l1;
	err = pin_ext(virt_to_page(tables->pgd), MMUEXT_PIN_L4_TABLE);
	if (err) {
		WARN_ON(pin_protect_all(tables, true, 2));
		goto unpin_l1;
	}
	return 0;

unpin_l1:
	(void)do_l1(tables, false, done, &undo);
	WARN_ON(undo);
	return err;
}

static int unpin(struct mm_tables *tables)
{
	int err;

	pin_set_phase(tables, "upper tables, on the way out");
	err = pin_ext(virt_to_page(tables->pgd), MMUEXT_UNPIN_TABLE);
	if (!err)
		err = pin_protect_all(tables, true, 2);
	pin_set_phase(tables, "L1 tables, on the way out");
	if (!err)
		(void)do_l1(tables, false, ~0u, &err);
	return err;
}

const struct pin_policy pin_pte_lock = {
	.name = "pte-lock",
	.late_visible = false,
	.pin = pin,
	.unpin = unpin,
	.set = set_by_hypercall,
	.exchange = native_pte_xchg,
	.test_and_clear = native_pte_btr,
	.pins_l1 = true,
};
