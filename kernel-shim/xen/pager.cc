/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pager.cc - which frames go to the disk, and when they come back
 *
 *      clock     0 1 2 3 4 5 6 7 ... nr_gfns     evicts what was not used since it came by last
 *                      ^ hand
 *      mru       the gfns that were paged in last: not evicted
 *      slots     gfn -> slot of the swap file    a bitmap says which are taken
 *
 *      loop      all events; then, above the limit, at most EVICT_BATCH frames; sleep
 *
 * P1. A slot belongs to its gfn from the write until the content is back in a frame, or was
 *     dropped, or is lost. A gfn that has a slot is not evicted: an event about the old one is on
 *     its way.
 * P2. What was written is what is evicted: from nominate on a store takes the nomination away, and
 *     then evict fails.
 * P3. A read that failed is made again; after READ_TRIES the gfn is broken, and its accesses fail.
 *     A write that failed leaves the frame where it is.
 * P4. Every event is answered, whatever became of it.
 * Lock: lock (mutex), all of it; held while an entry's update is waited for and while the disk
 *     works, so nobody may take it who holds an entry.
 *
 * KSHIM: xenpaging's batch of 42, its protection of what came in last, and its cyclic clock are
 * here; it had no idea which frames are used. It slept for a second when there was no memory for a
 * page to come in; here another frame goes out for it.
 */
#include <kshim/mutant.h>
#include <kshim/swap.h>
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "paging_internal.h"

constexpr unsigned int EVICT_BATCH = 42;
constexpr unsigned int READ_TRIES = 8;
/* When there was nothing that could be evicted, or by chance: until the next try. */
constexpr unsigned long EVICT_PAUSE = HZ / 1000;
constexpr u32 NO_SLOT = ~0u;

struct p2m_pager {
	struct p2m *p2m;
	struct p2m_pager_config config;
	struct task_struct *thread;

	struct mutex lock;
	/* Protected by lock, as all that follows. */
	unsigned long hand;
	u64 random;
	void *buffer;              /* a page */
	u32 *slot_of;              /* of each gfn; NO_SLOT */
	unsigned long *slots;      /* taken */
	unsigned long slot_hint;   /* where the search begins */
	unsigned long *protected_; /* gfns in mru */
	u32 *mru;
	unsigned long nr_mru, mru_next;
	struct p2m_pager_stats stats;
};

/* ---- slots ---- */

static u32 take_slot(struct p2m_pager *pager)
{
	const unsigned long nr = pager->config.swap->nr_slots;

	unsigned long slot = find_next_zero_bit(pager->slots, nr, pager->slot_hint);

	if (slot >= nr)
		slot = find_first_zero_bit(pager->slots, nr);
	if (slot >= nr)
		return NO_SLOT;
	__set_bit(slot, pager->slots);
	pager->slot_hint = slot + 1;
	return (u32)slot;
}

static void free_slot(struct p2m_pager *pager, gfn_t gfn)
{
	u32 *slot = &pager->slot_of[gfn.val];

	if (*slot == NO_SLOT)
		return;
	__clear_bit(*slot, pager->slots);
	*slot = NO_SLOT;
}

/* ---- what came in last ---- */

static void protect(struct p2m_pager *pager, gfn_t gfn)
{
	u32 *oldest;

	if (!pager->nr_mru || test_bit(gfn.val, pager->protected_))
		return;
	oldest = &pager->mru[pager->mru_next++ % pager->nr_mru];
	if (*oldest != NO_SLOT)
		__clear_bit(*oldest, pager->protected_);
	*oldest = (u32)gfn.val;
	__set_bit(gfn.val, pager->protected_);
}

/* ---- out ---- */

/* The nominated frame's content, into its slot. */
static int write_out(struct p2m_pager *pager, gfn_t gfn, u32 slot)
{
	struct page *page = nullptr;
	int err = -EBUSY;

	{
		held_gfn held(pager->p2m, gfn);

		if (!held.error() && held.type() == p2m_ram_paging_out &&
		    get_page_unless_zero(held.page()))
			page = held.page();
	}
	if (!page)
		return err;
	err = pager->config.swap->ops->write(pager->config.swap, slot, page_address(page));
	put_page(page);
	return err;
}

static int evict_locked(struct p2m_pager *pager, gfn_t gfn) __must_hold(&pager->lock)
{
	u32 slot;
	int err;

	if (pager->slot_of[gfn.val] != NO_SLOT)
		return -EBUSY; /* P1 */
	err = p2m_paging_nominate(pager->p2m, gfn);
	if (err)
		goto busy;
	slot = take_slot(pager);
	if (slot == NO_SLOT) {
		err = -ENOSPC;
		goto cancel;
	}
	pager->slot_of[gfn.val] = slot;
	err = write_out(pager, gfn, slot);
	if (err)
		goto drop_slot;
	err = p2m_paging_evict(pager->p2m, gfn);
	if (err)
		goto drop_slot;
	pager->stats.page_outs++;
	return 0;

drop_slot:
	free_slot(pager, gfn);
cancel:
	p2m_paging_cancel(pager->p2m, gfn);
	if (err != -EBUSY) {
		pager->stats.write_errors++;
		return err;
	}
busy:
	pager->stats.busy++;
	return err;
}

