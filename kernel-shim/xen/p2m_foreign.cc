/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * p2m_foreign.cc - guest frames in another domain, which an update takes back
 *
 *      mapping   | slot 0 | slot 1 | slot 2 |     addresses that never go away
 *                  frame    scratch  frame
 *      index     gfn -> slots                     those with a frame, and those that follow
 *
 *      map:      lookup (count) -> frame allowed? -> reference -> mapped, indexed; the count stays
 *      update:   intent -> sequence + 1 -> scratch -> reference and count go -> holder told
 *      holder:   sequence before and after its use: the same, and nothing was revoked
 *
 * F1. A slot with a frame has a reference to it, and (policy counted) a count on the entry, from
 *     before it is mapped until after it is not.
 * F2. The sequence moves before the host's mapping does, so who has read scratch memory sees that
 *     it moved.
 * F3. Whoever adds a slot under an entry's intent takes it away again itself: the updater has
 *     looked already.
 * F4. The entries of several slots are counted on in ascending order, and nobody takes an entry
 *     under foreign_lock.
 * Locks: foreign_lock guards slots, index, and every host mapping.
 */
#include <kshim/mutant.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "p2m_internal.h"

struct foreign_slot {
	struct hlist_node node; /* in the index */
	struct xen_foreign *foreign;
	struct page *page; /* null: scratch */
	gfn_t gfn;
};

struct xen_foreign {
	struct p2m *p2m;
	struct xen_foreign_config config;
	void *addr;
	unsigned int nr;

	/* Protected by foreign_lock. */
	struct list_head node;

	/* Written under foreign_lock, read without. */
	atomic_long_t sequence;
	atomic_t nr_scratch; /* slots without a frame */

	struct foreign_slot slots[];
};

/* So many frames are looked up before they are mapped, by one call where they are in a row. */
constexpr unsigned int RUN_MAX = 64;

static struct hlist_head *bucket_of(struct p2m *p2m, gfn_t gfn)
{
	return &p2m->foreign_index[gfn.val % P2M_FOREIGN_BUCKETS];
}

static unsigned int slot_index(const struct foreign_slot *slot)
{
	return (unsigned int)(slot - slot->foreign->slots);
}

static void tell(struct foreign_slot *slot, enum xen_foreign_event event)
{
	const struct xen_foreign_config *config = &slot->foreign->config;

	if (config->told)
		config->told(config->ctx, event, slot_index(slot));
}

/* May a mapping of this kind have the frame of such an entry? */
static bool allows(const struct xen_foreign *foreign, enum p2m_type type)
{
	return p2m_is(type, foreign->config.writable ? P2M_WRITABLE : P2M_READABLE);
}

/* May this slot stay as it is when the entry becomes @target? */
static bool may_stay(const struct foreign_slot *slot, const struct p2m_target *target)
{
	if (target->alone || target->page != slot->page)
		return false;
	/* One that can store notes its frame when it is made: p2m_logdirty.cc, L2. */
	return slot->foreign->config.writable ? target->type == p2m_ram_rw
					      : p2m_is(target->type, P2M_READABLE);
}

/* Will this slot want the frame of @target? */
static bool follows(const struct foreign_slot *slot, const struct p2m_target *target)
{
	return slot->foreign->config.redirect && !target->alone && target->page &&
	       target->page != slot->page && allows(slot->foreign, target->type);
}

/* E4 of p2m_internal.h. */
static void unindex(struct foreign_slot *slot, atomic64_t *entry)
{
	struct p2m *p2m = slot->foreign->p2m;
	struct foreign_slot *other;

	hlist_del_init(&slot->node);
	hlist_for_each_entry(other, bucket_of(p2m, slot->gfn), node)
	{
		if (other->gfn.val == slot->gfn.val)
			return;
	}
	atomic64_fetch_and((s64)~P2M_FOREIGN, entry);
}

/* The slot reaches its frame no more. */
static void let_go(struct foreign_slot *slot, atomic64_t *entry, bool stays_indexed)
{
	struct p2m *p2m = slot->foreign->p2m;

	if (!stays_indexed)
		unindex(slot, entry);
	put_page(slot->page);
	slot->page = nullptr;
	p2m->foreign_frames--;
	if (p2m->config.policy == P2M_COUNTED)
		p2m_drop_count(p2m, entry);
}

