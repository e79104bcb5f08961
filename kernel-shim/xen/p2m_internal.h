/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * p2m_internal.h - what the files of the p2m share
 *
 *      p2m_tree.cc       the radix tree, making and destroying a p2m
 *      p2m_entry.cc      holding an entry, changing one: the three policies
 *      p2m.cc            what changes mean: populate, change, remove, promote
 *      p2m_logdirty.cc   the frames stored to
 *      p2m_view.cc       the guest's own mapping
 *      p2m_foreign.cc    another domain's mappings
 *      paging_internal.h frames on a disk
 *
 *      entry:  63            28 27  24  23     22       21      20    19       0
 *              | frame number  | type | owned | foreign | waited | intent | count |
 *
 * E1. count + 1 needs intent clear, in one step (cmpxchg). So with intent set and count 0 there is
 *     no lookup, and the updater has the entry for itself.
 * E2. Only who set intent changes frame, type and owned; it clears intent in the same step.
 * E3. waited is set by those who sleep until the entry changes, only while intent is set, before
 *     they look once more; the updater clears it with intent and wakes them. Who drops a count and
 *     sees waited wakes them too.
 * E4. foreign is set while mappings of the gfn are in the index; protected by foreign_lock.
 *
 * Locks: an entry's intent, or the policy's lock -> foreign_lock (mutex) -> the mmu's. An entry's
 * count is held over foreign_lock by who maps; nobody takes an entry under foreign_lock.
 */
#ifndef KSHIM_XEN_P2M_INTERNAL_H
#define KSHIM_XEN_P2M_INTERNAL_H

#include <kshim/machine.h>
#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/wait.h>
#include <xen/p2m.h>

#include "percpu_rwlock.h"

constexpr u64 P2M_COUNT_ONE = 1;
constexpr u64 P2M_COUNT = (1ull << 20) - 1;
constexpr u64 P2M_INTENT = 1ull << 20;
constexpr u64 P2M_WAITED = 1ull << 21;
constexpr u64 P2M_FOREIGN = 1ull << 22;
constexpr u64 P2M_OWNED = 1ull << 23;
constexpr unsigned int P2M_TYPE_SHIFT = 24;
constexpr u64 P2M_TYPE = 15ull << P2M_TYPE_SHIFT;
constexpr unsigned int P2M_FRAME_SHIFT = 28;
constexpr u64 P2M_NO_FRAME = (1ull << (64 - P2M_FRAME_SHIFT)) - 1;

static inline enum p2m_type entry_type(u64 word)
{
	return (enum p2m_type)((word & P2M_TYPE) >> P2M_TYPE_SHIFT);
}

static inline struct page *entry_page(u64 word)
{
	u64 frame = word >> P2M_FRAME_SHIFT;

	return frame == P2M_NO_FRAME ? nullptr : mfn_to_page(_mfn(frame));
}

static inline u64 entry_make(enum p2m_type type, const struct page *page, bool owned)
{
	u64 frame = page ? page_to_mfn(page).val : P2M_NO_FRAME;

	return frame << P2M_FRAME_SHIFT | (u64)type << P2M_TYPE_SHIFT | (owned ? P2M_OWNED : 0);
}

/* What entry_make() makes. */
constexpr u64 P2M_CONTENT = ~(P2M_COUNT | P2M_INTENT | P2M_WAITED | P2M_FOREIGN);

static inline u64 entry_read(const atomic64_t *entry)
{
	return (u64)atomic64_read_acquire(entry);
}

/* A node: 512 children, or entries at the lowest level. */
constexpr unsigned int P2M_LEVEL_BITS = 9;
constexpr unsigned long P2M_NODE_ENTRIES = 1ul << P2M_LEVEL_BITS;

struct p2m_node {
	union {
		struct p2m_node *children[P2M_NODE_ENTRIES];
		atomic64_t entries[P2M_NODE_ENTRIES];
	};
};

constexpr unsigned int P2M_WAIT_QUEUES = 16;
constexpr unsigned int P2M_FOREIGN_BUCKETS = 256;

struct p2m_view {
	struct p2m *p2m;
	struct list_head node; /* protected by p2m->view_lock */
	unsigned long first, nr;
	struct mmu_area *area;
	u32 closing; /* nothing is installed any more */
};

struct p2m {
	/* Constant. */
	struct p2m_config config;
	unsigned int levels;

	struct p2m_node *root; /* made with the first entry, as all nodes; lives as long as we do */

	/* Policies with a lock. */
	struct rw_semaphore rwlock;
	struct percpu_rwlock percpu;

	/* Who waits for an entry; which one its address says. */
	wait_queue_head_t queues[P2M_WAIT_QUEUES];

	struct mutex foreign_lock;
	struct list_head foreign_maps;                        /* protected by foreign_lock, as */
	struct hlist_head foreign_index[P2M_FOREIGN_BUCKETS]; /* these two */
	u64 foreign_frames, nr_foreign_maps;