int p2m_pager_evict(struct p2m_pager *pager, gfn_t gfn)
{
	if (gfn.val >= p2m_nr_gfns(pager->p2m))
		return -EINVAL;
	guard(mutex)(&pager->lock);
	return evict_locked(pager, gfn);
}

static bool is_candidate(struct p2m_pager *pager, gfn_t gfn)
{
	return p2m_is(p2m_peek_type(pager->p2m, gfn), P2M_PAGEABLE) &&
	       !test_bit(gfn.val, pager->protected_) && pager->slot_of[gfn.val] == NO_SLOT &&
	       !p2m_view_test_and_clear_young(pager->p2m, gfn);
}

static bool above_limit(const struct p2m_pager *pager)
{
	const s64 resident = atomic_long_read(&pager->p2m->resident);

	return resident > 0 && (unsigned long)resident > pager->config.limit;
}

/* Goes on with the clock until a frame is out. False: twice around, and none could be. */
static bool evict_one(struct p2m_pager *pager) __must_hold(&pager->lock)
{
	const unsigned long nr = p2m_nr_gfns(pager->p2m);

	for (unsigned long i = 0; i < 2 * nr; i++) {
		const gfn_t gfn = _gfn(pager->hand);

		pager->hand = (pager->hand + 1) % nr;
		if (is_candidate(pager, gfn) && !evict_locked(pager, gfn))
			return true;
	}
	return false;
}

