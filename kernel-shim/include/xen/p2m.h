/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xen/p2m.h - from guest frames to machine frames, with lookups that stay true
 *
 *      gfn --radix tree, no lock--> entry [ frame | type | owned, foreign, waited, intent | count ]
 *
 *      get_gfn()      count + 1         the entry cannot change from here
 *      put_gfn()      count - 1         ... to here
 *      an update      intent, which new lookups wait for; foreign mappings are revoked; count 0;
 *                     the entry changes, the guest's own mapping of it with it; intent goes
 *
 * I1. While a lookup holds an entry neither its frame nor its type changes, and the frame is not
 *     freed (policy counted).
 * I2. An update waits at most p2m_config::bound_us for holders, whatever they do. Then it has
 *     failed with -EAGAIN and changed nothing.
 * I3. A foreign mapping is no reason to wait where revocation is on: it is replaced by scratch
 *     memory, and its holder told. Nothing faults, and nothing of the frame can be reached by it
 *     when the update goes on.
 * I4. No foreign mapping lets a store through to a frame whose entry does not allow it.
 * I5. The guest's own mapping (p2m_view) of an entry never allows more than the entry, and is gone
 *     before its frame is.
 *
 * Order: a thread that holds an entry takes another only by get_two_gfns(), lower gfn first. An
 * updater holds no other entry, or its own by p2m_promote().
 * Context: everything here may sleep, put_gfn() and the getters of counters excepted.
 *
 * KSHIM: in Xen get_gfn() takes the one lock of the p2m. This is the per-entry count that was never
 * built there; the p2m's lock and a percpu-rwlock are the other two policies, for comparison. With
 * those a lookup holds the frame and not the entry: I1 is then only "the frame is not freed", and
 * I4 does not hold.
 */
#ifndef KSHIM_XEN_P2M_H
#define KSHIM_XEN_P2M_H

#include <asm/xen/page.h>
#include <linux/types.h>

struct p2m;
struct p2m_view;
struct xen_foreign;

/* Xen's numbers. */
enum p2m_type : u8 {
	p2m_ram_rw = 0,
	p2m_invalid = 1, /* nothing there */
	p2m_ram_logdirty = 2,
	p2m_ram_ro = 3,
	p2m_mmio_dm = 4,
	p2m_mmio_direct = 5,
	p2m_populate_on_demand = 6,
	p2m_grant_map_rw = 7,
	p2m_grant_map_ro = 8,
	p2m_ram_paging_out = 9,
	p2m_ram_paged = 10,
	p2m_ram_paging_in = 11,
	p2m_ram_shared = 12,
	p2m_ram_broken = 13,
	p2m_map_foreign = 14,
	p2m_ioreq_server = 15,
	P2M_TYPES,
};

constexpr u32 p2m_type_mask(enum p2m_type type)
{
	return 1u << type;
}

constexpr u32 P2M_PAGEABLE = p2m_type_mask(p2m_ram_rw) | p2m_type_mask(p2m_ram_logdirty);
constexpr u32 P2M_PAGING = p2m_type_mask(p2m_ram_paging_out) | p2m_type_mask(p2m_ram_paged) |
			   p2m_type_mask(p2m_ram_paging_in);
/* A foreign domain may load, may store. */
constexpr u32 P2M_READABLE = P2M_PAGEABLE | p2m_type_mask(p2m_ram_ro) |
			     p2m_type_mask(p2m_ram_paging_out) | p2m_type_mask(p2m_ram_shared);
constexpr u32 P2M_WRITABLE = P2M_PAGEABLE;

static inline bool p2m_is(enum p2m_type type, u32 mask)
{
	return mask & p2m_type_mask(type);
}

const char *p2m_type_name(enum p2m_type type);

enum p2m_policy {
	P2M_COUNTED,       /* lookups count on the entry */
	P2M_RWLOCK,        /* one read-write lock, and a reference to the page (Andres, 2011) */
	P2M_PERCPU_RWLOCK, /* the same with a lock that readers of different CPUs do not share */
};

struct p2m_config {
	unsigned long nr_gfns = 0; /* gfns are below this */
	enum p2m_policy policy = P2M_COUNTED;
	bool revoke = true; /* may updates revoke foreign mappings? */
	u32 bound_us = 500; /* I2 */
	/*
	 * Gfns below this are the guest's frames of the same number from the beginning: a PV guest
	 * whose pages come from its own allocator. Who owns such a frame is not the p2m's business.
	 */
	unsigned long nr_identity = 0;
};

/* Belongs to the current machine. ERR_PTR(-EINVAL), ERR_PTR(-ENOMEM). */
struct p2m *p2m_create(const struct p2m_config *config);

/*
 * Nobody looks up, updates or maps any more; views and paging are gone. Drops the frames that the
 * p2m owns. Accepts null.
 */
void p2m_destroy(struct p2m *p2m);

