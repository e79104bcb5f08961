/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fb_defio.cc - deferred I/O: one delayed work per framebuffer (see fb_defio.h for the invariants)
 *
 *        kick          kick, kick          (again)
 *   ------|--------------|--|-----------------|----------------------> time
 *         |<- period/8 ->|  |                 |
 *                        run                 run
 *                        |<----- period ----->|
 *
 * After a pause the first run comes early, so that a lone store is seen soon, but not at once, so
 * that the stores that belong to it come along. From then on a run begins at most once per
 * period.
 *
 * Locks: defio->lock (mutex) guards the list of mappings and makes harvest and deferred_io one at
 *     a time. defio->kick_lock (spinlock) guards the clock and `dead`; it is inside of
 *     everything, also of the page lock, and the work is only queued under it, so that nothing is
 *     queued once dead is set.
 */
#include "video/fb_defio.h"

#include "video/damage.h"
#include "video/fb_defio_private.h"

#include <kshim/host.h>
#include <kshim/mutant.h>
#include <linux/err.h>
#include <linux/kcsan-checks.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/printk.h>
#include <linux/slab.h>

static void note_run_locked(struct fb_defio *defio) __must_hold(&defio->kick_lock)
{
	kcsan_check_write(&defio->last_run_ns, sizeof(defio->last_run_ns));
	defio->last_run_ns = kshim_now_ns();
}

/* Mutant: without kick_lock, beside a kick that reads it. */
static void note_run(struct fb_defio *defio) __no_thread_safety_analysis
{
	if (!KSHIM_MUTANT(defio_run_unlocked))
		spin_lock(&defio->kick_lock);
	note_run_locked(defio);
	if (!KSHIM_MUTANT(defio_run_unlocked))
		spin_unlock(&defio->kick_lock);
}

static void run_locked(struct fb_defio *defio) __must_hold(&defio->lock)
{
	struct fb_defio_mapping *mapping;
	bool again = false;

	note_run(defio);
	list_for_each_entry (mapping, &defio->mappings, node) {
		if (mapping->ops->harvest(mapping))
			again = true;
	}
	if (defio->info->fbdefio->deferred_io)
		defio->info->fbdefio->deferred_io(defio->info);
	if (again)
		fb_defio_kick(defio->info);
}

static void defio_work(struct work_struct *work)
{
	struct fb_defio *defio = container_of(to_delayed_work(work), struct fb_defio, work);

	guard(mutex)(&defio->lock);
	defio->stats.runs++;
	run_locked(defio);
}

void fb_defio_kick(struct fb_info *info)
{
	struct fb_defio *defio = info->defio;

	if (!defio)
		return;
	guard(spinlock)(&defio->kick_lock);
	if (defio->dead)
		return;

	u64 period_ns = (u64)max(defio->delay, 1ul) * NSEC_PER_SEC / HZ;
	kcsan_check_read(&defio->last_run_ns, sizeof(defio->last_run_ns));
	u64 since = kshim_now_ns() - defio->last_run_ns;
	u64 wait_ns = period_ns / 8;

	if (since + wait_ns < period_ns)
		wait_ns = period_ns - since;
	if (queue_delayed_work(defio->wq, &defio->work, nsecs_to_jiffies(wait_ns)))
		defio->stats.kicks++;
}

int fb_defio_flush(struct fb_info *info)
{
	struct fb_defio *defio = info->defio;

	if (!defio)
		return -ENODEV;
	guard(mutex)(&defio->lock);
	if (defio->cut_off)
		return -ENODEV;
	defio->stats.flushes++;
	run_locked(defio);
	return 0;
}

void fb_defio_last_close(struct fb_info *info)
{
	/*
	 * Mutant: the work was once cancelled here, to cure an Oops (it ran after the last close,
	 * on pages that were gone); the last image was then never shown. Flushing cures both.
	 */
	if (KSHIM_MUTANT(defio_cancel_on_close)) {
		if (info->defio && info->defio->wq)
			cancel_delayed_work_sync(&info->defio->work);
		return;
	}
	/* -ENODEV: the device went first, and flushed then. */
	(void)fb_defio_flush(info);
}

int fb_defio_add_mapping(struct fb_info *info, struct fb_defio_mapping *mapping)
{
	struct fb_defio *defio = info->defio;

	if (!defio)
		return -ENODEV;
	INIT_LIST_HEAD(&mapping->node);
	guard(mutex)(&defio->lock);
	if (defio->cut_off)
		return -ENODEV;
	if (!list_empty(&defio->mappings)) {
		struct fb_defio_mapping *first =
			list_first_entry(&defio->mappings, struct fb_defio_mapping, node);

		if (first->ops->kind != mapping->ops->kind) {
			pr_err("fb%d: cannot map it as '%s': it is mapped as '%s', and two caches "
			       "of one "
			       "frame cannot agree; unmap the other first\n",
			       info->node, mapping->ops->name, first->ops->name);
			return -EBUSY;
		}
	}
	list_add_tail(&mapping->node, &defio->mappings);
	return 0;
}