/* Under foreign_lock: the host has made scratch memory of all of it, for want of mappings. */
static void lose_all(struct xen_foreign *foreign)
{
	for (unsigned int i = 0; i < foreign->nr; i++) {
		struct foreign_slot *slot = &foreign->slots[i];

		if (!slot->page)
			continue;
		atomic_inc(&foreign->nr_scratch);
		let_go(slot, p2m_find_entry(foreign->p2m, slot->gfn), false);
		tell(slot, XEN_FOREIGN_REVOKED);
	}
}

/* Return: false: all other slots of the mapping have gone with it, also out of this bucket. */
static bool revoke(struct foreign_slot *slot, atomic64_t *entry, bool follows)
{
	struct xen_foreign *foreign = slot->foreign;
	bool alone;

	atomic_inc(&foreign->nr_scratch);
	/* F2; fully ordered, as is the system call. Pairs with xen_foreign_retry(). */
	atomic_long_fetch_add(1, &foreign->sequence);
	alone = kernel_map_scratch(foreign->addr, slot_index(slot), 1);
	let_go(slot, entry, follows);
	if (!alone)
		lose_all(foreign);
	__atomic_fetch_add(&foreign->p2m->revocations, 1, __ATOMIC_RELAXED);
	tell(slot, XEN_FOREIGN_REVOKED);
	return alone;
}

unsigned int p2m_foreign_settle(struct p2m *p2m, gfn_t gfn, atomic64_t *entry,
				const struct p2m_target *target, bool may_revoke, u64 *word)
{
	struct foreign_slot *slot;
	struct hlist_node *next;
	unsigned int stay;
	guard(mutex)(&p2m->foreign_lock);

again:
	stay = 0;
	hlist_for_each_entry_safe(slot, next, bucket_of(p2m, gfn), node)
	{
		if (slot->gfn.val != gfn.val || !slot->page)
			continue;
		/* Mutant: a mapping that can store stays when the frame becomes read-only. */
		if (may_stay(slot, target) || (KSHIM_MUTANT(p2m_foreign_keeps_rw) &&
					       target->page == slot->page && !target->alone))
			stay++;
		else if (may_revoke && !revoke(slot, entry, follows(slot, target)))
			goto again; /* the next one may be among those that went */
	}
	*word = entry_read(entry);
	return stay;
}

/* Under foreign_lock. The frame has its reference, the entry its count. */
static void settle_in(struct foreign_slot *slot, struct page *page, atomic64_t *entry)
{
	struct p2m *p2m = slot->foreign->p2m;

	slot->page = page;
	if (hlist_unhashed(&slot->node)) {
		hlist_add_head(&slot->node, bucket_of(p2m, slot->gfn));
		atomic64_fetch_or((s64)P2M_FOREIGN, entry);
	}
	p2m->foreign_frames++;
	atomic_dec(&slot->foreign->nr_scratch);
	atomic_long_inc(&slot->foreign->sequence);
}

/* Under foreign_lock. 0, or -ENOMEM: then the pages are scratch memory, and their slots know. */
static int set_frames(struct xen_foreign *foreign, unsigned int first, struct page *const *pages,
		      unsigned int nr)
{
	int err;

	/* F2: when it fails, what was there is gone. */
	atomic_long_fetch_add(1, &foreign->sequence);
	err = kernel_map_set(foreign->addr, first, pages, nr);
	if (err == -ENOTRECOVERABLE)
		lose_all(foreign);
	return err == -ENOTRECOVERABLE ? -ENOMEM : err;
}

void p2m_foreign_redirect(struct p2m *p2m, gfn_t gfn, atomic64_t *entry,
			  const struct p2m_target *target)
{
	struct foreign_slot *slot;

	if (!(entry_read(entry) & P2M_FOREIGN) || !target->page)
		return;
	guard(mutex)(&p2m->foreign_lock);
	hlist_for_each_entry(slot, bucket_of(p2m, gfn), node)
	{
		struct page *page = target->page;

		if (slot->gfn.val != gfn.val || slot->page || !follows(slot, target))
			continue;
		/* Not mapped: it stays scratch, and the holder finds out by xen_foreign_renew(). */
		if (set_frames(slot->foreign, slot_index(slot), &page, 1))
			break;
		get_page(page);
		if (p2m->config.policy == P2M_COUNTED)
			atomic64_add((s64)P2M_COUNT_ONE, entry);
		settle_in(slot, page, entry);
		if (slot->foreign->config.writable)
			p2m_mark_dirty(p2m, gfn);
		__atomic_fetch_add(&p2m->redirections, 1, __ATOMIC_RELAXED);
		tell(slot, XEN_FOREIGN_REDIRECTED);
	}
}

/* ---- mapping ---- */