unsigned long p2m_nr_gfns(const struct p2m *p2m);
/* What an entry holds just now, for reports, tests and policies: it may be old when it returns. */
enum p2m_type p2m_peek_type(struct p2m *p2m, gfn_t gfn);

/* ---- lookups ---- */

/* A held entry. Zero: holds nothing. */
struct gfn_ref {
	struct p2m *p2m;
	atomic64_t *entry; /* null: nothing is held */
	gfn_t gfn;
	struct page *page; /* null: no frame */
	enum p2m_type type;
};

/**
 * get_gfn - look a guest frame up, and keep what is found true
 *
 * Also a gfn without a frame is held: type p2m_invalid, nobody can put one there. Waits for an
 * update that is under way. Return: 0 and *@ref, to be given to put_gfn(); -EINVAL: no gfn of this
 * guest; -ENOMEM.
 */
[[nodiscard]] int get_gfn(struct p2m *p2m, gfn_t gfn, struct gfn_ref *ref);
/* Any context. Accepts what holds nothing. */
void put_gfn(struct gfn_ref *ref);

/**
 * get_two_gfns - hold two entries, in the order that all use: lower gfn first
 * One gfn twice is fine. Return: as get_gfn(), then nothing is held.
 */
[[nodiscard]] int get_two_gfns(struct p2m *p2m, gfn_t a, gfn_t b, struct gfn_ref *ref_a,
			       struct gfn_ref *ref_b);

/* Looks up, and puts at the end of the scope. */
class held_gfn
{
public:
	held_gfn(struct p2m *p2m, gfn_t gfn) : ref_{}, error_(get_gfn(p2m, gfn, &ref_)) {}
	~held_gfn() { put_gfn(&ref_); }
	held_gfn(const held_gfn &) = delete;
	held_gfn &operator=(const held_gfn &) = delete;

	int error() const { return error_; }
	struct page *page() const { return ref_.page; }
	enum p2m_type type() const { return ref_.type; }
	struct gfn_ref *ref() { return &ref_; }

private:
	struct gfn_ref ref_;
	int error_;
};

/**
 * get_page_from_gfn - for those who need the frame and not the mapping
 * @type: null, or gets the type at the moment of the lookup
 *
 * A frame that is paged out is brought back. Return: the page, with a reference; null: none.
 */
struct page *get_page_from_gfn(struct p2m *p2m, gfn_t gfn, enum p2m_type *type);

/* ---- updates ---- */

/* What an update does about holders of the entry. */
enum p2m_wait {
	P2M_TRY,    /* -EAGAIN at once */
	P2M_WAIT,   /* wait for them for bound_us, then -EAGAIN */
	P2M_REVOKE, /* the same, and foreign mappings are revoked (p2m_config::revoke) */
};

/*
 * All return 0, -EAGAIN as above, -EINVAL (no gfn of this guest), -ENOMEM, and what is said.
 *
 * p2m_populate - put @page where there is nothing. Takes over the caller's reference on success.
 *	-EEXIST: there is something.
 * p2m_change_type - from @from to @to, both with the frame that is there. -EBUSY: it is not @from.
 * p2m_change_frame - another frame, whose reference is taken over, in the place of the one that is
 *	there, whose reference is dropped. Foreign mappings that want it are redirected and not
 *	revoked. -ENOENT: there is none, or none that the p2m owns.
 * p2m_remove - take the frame away and drop the p2m's reference. -ENOENT: nothing there. A frame
 * p2m_revoke - no change, but foreign mappings of the frame are scratch memory afterwards.
 */
[[nodiscard]] int p2m_populate(struct p2m *p2m, gfn_t gfn, struct page *page, enum p2m_type type,
			       enum p2m_wait wait);
[[nodiscard]] int p2m_change_type(struct p2m *p2m, gfn_t gfn, enum p2m_type from, enum p2m_type to,
				  enum p2m_wait wait);
[[nodiscard]] int p2m_change_frame(struct p2m *p2m, gfn_t gfn, struct page *page,
				   enum p2m_wait wait);
[[nodiscard]] int p2m_remove(struct p2m *p2m, gfn_t gfn, enum p2m_wait wait);
[[nodiscard]] int p2m_revoke(struct p2m *p2m, gfn_t gfn);

/**
 * p2m_promote - who holds an entry changes its type, without letting go of it
 *
 * Waits for the other holders, for bound_us. At most one holder can be about to: for the second one
 * this is -EAGAIN at once, and it must put its own reference, since the first one waits for that.
 * (An "atomic" promotion from reader to writer that waits for the other readers deadlocks when two
 * try it: Tim Deegan's last remark in the thread.) Policy counted only: -EOPNOTSUPP.
 */
[[nodiscard]] int p2m_promote(struct gfn_ref *ref, enum p2m_type to, enum p2m_wait wait);

/* ---- log-dirty ---- */