	struct rw_semaphore view_lock;
	struct list_head views; /* protected by view_lock */

	struct p2m_paging *paging; /* null: nobody pages; atomic, as the next */
	atomic_t paging_users;     /* who may look at it */
	wait_queue_head_t paging_wq;

	unsigned long *dirty; /* null: log-dirty is off; a bit a gfn */

	/* Counters, atomic. */
	u64 revocations, redirections, timeouts;
	atomic_long_t paged;
	atomic_long_t resident; /* frames that the p2m owns */
	unsigned long limit;    /* above it the pager is woken */
};

/* Of a gfn of this guest; its node is made when it is not there. Null: no memory. */
atomic64_t *p2m_entry(struct p2m *p2m, gfn_t gfn);
/* Null: no node yet, so the entry is what it was at the beginning. */
atomic64_t *p2m_find_entry(struct p2m *p2m, gfn_t gfn);
/* What the entry of @gfn is at the beginning. */
u64 p2m_initial_entry(const struct p2m *p2m, unsigned long gfn);
/* Is it one of this guest's? */
bool p2m_gfn_valid(const struct p2m *p2m, gfn_t gfn);

/* What an entry is to become. */
struct p2m_target {
	enum p2m_type type;
	struct page *page;
	bool owned;
	bool alone; /* no foreign mapping may stay, whatever it may do */
};

/*
 * p2m_entry.cc: an entry for its updater alone.
 *
 * @judge: from what is there, which does not change any more, says what it shall be, or an error.
 * @own: counts that the caller itself has (p2m_promote). Foreign mappings that the target still
 * allows stay. 0; -EAGAIN; what @judge said; -EINVAL, -ENOMEM.
 */
typedef int (*p2m_judge_fn)(u64 old, struct p2m_target *target, void *arg);
struct p2m_update {
	struct p2m *p2m;
	atomic64_t *entry;
	gfn_t gfn;
	u64 old; /* the content as it is */
	struct p2m_target target;
};
[[nodiscard]] int p2m_begin(struct p2m *p2m, gfn_t gfn, p2m_judge_fn judge, void *arg,
			    enum p2m_wait wait, unsigned int own, struct p2m_update *update);
/* The guest's mapping and redirected foreign ones follow; then lookups see it. */
void p2m_commit(struct p2m_update *update);
void p2m_abort(struct p2m_update *update);

/* Both. *@old: null, or gets the content that was there. */
[[nodiscard]] int p2m_change(struct p2m *p2m, gfn_t gfn, p2m_judge_fn judge, void *arg,
			     enum p2m_wait wait, u64 *old);

/* A count that a foreign mapping took over goes. Under foreign_lock. */
void p2m_drop_count(struct p2m *p2m, atomic64_t *entry);

/* Who waits until @entry changes waits here: see E3. */
wait_queue_head_t *p2m_queue(struct p2m *p2m, const atomic64_t *entry);

/*
 * p2m_foreign.cc. Settles mappings of the gfn before an update to @target: revokes what it does
 * not allow when @revoke. Return: how many stay that it allows; *@word: the entry, read under the
 * same lock.
 */
unsigned int p2m_foreign_settle(struct p2m *p2m, gfn_t gfn, atomic64_t *entry,
				const struct p2m_target *target, bool revoke, u64 *word);
/* After the update: mappings that follow their gfn get its new frame. */
void p2m_foreign_redirect(struct p2m *p2m, gfn_t gfn, atomic64_t *entry,
			  const struct p2m_target *target);

/* p2m_view.cc: what the guest's mapping has and @target does not allow is taken away. */
void p2m_view_follow(struct p2m *p2m, gfn_t gfn, u64 old, const struct p2m_target *target);

/* p2m_logdirty.cc */
static inline bool p2m_logdirty_on(const struct p2m *p2m)
{
	return READ_ONCE(p2m->dirty) != nullptr;
}
void p2m_mark_dirty(struct p2m *p2m, gfn_t gfn);
/* A frame that is rw is this. */
static inline enum p2m_type p2m_rw_type(const struct p2m *p2m)
{
	return p2m_logdirty_on(p2m) ? p2m_ram_logdirty : p2m_ram_rw;
}

/*
 * paging.cc. Brings @gfn back, which the caller saw in a paging state, or waits until somebody has;
 * @guest: a vcpu needs it and waits for as long as it takes. Nothing is held. 0: look again;
 * -EAGAIN: the pager did not answer in time; -ENOENT: nobody pages.
 */
[[nodiscard]] int p2m_page_in(struct p2m *p2m, gfn_t gfn, bool guest);

/* p2m_view.cc: has the guest used its mapping of @gfn since the last call? False: it has none. */
bool p2m_view_test_and_clear_young(struct p2m *p2m, gfn_t gfn);

#endif
