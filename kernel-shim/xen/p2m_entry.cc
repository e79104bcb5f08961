/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * p2m_entry.cc - holding an entry, and having one for oneself to change it
 *
 *      lookup                         updater
 *        intent? sleep                  intent, or -EAGAIN when somebody else has it
 *        count + 1   (one cmpxchg)      what shall it be? (judge)
 *        ...                            foreign mappings that may not stay: revoked
 *        count - 1, waited? wake        count 0? else sleep, up to the bound
 *                                       guest's mapping, redirected foreign mappings
 *                                       content, intent and waited gone (one cmpxchg), wake
 *
 * With the two locks: lookup and judge read under the lock, a lookup leaves with a reference to the
 * page, an updater keeps the lock from begin to commit.
 */
#include <kshim/mutant.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/mm.h>

#include <xen/paging.h>

#include "p2m_internal.h"

static bool is_counted(const struct p2m *p2m)
{
	return likely(p2m->config.policy == P2M_COUNTED);
}

/* ---- sleeping until an entry changes (E3) ---- */

/* Has the entry other bits of @mask than @seen? If not, waited is set: only with intent. */
static bool has_changed(atomic64_t *entry, u64 mask, u64 seen)
{
	s64 word = atomic64_read(entry);

	for (;;) {
		if (((u64)word & mask) != (seen & mask) || !((u64)word & P2M_INTENT))
			return true;
		if ((u64)word & P2M_WAITED)
			return false;
		if (atomic64_try_cmpxchg(entry, &word, (s64)((u64)word | P2M_WAITED)))
			return false;
	}
}

static void wake_waiters(struct p2m *p2m, atomic64_t *entry, u64 word)
{
	if (unlikely(word & P2M_WAITED))
		wake_up_all(p2m_queue(p2m, entry));
}

/* Until the updater that has it is done. */
static void wait_for_updater(struct p2m *p2m, atomic64_t *entry)
{
	wait_event(*p2m_queue(p2m, entry), has_changed(entry, P2M_INTENT, P2M_INTENT));
}

/* ---- lookups ---- */

/* The frame of an entry that the p2m does not own (nr_identity) may be free already. */
static void fill_ref(struct gfn_ref *ref, struct p2m *p2m, atomic64_t *entry, gfn_t gfn, u64 word)
{
	*ref = {.p2m = p2m,
		.entry = entry,
		.gfn = gfn,
		.page = entry_page(word),
		.type = entry_type(word)};
}

static int get_counted(struct p2m *p2m, atomic64_t *entry, gfn_t gfn, struct gfn_ref *ref)
{
	s64 word = atomic64_read(entry);

	for (;;) {
		if (unlikely((u64)word & P2M_INTENT)) {
			wait_for_updater(p2m, entry);
			word = atomic64_read(entry);
			continue;
		}
		BUG_ON(((u64)word & P2M_COUNT) == P2M_COUNT);
		/* Acquire: pairs with p2m_commit(); what the updater did is done. */
		if (try_cmpxchg_acquire(&entry->counter, &word, word + (s64)P2M_COUNT_ONE))
			break;
	}
	fill_ref(ref, p2m, entry, gfn, (u64)word);
	return 0;
}

/* Return: for unlock_after_lookup(). One of two locks: more than the analysis can follow. */
static unsigned int lock_for_lookup(struct p2m *p2m) __no_thread_safety_analysis
{
	if (p2m->config.policy == P2M_PERCPU_RWLOCK)
		return percpu_down_read(&p2m->percpu);
	down_read(&p2m->rwlock);
	return 0;
}

static void unlock_after_lookup(struct p2m *p2m, unsigned int slot) __no_thread_safety_analysis
{
	if (p2m->config.policy == P2M_PERCPU_RWLOCK)
		percpu_up_read(&p2m->percpu, slot);
	else
		up_read(&p2m->rwlock);
}

static int get_locked(struct p2m *p2m, atomic64_t *entry, gfn_t gfn, struct gfn_ref *ref)
{
	const unsigned int slot = lock_for_lookup(p2m);

	fill_ref(ref, p2m, entry, gfn, entry_read(entry));
	if (ref->page && !get_page_unless_zero(ref->page))
		ref->page = nullptr;
	unlock_after_lookup(p2m, slot);
	return 0;
}

int get_gfn(struct p2m *p2m, gfn_t gfn, struct gfn_ref *ref)
{
	atomic64_t *entry;

	*ref = {};
	if (unlikely(!p2m_gfn_valid(p2m, gfn)))
		return -EINVAL;
	entry = p2m_entry(p2m, gfn);
	if (unlikely(!entry))
		return -ENOMEM;
	return is_counted(p2m) ? get_counted(p2m, entry, gfn, ref)
			       : get_locked(p2m, entry, gfn, ref);
}