/* Frames that are next to be mapped, from slot @first on; each held, and with a reference. */
struct run {
	unsigned int first, nr;
	struct gfn_ref refs[RUN_MAX];
	struct page *pages[RUN_MAX];
};

constexpr int ANOTHER_RUN = 1, PAGED_OUT = 2;

/* 0; ANOTHER_RUN; PAGED_OUT: it must be brought back first; -errno. */
static int add_to_run(struct xen_foreign *foreign, struct run *run)
{
	struct foreign_slot *slot = &foreign->slots[run->first + run->nr];
	struct gfn_ref *ref = &run->refs[run->nr];
	int err;

	/* F4. */
	if (run->nr && slot->gfn.val <= run->refs[run->nr - 1].gfn.val)
		return ANOTHER_RUN;
	err = get_gfn(foreign->p2m, slot->gfn, ref);
	if (err)
		return err;
	if (p2m_is(ref->type, P2M_PAGING) && (!ref->page || !allows(foreign, ref->type))) {
		put_gfn(ref);
		return PAGED_OUT;
	}
	/* While the entry is held: what gets the reference is what was checked. */
	if (!ref->page || !allows(foreign, ref->type) || !get_page_unless_zero(ref->page)) {
		put_gfn(ref);
		return -EINVAL;
	}
	if (run->nr && ref->page != run->pages[run->nr - 1] + 1) {
		put_page(ref->page);
		put_gfn(ref);
		return ANOTHER_RUN;
	}
	/* Before anything can store: p2m_logdirty.cc, L1. */
	if (foreign->config.writable)
		p2m_mark_dirty(foreign->p2m, slot->gfn);
	run->pages[run->nr++] = ref->page;
	return 0;
}

/* What a run holds of one frame, when its slot does not need it. */
static void drop_ref(struct run *run, unsigned int i)
{
	put_page(run->pages[i]);
	put_gfn(&run->refs[i]);
}

static void drop_run(struct run *run)
{
	for (unsigned int i = 0; i < run->nr; i++)
		drop_ref(run, i);
	run->nr = 0;
}

static int map_run(struct xen_foreign *foreign, struct run *run)
{
	struct p2m *p2m = foreign->p2m;
	const bool counted = p2m->config.policy == P2M_COUNTED;
	int err;
	guard(mutex)(&p2m->foreign_lock);

	err = set_frames(foreign, run->first, run->pages, run->nr);
	if (err)
		return err;
	for (unsigned int i = 0; i < run->nr; i++) {
		struct foreign_slot *slot = &foreign->slots[run->first + i];

		/*
		 * An update has redirected it since we looked, to this frame: we hold the entry.
		 * Mutant: what the slot has is taken a second time, and given back once.
		 */
		if (slot->page && !KSHIM_MUTANT(p2m_maps_twice)) {
			drop_ref(run, i);
			continue;
		}
		settle_in(slot, run->pages[i], run->refs[i].entry);
		/* The lookup's reference is another one, with policies that have such. */
		if (!counted)
			put_gfn(&run->refs[i]);
	}
	/* F3; when all are settled, since this may be the end of all. */
	for (unsigned int i = 0; counted && p2m->config.revoke && i < run->nr; i++) {
		struct foreign_slot *slot = &foreign->slots[run->first + i];
		atomic64_t *entry = p2m_find_entry(p2m, slot->gfn);

		if (slot->page && entry_read(entry) & P2M_INTENT)
			revoke(slot, entry, false);
	}
	return 0;
}

/*
 * Slots from @first on that have no frame, as many as fit into one host mapping; none when the
 * first one had to be brought back by the pager.
 */
static int bring_in(struct xen_foreign *foreign, unsigned int first, unsigned int *nr)
{
	struct run run;
	int err = 0;

	run.first = first;
	run.nr = 0;
	while (run.nr < RUN_MAX && first + run.nr < foreign->nr &&
	       !READ_ONCE(foreign->slots[first + run.nr].page)) {
		err = add_to_run(foreign, &run);
		if (err)
			break;
	}
	*nr = run.nr;
	if (!run.nr && err == PAGED_OUT)
		return p2m_page_in(foreign->p2m, foreign->slots[first].gfn, false);
	if (!run.nr)
		return err;
	err = map_run(foreign, &run);
	if (err)
		drop_run(&run);
	return err;
}

/*
 * From @first on. Under the lock: a page that is being revoked has its frame until that is done,
 * and who asks meanwhile would ask again and again.
 */
