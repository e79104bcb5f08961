/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen/paging.h - guest frames on a disk: the hypervisor's part, and the pager's
 *
 *      guest's access -> populate -> ring -> pager: read the slot -> prep -> ring -> guest goes on
 *      pager: nominate -> write the slot -> evict: the frame's memory is the host's again
 *
 *                nominate         evict
 *        rw ------------> out ----------> paged
 *         ^                | populate       | populate         every operation on every state:
 *         |                v                v                  xen/paging_table.cc
 *         +-- resume -- in, frame          in
 *         +-- prep --------+<----- prep ----+                  drop: from all four, to nothing
 *
 * G1. What the guest reads is what it stored last, or the access fails: never anything else.
 * G2. p2m_stats::paged is the number of entries without a frame that is on the disk.
 * G3. An event of a guest's vcpu is never lost: it claims its slot in the ring before it changes
 *     anything, and sleeps while there is none. A foreign domain is refused instead.
 * G4. A frame is only nominated, and only evicted, when nobody has a reference to it but the p2m.
 * G5. The content becomes visible with the entry, and not before: it is copied into a frame that
 *     nobody has.
 */
#ifndef KSHIM_XEN_PAGING_H
#define KSHIM_XEN_PAGING_H

#include <xen/p2m.h>

struct p2m_pager;
struct swap_file;

/* ---- the hypervisor's part ---- */

enum paging_op {
	PAGING_NOMINATE,         /* rw -> out: it may still be loaded from */
	PAGING_EVICT,            /* out -> paged: the frame goes */
	PAGING_POPULATE,         /* a vcpu needs it: asks the pager and waits */
	PAGING_POPULATE_FOREIGN, /* somebody else needs it: asks once */
	PAGING_PREP,             /* in, paged -> rw with this content */
	PAGING_PREP_EMPTY,       /* the same without content: for a frame that is still there */
	PAGING_RESUME,           /* the pager has answered */
	PAGING_DROP,             /* the guest gives the gfn away */
	PAGING_BREAK,            /* the content is lost: accesses fail from now on */
	PAGING_OPS,
};

/* Types as states, and one more: on its way in with its frame, because it was never evicted. */
constexpr unsigned int PAGING_IN_WITH_FRAME = P2M_TYPES;
constexpr unsigned int PAGING_STATES = P2M_TYPES + 1;

/* What the table says: 0 or -errno, and the state after it. */
struct paging_rule {
	int err;
	unsigned int next;
};
struct paging_rule paging_rule(enum paging_op op, unsigned int state);
const char *paging_op_name(enum paging_op op);

struct p2m_paging_config {
	unsigned int nr_vcpus = 64; /* that may wait at the same time */
	unsigned int nr_slots = 0;  /* of the ring; 0: as many as fit into its page (8) */
};

/* Switches paging on. -EBUSY: it is on; -ENOMEM. */
[[nodiscard]] int p2m_paging_enable(struct p2m *p2m, const struct p2m_paging_config *config);
/* Nobody pages any more; an entry that is paged out stays so, and accesses to it fail. */
void p2m_paging_disable(struct p2m *p2m);

/*
 * The operations, for a pager. Return: what the table says, and -EINVAL (no gfn of this guest).
 *
 * p2m_paging_nominate - also -EBUSY: somebody has a reference; foreign mappings are revoked
 * p2m_paging_evict - the same
 * p2m_paging_prep - @buffer: a page, null for PAGING_PREP_EMPTY; also -ENOMEM, -EFAULT
 * p2m_paging_cancel - undo a nomination, if it is still one
 * p2m_paging_break - give up what cannot be read
 */
[[nodiscard]] int p2m_paging_nominate(struct p2m *p2m, gfn_t gfn);
[[nodiscard]] int p2m_paging_evict(struct p2m *p2m, gfn_t gfn);
[[nodiscard]] int p2m_paging_prep(struct p2m *p2m, gfn_t gfn, const void *buffer);
void p2m_paging_cancel(struct p2m *p2m, gfn_t gfn);
[[nodiscard]] int p2m_paging_break(struct p2m *p2m, gfn_t gfn);

/* Asks for @gfn: PAGING_POPULATE_FOREIGN. Also -EAGAIN: no room in the ring; -ENODEV: it is off. */
[[nodiscard]] int p2m_paging_populate(struct p2m *p2m, gfn_t gfn);
/*
 * The guest gives @gfn away, which is paged out or on its way: PAGING_DROP. A slot in the ring is
 * waited for, when there is a ring. -EAGAIN: the entry was held for too long.
 */
[[nodiscard]] int p2m_paging_drop(struct p2m *p2m, gfn_t gfn, enum p2m_wait wait);

/* An event, as the pager sees it. */
struct paging_event {
	gfn_t gfn;
	u32 vcpu;
	bool paused;     /* the vcpu waits for the answer */
	bool drop;       /* forget the content */
	bool evict_fail; /* its frame is still there: only to be resumed */
};

/* Takes the next event. False: there is none. One pager. */
bool p2m_paging_next_event(struct p2m *p2m, struct paging_event *event);
/*
 * Sleeps until there is one, until p2m_paging_wake(), until the calling kthread is to stop, or for
 * @timeout jiffies.
 */
void p2m_paging_wait_event(struct p2m *p2m, unsigned long timeout);
void p2m_paging_wake(struct p2m *p2m);
/* PAGING_RESUME; gives the event's slot back and lets its vcpu go on. */
void p2m_paging_respond(struct p2m *p2m, const struct paging_event *event);

/* ---- the pager ---- */

struct p2m_pager_config {
	unsigned long limit = ~0ul;       /* frames that may be resident */
	struct swap_file *swap = nullptr; /* the caller's */
	unsigned long protect = 0; /* so many gfns that were paged in last stay; 0: limit / 8 */
	/* Evicts frames of [random_first, random_first + random_nr) at random, all the time. */
	unsigned long random_first = 0, random_nr = 0;
	u64 seed = 1;
};

/*
 * A thread that evicts above the limit and pages in. Paging must be on. ERR_PTR(-EINVAL),
 * ERR_PTR(-ENOMEM).
 */
struct p2m_pager *p2m_pager_start(struct p2m *p2m, const struct p2m_pager_config *config);
/* Brings everything back that can be, and ends the thread. Accepts null and ERR_PTR. */
void p2m_pager_stop(struct p2m_pager *pager);

/*
 * Evicts @gfn now, in the caller's thread. 0; -EBUSY: somebody has it, or it is no such frame;
 * -ENOSPC: no slot is free; what the swap file says.
 */
[[nodiscard]] int p2m_pager_evict(struct p2m_pager *pager, gfn_t gfn);

struct p2m_pager_stats {
	u64 page_ins, page_outs;
	u64 drops, evict_fails;
	u64 busy;         /* frames that could not be nominated or evicted */
	u64 write_errors; /* the frame stayed */
	u64 read_errors;  /* tried again */
	u64 broken;       /* gfns given up */
};
void p2m_pager_stats(struct p2m_pager *pager, struct p2m_pager_stats *stats);

#endif
