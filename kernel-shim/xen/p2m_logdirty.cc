/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * p2m_logdirty.cc - which frames were stored to
 *
 *      start:  rw -> logdirty, everywhere            the guest's stores fault, foreign writable
 *                                                    mappings are revoked
 *      store:  noted, then logdirty -> rw            (view's fault)
 *      take:   noted frames -> logdirty again, then the note goes
 *
 * L1. A frame is noted while its entry is held, or is the updater's alone, before anything can
 *     store to it. A note is taken first and the entry protected then, for which it must be held by
 *     nobody: so the note that is taken too early is one whose store is prevented after it.
 * L2. A foreign mapping that can store notes its frames when it is made, and is revoked when the
 *     note is taken: made again, it notes them again.
 */
#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "p2m_internal.h"

void p2m_mark_dirty(struct p2m *p2m, gfn_t gfn)
{
	unsigned long *dirty;
	guard(rcu)();

	dirty = rcu_dereference(p2m->dirty);
	if (dirty)
		set_bit(gfn.val, dirty);
}

/* From rw or logdirty to logdirty: in both cases no foreign mapping may store from then on. */
static int judge_logdirty(u64 old, struct p2m_target *target, void *arg)
{
	if (!p2m_is(entry_type(old), P2M_PAGEABLE) || !(old & P2M_OWNED))
		return -EBUSY;
	*target = {
		.type = p2m_ram_logdirty, .page = entry_page(old), .owned = true, .alone = false};
	return 0;
}

/*
 * 0, -EAGAIN. What is no RAM of the p2m's own is left as it is, and what has no entry yet becomes
 * logdirty when it is populated.
 */
static int protect_entry(struct p2m *p2m, gfn_t gfn)
{
	int err = p2m_find_entry(p2m, gfn)
			  ? p2m_change(p2m, gfn, judge_logdirty, nullptr, P2M_REVOKE, nullptr)
			  : 0;

	return err == -EBUSY ? 0 : err;
}

int p2m_logdirty_start(struct p2m *p2m)
{
	const unsigned long nr = p2m->config.nr_gfns;
	unsigned long *dirty;

	if (p2m_logdirty_on(p2m))
		return -EBUSY;
	dirty = static_cast<unsigned long *>(kvcalloc(BITS_TO_LONGS(nr), sizeof(long), GFP_KERNEL));
	if (!dirty)
		return -ENOMEM;
	if (cmpxchg(&p2m->dirty, nullptr, dirty)) {
		kvfree(dirty);
		return -EBUSY;
	}
	for (unsigned long gfn = 0; gfn < nr; gfn++) {
		int err = protect_entry(p2m, _gfn(gfn));

		if (err) {
			p2m_logdirty_stop(p2m);
			return err;
		}
	}
	return 0;
}

/* An entry that was held for longer than the bound becomes rw with the next store to it. */
void p2m_logdirty_stop(struct p2m *p2m)
{
	unsigned long *dirty = xchg(&p2m->dirty, nullptr);

	if (!dirty)
		return;
	for (unsigned long gfn = 0; gfn < p2m->config.nr_gfns; gfn++) {
		if (p2m_peek_type(p2m, _gfn(gfn)) == p2m_ram_logdirty)
			(void)p2m_change_type(p2m, _gfn(gfn), p2m_ram_logdirty, p2m_ram_rw,
					      P2M_WAIT);
	}
	/* A store may be noting its frame. */
	synchronize_rcu();
	kvfree(dirty);
}

long p2m_logdirty_take(struct p2m *p2m, unsigned long *bitmap)
{
	const unsigned long nr = p2m->config.nr_gfns;
	unsigned long *dirty = p2m->dirty;
	long taken = 0;

	if (!dirty)
		return -EINVAL;
	memset(bitmap, 0, BITS_TO_LONGS(nr) * sizeof(long));
	for (unsigned long gfn = 0; gfn < nr; gfn++) {
		if (!test_bit(gfn, dirty))
			continue;
		set_bit(gfn, bitmap);
		taken++;
		clear_bit(gfn, dirty);
		if (protect_entry(p2m, _gfn(gfn)))
			set_bit(gfn, dirty);
	}
	return taken;
}