static unsigned int next_scratch(const struct xen_foreign *foreign, unsigned int first)
{
	guard(mutex)(&foreign->p2m->foreign_lock);
	while (first < foreign->nr && foreign->slots[first].page)
		first++;
	return first;
}

int xen_foreign_renew(struct xen_foreign *foreign)
{
	unsigned int first = 0, nr;

	while ((first = next_scratch(foreign, first)) < foreign->nr) {
		const int err = bring_in(foreign, first, &nr);

		if (err)
			return err;
		first += nr;
	}
	return 0;
}

static struct xen_foreign *foreign_alloc(struct p2m *p2m, const u64 *gfns, unsigned int nr,
					 const struct xen_foreign_config *config)
{
	auto *foreign = static_cast<struct xen_foreign *>(kvzalloc(
		sizeof(struct xen_foreign) + nr * sizeof(struct foreign_slot), GFP_KERNEL));

	if (!foreign)
		return nullptr;
	foreign->p2m = p2m;
	foreign->config = *config;
	foreign->nr = nr;
	atomic_set(&foreign->nr_scratch, (int)nr);
	for (unsigned int i = 0; i < nr; i++) {
		foreign->slots[i].foreign = foreign;
		foreign->slots[i].gfn = _gfn(READ_ONCE(gfns[i]));
	}
	return foreign;
}

struct xen_foreign *p2m_foreign_map(struct p2m *p2m, const u64 *gfns, unsigned int nr,
				    const struct xen_foreign_config *config)
{
	struct xen_foreign *foreign;
	int err;

	if (!nr || nr > INT_MAX)
		return ERR_PTR(-EINVAL);
	foreign = foreign_alloc(p2m, gfns, nr, config);
	if (!foreign)
		return ERR_PTR(-ENOMEM);
	foreign->addr = kernel_map_reserve(nr, config->writable ? MMU_RW : MMU_RO);
	if (IS_ERR(foreign->addr)) {
		err = PTR_ERR_OR_ZERO(foreign->addr);
		kvfree(foreign);
		return ERR_PTR(err);
	}
	scoped_guard (mutex, &p2m->foreign_lock) {
		list_add(&foreign->node, &p2m->foreign_maps);
		p2m->nr_foreign_maps++;
	}
	err = xen_foreign_renew(foreign);
	if (!err)
		return foreign;
	xen_foreign_unmap(foreign);
	return ERR_PTR(err);
}

void xen_foreign_unmap(struct xen_foreign *foreign)
{
	struct p2m *p2m;

	if (IS_ERR_OR_NULL(foreign))
		return;
	p2m = foreign->p2m;
	scoped_guard (mutex, &p2m->foreign_lock) {
		list_del(&foreign->node);
		p2m->nr_foreign_maps--;
		kernel_map_destroy(foreign->addr);
		for (unsigned int i = 0; i < foreign->nr; i++) {
			struct foreign_slot *slot = &foreign->slots[i];
			atomic64_t *entry = p2m_gfn_valid(p2m, slot->gfn)
						    ? p2m_find_entry(p2m, slot->gfn)
						    : nullptr;

			if (slot->page)
				let_go(slot, entry, false);
			else if (!hlist_unhashed(&slot->node))
				unindex(slot, entry);
		}
	}
	kvfree(foreign);
}

void *xen_foreign_addr(const struct xen_foreign *foreign)
{
	return foreign->addr;
}

long xen_foreign_begin(const struct xen_foreign *foreign)
{
	/* In this order: revoke() writes them in the other. */
	const long sequence = (long)atomic_long_read_acquire(&foreign->sequence);

	return atomic_read(&foreign->nr_scratch) ? -EAGAIN : sequence;
}

int xen_foreign_read(struct xen_foreign *foreign, size_t offset, void *dst, size_t bytes)
{
	const char *from = static_cast<const char *>(foreign->addr) + offset;

	for (;;) {
		const long sequence = xen_foreign_use(foreign);

		if (sequence < 0)
			return (int)sequence;
		memcpy(dst, from, bytes);
		if (!xen_foreign_retry(foreign, sequence))
			return 0;
	}
}

long xen_foreign_use(struct xen_foreign *foreign)
{
	for (;;) {
		const long sequence = xen_foreign_begin(foreign);
		int err;

		if (sequence >= 0)
			return sequence;
		err = xen_foreign_renew(foreign);
		if (err)
			return err;
	}
}

bool xen_foreign_retry(const struct xen_foreign *foreign, long sequence)
{
	/* What was loaded was loaded before: F2. */
	smp_rmb();
	return atomic_long_read(&foreign->sequence) != sequence;
}