void fb_defio_remove_mapping(struct fb_info *info, struct fb_defio_mapping *mapping)
{
	struct fb_defio *defio = info->defio;

	if (!defio)
		return;
	guard(mutex)(&defio->lock);
	if (list_empty(&mapping->node))
		return; /* zapped: the device went first */
	if (!KSHIM_MUTANT(defio_cancel_on_close))
		mapping->ops->harvest(mapping);
	list_del_init(&mapping->node);
	/* What the harvest brought has to be sent. */
	fb_defio_kick(info);
}

static int store_locked(struct fb_defio *defio, const struct fb_block *block)
	__must_hold(&defio->lock)
{
	struct fb_defio_mapping *mapping;

	/* One cache (fb_defio_add_mapping), so the first one's is all there is. */
	list_for_each_entry (mapping, &defio->mappings, node) {
		if (mapping->ops->store)
			return mapping->ops->store(mapping, block);
	}
	for (u32 i = 0; i < block->lines; i++)
		fb_damage_absorb(defio->info, block->offset + i * block->pitch,
				 block->bytes + i * block->len, block->len);
	return 0;
}

int fb_defio_store(struct fb_info *info, const struct fb_block *block)
{
	struct fb_defio *defio = info->defio;
	int err;

	if (!defio)
		return -ENODEV;
	/* No first VMA is just copying the frame. */
	fb_defio_vmas_hold(defio->vmas);
	scoped_guard (mutex, &defio->lock)
		err = defio->cut_off ? -ENODEV : store_locked(defio, block);
	fb_defio_vmas_let_go(defio->vmas);
	fb_defio_kick(info);
	return err;
}

void fb_defio_set_period(struct fb_info *info, unsigned long delay)
{
	if (!info->defio)
		return;
	guard(spinlock)(&info->defio->kick_lock);
	info->defio->delay = delay;
}

void fb_defio_stats(struct fb_info *info, struct fb_defio_stats *stats)
{
	*stats = {};
	if (!info->defio)
		return;
	guard(mutex)(&info->defio->lock);
	guard(spinlock)(&info->defio->kick_lock);
	*stats = info->defio->stats;
}

int fb_deferred_io_init(struct fb_info *info)
{
	struct fb_defio *defio;

	if (!info->fbdefio || !info->screen_buffer || info->screen_size == 0)
		return -EINVAL;
	defio = (struct fb_defio *)kzalloc(sizeof(*defio), GFP_KERNEL);
	if (!defio)
		return -ENOMEM;
	mutex_init(&defio->lock);
	spin_lock_init(&defio->kick_lock);
	INIT_LIST_HEAD(&defio->mappings);
	INIT_DELAYED_WORK(&defio->work, defio_work);
	defio->info = info;
	scoped_guard (spinlock, &defio->kick_lock)
		defio->delay = info->fbdefio->delay;
	/*
	 * A queue of its own: a harvest may wait for other processes, and two screens must not
	 * wait for each other.
	 */
	defio->wq = alloc_ordered_workqueue("fb_defio", 0);
	if (!defio->wq)
		goto free_defio;
	defio->vmas = fb_defio_vmas_alloc(info);
	if (!defio->vmas)
		goto destroy_wq;
	info->defio = defio;
	return 0;

destroy_wq:
	destroy_workqueue(defio->wq);
free_defio:
	kfree(defio);
	return -ENOMEM;
}

void fb_deferred_io_cleanup(struct fb_info *info)
{
	struct fb_defio *defio = info->defio;
	struct fb_defio_mapping *mapping, *next;

	if (!defio || fb_defio_flush(info) != 0)
		return;
	scoped_guard (spinlock, &defio->kick_lock)
		defio->dead = true;
	cancel_delayed_work_sync(&defio->work);
	scoped_guard (mutex, &defio->lock) {
		defio->cut_off = true;
		list_for_each_entry_safe (mapping, next, &defio->mappings, node) {
			list_del_init(&mapping->node);
			mapping->ops->zap(mapping);
		}
	}
	destroy_workqueue(defio->wq);
	defio->wq = nullptr;
	/* Mutant: Linux freed what faults of living mappings use, from 2.6.22 on. */
	if (KSHIM_MUTANT(defio_unplug_frees))
		fb_defio_vmas_free(defio->vmas);
}

void fb_defio_free(struct fb_info *info)
{
	if (!info->defio)
		return;
	fb_deferred_io_cleanup(info);
	fb_defio_vmas_free(info->defio->vmas);
	kfree(info->defio);
	info->defio = nullptr;
}