void p2m_drop_count(struct p2m *p2m, atomic64_t *entry)
{
	/* Ordered after what the holder did with the frame; pairs with drained(). */
	const u64 word = (u64)atomic64_fetch_sub((s64)P2M_COUNT_ONE, entry);

	BUG_ON(!(word & P2M_COUNT));
	wake_waiters(p2m, entry, word);
}

void put_gfn(struct gfn_ref *ref)
{
	if (!ref->entry)
		return;
	if (is_counted(ref->p2m))
		p2m_drop_count(ref->p2m, ref->entry);
	else if (ref->page)
		put_page(ref->page);
	*ref = {};
}

int get_two_gfns(struct p2m *p2m, gfn_t a, gfn_t b, struct gfn_ref *ref_a, struct gfn_ref *ref_b)
{
	const bool swap = b.val < a.val;
	struct gfn_ref *first = swap ? ref_b : ref_a, *second = swap ? ref_a : ref_b;
	int err = get_gfn(p2m, swap ? b : a, first);

	if (err)
		return err;
	if (a.val != b.val) {
		err = get_gfn(p2m, swap ? a : b, second);
		if (err)
			put_gfn(first);
		return err;
	}
	/* Held already: a new lookup could wait for an updater that waits for this one. */
	*second = *first;
	if (is_counted(p2m))
		atomic64_add((s64)P2M_COUNT_ONE, first->entry);
	else if (first->page)
		get_page(first->page);
	return 0;
}

/* ---- updates ---- */

struct bound {
	unsigned long end;
	enum p2m_wait wait;
};

/* Jiffies left; 0: give up. */
static long time_left(const struct bound *bound)
{
	const long left = (long)(bound->end - jiffies);

	return bound->wait == P2M_TRY || left <= 0 ? 0 : left;
}

/* Sets intent. -EAGAIN: somebody else has it, for longer than the bound or, with @own, at all. */
static int take_intent(struct p2m *p2m, atomic64_t *entry, const struct bound *bound,
		       unsigned int own)
{
	s64 word = atomic64_read(entry);

	for (;;) {
		if (!((u64)word & P2M_INTENT)) {
			if (atomic64_try_cmpxchg(entry, &word, (s64)((u64)word | P2M_INTENT)))
				return 0;
			continue;
		}
		/*
		 * The other one waits for our count. Mutant: Andres's promotion waits too, each for
		 * the other's.
		 */
		if (own && KSHIM_MUTANT(p2m_promote_waits)) {
			wait_for_updater(p2m, entry);
		} else {
			const long left = own ? 0 : time_left(bound);

			if (!left)
				return -EAGAIN;
			(void)wait_event_timeout(*p2m_queue(p2m, entry),
						 has_changed(entry, P2M_INTENT, P2M_INTENT), left);
		}
		word = atomic64_read(entry);
	}
}

/* With intent set: until nobody holds it but @own and foreign mappings that may stay. */
static int wait_until_alone(struct p2m_update *u, const struct bound *bound, unsigned int own)
{
	struct p2m *p2m = u->p2m;
	const bool revoke = bound->wait == P2M_REVOKE && p2m->config.revoke;

	for (;;) {
		u64 word = entry_read(u->entry);
		unsigned int stay = 0;
		long left;

		if (word & P2M_FOREIGN)
			stay = p2m_foreign_settle(p2m, u->gfn, u->entry, &u->target, revoke, &word);
		if ((word & P2M_COUNT) <= own + stay)
			return 0;
		left = time_left(bound);
		if (own && KSHIM_MUTANT(p2m_promote_waits)) {
			wait_event(*p2m_queue(p2m, u->entry),
				   has_changed(u->entry, P2M_COUNT, word));
			continue;
		}
		if (!left)
			return -EAGAIN;
		(void)wait_event_timeout(*p2m_queue(p2m, u->entry),
					 has_changed(u->entry, P2M_COUNT, word), left);
	}
}

/* Ends the update; the content becomes @content. */
static void release_intent(struct p2m *p2m, atomic64_t *entry, u64 content)
{
	s64 word = atomic64_read(entry);
	u64 next;

	do {
		next = ((u64)word & (P2M_COUNT | P2M_FOREIGN)) | content;
	} while (!atomic64_try_cmpxchg(entry, &word, (s64)next));
	wake_waiters(p2m, entry, (u64)word);
}