/* Splitmix64. */
static u64 next_random(struct p2m_pager *pager)
{
	u64 x = pager->random += 0x9e3779b97f4a7c15ull;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static void evict_at_random(struct p2m_pager *pager) __must_hold(&pager->lock)
{
	const unsigned long first = pager->config.random_first, nr = pager->config.random_nr;

	if (nr)
		(void)evict_locked(pager, _gfn(first + next_random(pager) % nr));
}

/* ---- in ---- */

/* 0: the content is in the buffer. */
static int read_in(struct p2m_pager *pager, u32 slot)
{
	int err = -EIO;

	for (unsigned int i = 0; err && i < READ_TRIES; i++) {
		err = pager->config.swap->ops->read(pager->config.swap, slot, pager->buffer);
		if (err)
			pager->stats.read_errors++;
	}
	return err;
}

static void lose(struct p2m_pager *pager, gfn_t gfn, int err)
{
	pr_err("pager: gfn %#lx cannot be read from the swap file (error %d): accesses to it fail "
	       "from now on\n",
	       gfn.val, err);
	if (!p2m_paging_break(pager->p2m, gfn))
		pager->stats.broken++;
}

/* Brings the content back, if it is not back or given up already. */
static int load_locked(struct p2m_pager *pager, gfn_t gfn) __must_hold(&pager->lock)
{
	const u32 slot = pager->slot_of[gfn.val];
	int err;

	if (slot == NO_SLOT) {
		/* Back already, or never gone; else whoever waits must not wait for ever. */
		if (WARN(!p2m_paging_break(pager->p2m, gfn),
			 "pager: the slot of gfn %#lx is lost\n", gfn.val))
			pager->stats.broken++;
		return -ENOENT;
	}
	err = read_in(pager, slot);
	if (err) {
		lose(pager, gfn, err);
		free_slot(pager, gfn);
		return err;
	}
	/* Another one goes out for it. EAGAIN: somebody holds the entry, and will put it. */
	do {
		err = p2m_paging_prep(pager->p2m, gfn, pager->buffer);
		if (err == -ENOMEM && !evict_one(pager))
			break;
	} while (err == -ENOMEM || err == -EAGAIN);
	if (err)
		return err;
	free_slot(pager, gfn);
	protect(pager, gfn);
	pager->stats.page_ins++;
	return 0;
}

static void serve(struct p2m_pager *pager, const struct paging_event *event)
	__must_hold(&pager->lock)
{
	int err = 0;

	if (event->drop) {
		/*
		 * P1: if it was on the disk, this is still its slot. If it was not, a slot that is
		 * there now is that of a frame which came after it. Mutant: freed all the same.
		 */
		if (!event->evict_fail || KSHIM_MUTANT(paging_drop_frees))
			free_slot(pager, event->gfn);
		pager->stats.drops++;
	} else if (event->evict_fail) {
		err = p2m_paging_prep(pager->p2m, event->gfn, nullptr);
		pager->stats.evict_fails++;
	} else {
		err = load_locked(pager, event->gfn);
	}
	/* ENOENT: it was answered to another one already, or dropped. The guest looks again. */
	if (err && err != -ENOENT && err != -EINVAL)
		pr_debug("pager: gfn %#lx: error %d\n", event->gfn.val, err);
	p2m_paging_respond(pager->p2m, event); /* P4 */
}

/* How long until there is something to do again without being told. */
static unsigned long work(struct p2m_pager *pager)
{
	struct paging_event event;
	unsigned int evicted = 0;
	guard(mutex)(&pager->lock);

	while (p2m_paging_next_event(pager->p2m, &event))
		serve(pager, &event);
	evict_at_random(pager);
	while (evicted < EVICT_BATCH && above_limit(pager)) {
		if (!evict_one(pager))
			return EVICT_PAUSE;
		evicted++;
	}
	if (above_limit(pager))
		return 0;
	return pager->config.random_nr ? EVICT_PAUSE : MAX_SCHEDULE_TIMEOUT;
}

static int pager_thread(void *data)
{
	auto *pager = static_cast<struct p2m_pager *>(data);

	while (!kthread_should_stop()) {
		const unsigned long pause = work(pager);

		if (pause && !kthread_should_stop())
			p2m_paging_wait_event(pager->p2m, pause);
	}
	return 0;
}

/* ---- life ---- */

static void free_pager(struct p2m_pager *pager)
{
	kvfree(pager->slot_of);
	kvfree(pager->slots);
	kvfree(pager->protected_);
	kvfree(pager->mru);
	kvfree(pager->buffer);
	kfree(pager);
}

static struct p2m_pager *alloc_pager(struct p2m *p2m, const struct p2m_pager_config *config)
{
	const unsigned long nr = p2m_nr_gfns(p2m);
	auto *pager = kzalloc_obj(struct p2m_pager, GFP_KERNEL);

	if (!pager)
		return nullptr;
	pager->p2m = p2m;
	pager->config = *config;
	pager->random = config->seed;
	mutex_init(&pager->lock);
	pager->nr_mru = config->protect ? config->protect : min(config->limit / 8, nr / 8);
	pager->slot_of = static_cast<u32 *>(kvcalloc(nr, sizeof(u32), GFP_KERNEL));
	pager->slots = static_cast<unsigned long *>(
		kvcalloc(BITS_TO_LONGS(config->swap->nr_slots), sizeof(long), GFP_KERNEL));
	pager->protected_ =
		static_cast<unsigned long *>(kvcalloc(BITS_TO_LONGS(nr), sizeof(long), GFP_KERNEL));
	pager->mru = static_cast<u32 *>(kvcalloc(pager->nr_mru + 1, sizeof(u32), GFP_KERNEL));
	pager->buffer = kvzalloc(PAGE_SIZE, GFP_KERNEL);
	if (!pager->slot_of || !pager->slots || !pager->protected_ || !pager->mru ||
	    !pager->buffer) {
		free_pager(pager);
		return nullptr;
	}
	memset(pager->slot_of, 0xff, nr * sizeof(u32));
	memset(pager->mru, 0xff, pager->nr_mru * sizeof(u32));
	return pager;
}

struct p2m_pager *p2m_pager_start(struct p2m *p2m, const struct p2m_pager_config *config)
{
	struct p2m_pager *pager;

	if (!config->swap || !config->swap->nr_slots || config->swap->nr_slots >= NO_SLOT ||
	    p2m_nr_gfns(p2m) >= NO_SLOT || config->random_first > p2m_nr_gfns(p2m) ||
	    config->random_nr > p2m_nr_gfns(p2m) - config->random_first)
		return static_cast<struct p2m_pager *>(ERR_PTR(-EINVAL));
	pager = alloc_pager(p2m, config);
	if (!pager)
		return static_cast<struct p2m_pager *>(ERR_PTR(-ENOMEM));
	pager->thread = kthread_run(pager_thread, pager, "xenpaging");
	if (IS_ERR(pager->thread)) {
		const long err = PTR_ERR(pager->thread);

		free_pager(pager);
		return static_cast<struct p2m_pager *>(ERR_PTR(err));
	}
	WRITE_ONCE(p2m->limit, config->limit);
	return pager;
}

void p2m_pager_stop(struct p2m_pager *pager)
{
	unsigned long left = 0;
	struct paging_event event;

	if (IS_ERR_OR_NULL(pager))
		return;
	WRITE_ONCE(pager->p2m->limit, ~0ul);
	/* It sleeps until it is told, or ends by itself. */
	kthread_stop(pager->thread);
	scoped_guard (mutex, &pager->lock) {
		while (p2m_paging_next_event(pager->p2m, &event))
			serve(pager, &event);
		for (unsigned long gfn = 0; gfn < p2m_nr_gfns(pager->p2m); gfn++) {
			if (pager->slot_of[gfn] != NO_SLOT && load_locked(pager, _gfn(gfn)) &&
			    p2m_is(p2m_peek_type(pager->p2m, _gfn(gfn)), P2M_PAGING))
				left++;
		}
	}
	if (left)
		pr_err("pager: %lu frames stay on the disk, where nobody finds them: there is no "
		       "memory for them\n",
		       left);
	free_pager(pager);
}

void p2m_pager_stats(struct p2m_pager *pager, struct p2m_pager_stats *stats)
{
	guard(mutex)(&pager->lock);
	*stats = pager->stats;
}