/**
 * p2m_logdirty_start - from now on, note which frames are stored to
 * Every rw entry becomes logdirty; a store makes it rw again, and noted. -ENOMEM; -EAGAIN: an entry
 * was held for longer than the bound; then it is off again. -EBUSY: it is on.
 */
[[nodiscard]] int p2m_logdirty_start(struct p2m *p2m);
void p2m_logdirty_stop(struct p2m *p2m);
/**
 * p2m_logdirty_take - the frames stored to since the last call, and begin anew
 * @bitmap: nr_gfns bits. An entry that was held for longer than the bound stays noted.
 * Return: how many bits are set; -EINVAL: it is off.
 */
[[nodiscard]] long p2m_logdirty_take(struct p2m *p2m, unsigned long *bitmap);

/* ---- the guest's own mapping ---- */

/**
 * p2m_view_create - addresses of the guest that are its frames [first, first + nr)
 * @delivery: how its faults arrive
 *
 * A fault looks the entry up: the frame is mapped as the entry allows, brought back when it is
 * paged out, and the access fails when there is none. At most one view of a gfn.
 * ERR_PTR: -EINVAL, -ENOMEM, -EOPNOTSUPP (<kshim/mmu.h>), -EBUSY (there is a view).
 */
struct p2m_view *p2m_view_create(struct p2m *p2m, gfn_t first, unsigned long nr,
				 enum mmu_delivery delivery);
void p2m_view_destroy(struct p2m_view *view);
unsigned long p2m_view_start(const struct p2m_view *view);

/* ---- foreign mappings ---- */

enum xen_foreign_event {
	XEN_FOREIGN_REVOKED,    /* a page is scratch memory now */
	XEN_FOREIGN_REDIRECTED, /* a page is another frame now */
};

/*
 * Tells the holder; page @index of the mapping. Called in the updater's thread, after it happened,
 * under a lock: takes only innermost locks and does not call back. Never after unmap.
 */
typedef void (*xen_foreign_told_fn)(void *ctx, enum xen_foreign_event event, unsigned int index);

struct xen_foreign_config {
	bool writable = false; /* false: a store through the mapping faults */
	bool redirect = false; /* follow the gfn to another frame instead of losing it */
	xen_foreign_told_fn told = nullptr;
	void *ctx = nullptr;
};

/**
 * p2m_foreign_map - map frames of a guest, side by side, for another domain
 * @gfns: as the guest said them: each is read once, then checked
 *
 * Frames that are paged out are brought back. Return: the mapping; ERR_PTR(-EINVAL): no frame
 * there, nobody owns it, it may not be mapped so, or @nr is 0; -ENOMEM; -EAGAIN: the pager does not
 * answer.
 */
struct xen_foreign *p2m_foreign_map(struct p2m *p2m, const u64 *gfns, unsigned int nr,
				    const struct xen_foreign_config *config);
/* Accepts null and ERR_PTR. May sleep. */
void xen_foreign_unmap(struct xen_foreign *foreign);
/* Constant. Every page can be loaded from at any time, and stored to when writable. */
void *xen_foreign_addr(const struct xen_foreign *foreign);

/*
 * Using a mapping:
 *
 *	do {
 *		seq = xen_foreign_begin(f);	-EAGAIN: revoked; xen_foreign_renew(f)
 *		... load from it, store to it ...
 *	} while (xen_foreign_retry(f, seq));
 *
 * After a retry what was loaded may have been scratch memory, or another frame's, and what was
 * stored may be nowhere. The sequence moves before the mapping does: whoever read scratch memory
 * is told so.
 */
long xen_foreign_begin(const struct xen_foreign *foreign);
bool xen_foreign_retry(const struct xen_foreign *foreign, long sequence);

/**
 * xen_foreign_renew - map again what was revoked
 * Return: 0; -EINVAL: a gfn has no frame any more, or none that may be mapped so: then that page
 * stays scratch memory; -EAGAIN: the pager does not answer; -ENOMEM.
 */
[[nodiscard]] int xen_foreign_renew(struct xen_foreign *foreign);

/* Begins, after renewing if need be: a sequence, or the error of xen_foreign_renew(). */
[[nodiscard]] long xen_foreign_use(struct xen_foreign *foreign);

/* Copies from the mapping what its frames hold, and nothing else. 0, or as xen_foreign_renew(). */
[[nodiscard]] int xen_foreign_read(struct xen_foreign *foreign, size_t offset, void *dst,
				   size_t bytes);

struct p2m_stats {
	u64 revocations; /* pages of foreign mappings that became scratch memory */
	u64 redirections;
	u64 timeouts;                     /* updates that gave up after bound_us */
	u64 paged;                        /* entries that are paged out or on their way back, now */
	u64 foreign_maps, foreign_frames; /* that exist, frames mapped in them */
};
void p2m_stats(struct p2m *p2m, struct p2m_stats *stats);

#endif