static int begin_counted(struct p2m_update *u, p2m_judge_fn judge, void *arg,
			 const struct bound *bound, unsigned int own)
{
	int err = take_intent(u->p2m, u->entry, bound, own);

	if (err)
		return err;
	u->old = entry_read(u->entry) & P2M_CONTENT;
	err = judge(u->old, &u->target, arg);
	if (!err)
		err = wait_until_alone(u, bound, own);
	if (err)
		release_intent(u->p2m, u->entry, u->old);
	return err;
}

static bool lock_for_update(struct p2m *p2m, enum p2m_wait wait) __no_thread_safety_analysis
{
	const bool percpu = p2m->config.policy == P2M_PERCPU_RWLOCK;

	if (wait == P2M_TRY)
		return percpu ? percpu_down_write_trylock(&p2m->percpu)
			      : down_write_trylock(&p2m->rwlock);
	if (percpu)
		percpu_down_write(&p2m->percpu);
	else
		down_write(&p2m->rwlock);
	return true;
}

static void unlock_after_update(struct p2m *p2m) __no_thread_safety_analysis
{
	if (p2m->config.policy == P2M_PERCPU_RWLOCK)
		percpu_up_write(&p2m->percpu);
	else
		up_write(&p2m->rwlock);
}

/* Who holds the page is not asked: that the frame stays is all that was promised. */
static int begin_locked(struct p2m_update *u, p2m_judge_fn judge, void *arg, enum p2m_wait wait)
{
	struct p2m *p2m = u->p2m;
	u64 word;
	int err;

	if (!lock_for_update(p2m, wait))
		return -EAGAIN;
	word = entry_read(u->entry);
	u->old = word & P2M_CONTENT;
	err = judge(u->old, &u->target, arg);
	if (err)
		unlock_after_update(p2m);
	else if (word & P2M_FOREIGN)
		(void)p2m_foreign_settle(p2m, u->gfn, u->entry, &u->target,
					 wait == P2M_REVOKE && p2m->config.revoke, &word);
	return err;
}

int p2m_begin(struct p2m *p2m, gfn_t gfn, p2m_judge_fn judge, void *arg, enum p2m_wait wait,
	      unsigned int own, struct p2m_update *u)
{
	const struct bound bound = {.end = jiffies + usecs_to_jiffies(p2m->config.bound_us),
				    .wait = wait};
	int err;

	*u = {.p2m = p2m, .entry = nullptr, .gfn = gfn, .old = 0, .target = {}};
	if (!p2m_gfn_valid(p2m, gfn))
		return -EINVAL;
	u->entry = p2m_entry(p2m, gfn);
	if (!u->entry)
		return -ENOMEM;
	err = is_counted(p2m) ? begin_counted(u, judge, arg, &bound, own)
			      : begin_locked(u, judge, arg, wait);
	if (err == -EAGAIN && wait != P2M_TRY)
		__atomic_fetch_add(&p2m->timeouts, 1, __ATOMIC_RELAXED);
	return err;
}

void p2m_abort(struct p2m_update *u)
{
	if (is_counted(u->p2m))
		release_intent(u->p2m, u->entry, u->old);
	else
		unlock_after_update(u->p2m);
}

static void count_resident(struct p2m *p2m, bool more)
{
	const s64 resident = atomic_long_add_return(more ? 1 : -1, &p2m->resident);

	if (more && (unsigned long)resident > READ_ONCE(p2m->limit))
		p2m_paging_wake(p2m);
}

void p2m_commit(struct p2m_update *u)
{
	const struct p2m_target *to = &u->target;
	struct p2m *p2m = u->p2m;
	const u64 content = entry_make(to->type, to->page, to->owned);

	p2m_view_follow(p2m, u->gfn, u->old, to);
	p2m_foreign_redirect(p2m, u->gfn, u->entry, to);
	/* With a lock: only foreign_lock's holders change the rest of the word. */
	release_intent(p2m, u->entry, content);
	if (!is_counted(p2m))
		unlock_after_update(p2m);
	if (to->owned != !!(u->old & P2M_OWNED))
		count_resident(p2m, to->owned);
}

int p2m_change(struct p2m *p2m, gfn_t gfn, p2m_judge_fn judge, void *arg, enum p2m_wait wait,
	       u64 *old)
{
	struct p2m_update u;
	int err = p2m_begin(p2m, gfn, judge, arg, wait, 0, &u);

	if (err)
		return err;
	p2m_commit(&u);
	if (old)
		*old = u.old;
	return 0;
}
