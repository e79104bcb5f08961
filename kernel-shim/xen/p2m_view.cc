/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * p2m_view.cc - addresses of the guest that are its frames
 *
 *      access --> fault --> held_gfn --> mmu_map() as the entry allows --> put --> again
 *                             |                    ^ the update's zap or protect comes before
 *                             | logdirty           | intent goes, or after this put
 *                             +-- store: noted, rw, again
 *
 * V1. A PTE is installed while its entry is held, and taken away while the updater has the entry
 *     alone: they cannot cross.
 * V2. With the policies that do not hold the entry (p2m.h) they can. So the fault looks once more
 *     when the PTE is there, and takes it away if the entry has changed meanwhile: a frame is
 *     reached for a moment too long, but never after it is free.
 * Locks: view_lock (read: faults are not under it; updates while they follow).
 */
#include <kshim/mutant.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/slab.h>

#include "p2m_internal.h"

struct view_access {
	struct p2m_view *view;
	unsigned long address;
	gfn_t gfn;
	bool write;
};

static int judge_store(u64 old, struct p2m_target *target, void *arg)
{
	const auto *a = static_cast<const struct view_access *>(arg);

	if (entry_type(old) != p2m_ram_logdirty)
		return -EBUSY;
	/*
	 * While the entry is ours alone: who takes the note now protects the entry after us.
	 * Mutant: the note is made, and taken, before.
	 */
	if (!KSHIM_MUTANT(p2m_logdirty_early))
		p2m_mark_dirty(a->view->p2m, a->gfn);
	*target = {.type = p2m_ram_rw,
		   .page = entry_page(old),
		   .owned = !!(old & P2M_OWNED),
		   .alone = false};
	return 0;
}

/* The first store to a logdirty frame. 0: make the access again. */
static int store_to_logdirty(struct view_access *a)
{
	int err;

	if (KSHIM_MUTANT(p2m_logdirty_early))
		p2m_mark_dirty(a->view->p2m, a->gfn);
	err = p2m_change(a->view->p2m, a->gfn, judge_store, a, P2M_REVOKE, nullptr);
	/* Changed by somebody else, or held too long: the access is made again in any case. */
	return err == -EBUSY || err == -EAGAIN ? 0 : err;
}

static int install(const struct view_access *a, const struct gfn_ref *ref)
{
	const bool writable = ref->type == p2m_ram_rw;
	struct p2m *p2m = a->view->p2m;
	int err = mmu_map(a->view->area, a->address, ref->page, writable ? MMU_RW : MMU_RO);
	u64 now;

	if (err)
		return err;
	if (smp_load_acquire(&a->view->closing)) {
		mmu_zap(a->view->area, a->address, 1);
		return -EFAULT;
	}
	if (p2m->config.policy == P2M_COUNTED)
		return 0;
	now = entry_read(ref->entry);
	if (entry_page(now) != ref->page || entry_type(now) != ref->type)
		mmu_zap(a->view->area, a->address, 1);
	return 0;
}

static int resolve(struct view_access *a)
{
	enum p2m_type type;

	{
		held_gfn held(a->view->p2m, a->gfn);

		if (held.error())
			return held.error();
		type = held.type();
		if (p2m_is(type, P2M_READABLE) && held.page() && (!a->write || type == p2m_ram_rw))
			return install(a, held.ref());
	}
	if (type == p2m_ram_logdirty)
		return store_to_logdirty(a);
	if (p2m_is(type, P2M_PAGING))
		return p2m_page_in(a->view->p2m, a->gfn, true) ? -EFAULT : 0;
	return -EFAULT;
}

static int view_fault(struct mmu_area *area, unsigned long address, bool write)
{
	auto *view = static_cast<struct p2m_view *>(mmu_area_owner(area));
	const unsigned long index = (address - mmu_area_start(area)) >> PAGE_SHIFT;
	struct view_access access = {
		.view = view, .address = address, .gfn = _gfn(view->first + index), .write = write};

	return resolve(&access);
}

static struct p2m_view *find_view(struct p2m *p2m, unsigned long first, unsigned long nr)
{
	struct p2m_view *view;

	list_for_each_entry (view, &p2m->views, node) {
		if (first < view->first + view->nr && view->first < first + nr)
			return view;
	}
	return nullptr;
}

void p2m_view_follow(struct p2m *p2m, gfn_t gfn, u64 old, const struct p2m_target *target)
{
	struct p2m_view *view;
	guard(rwsem_read)(&p2m->view_lock);

	view = find_view(p2m, gfn.val, 1);
	if (!view)
		return;
	const unsigned long address =
		mmu_area_start(view->area) + ((gfn.val - view->first) << PAGE_SHIFT);

	if (target->page != entry_page(old) || !p2m_is(target->type, P2M_READABLE))
		mmu_zap(view->area, address, 1);
	else if (target->type != p2m_ram_rw)
		mmu_protect(view->area, address, 1, MMU_RO);
}

/*
 * The host keeps its accessed bits to itself, so a mapping is taken for used when it is there, and
 * taken away: if it is there again the next time, it was used.
 */
bool p2m_view_test_and_clear_young(struct p2m *p2m, gfn_t gfn)
{
	guard(rwsem_read)(&p2m->view_lock);
	struct p2m_view *view = find_view(p2m, gfn.val, 1);
	unsigned long address;

	if (!view)
		return false;
	address = mmu_area_start(view->area) + ((gfn.val - view->first) << PAGE_SHIFT);
	if (!mmu_pte(view->area, address).present)
		return false;
	mmu_zap(view->area, address, 1);
	return true;
}

struct p2m_view *p2m_view_create(struct p2m *p2m, gfn_t first, unsigned long nr,
				 enum mmu_delivery delivery)
{
	static const struct mmu_area_ops ops = {.fault = view_fault};
	struct p2m_view *view;
	int err = -EBUSY;

	if (!nr || first.val >= p2m->config.nr_gfns || nr > p2m->config.nr_gfns - first.val)
		return ERR_PTR(-EINVAL);
	view = kzalloc_obj(struct p2m_view, GFP_KERNEL);
	if (!view)
		return ERR_PTR(-ENOMEM);
	view->p2m = p2m;
	view->first = first.val;
	view->nr = nr;
	view->area = mmu_area_create(nr << PAGE_SHIFT, delivery, &ops, view);
	if (IS_ERR(view->area)) {
		err = PTR_ERR_OR_ZERO(view->area);
		goto free_view;
	}
	scoped_guard (rwsem_write, &p2m->view_lock) {
		if (!find_view(p2m, view->first, nr)) {
			list_add(&view->node, &p2m->views);
			return view;
		}
	}
	mmu_area_destroy(view->area);
free_view:
	kfree(view);
	return ERR_PTR(err);
}

void p2m_view_destroy(struct p2m_view *view)
{
	if (IS_ERR_OR_NULL(view))
		return;
	/*
	 * Updates do not follow any more, so nothing may stay installed: what a fault installs from
	 * here on it takes away itself, while it holds the entry.
	 */
	scoped_guard (rwsem_write, &view->p2m->view_lock) {
		smp_store_release(&view->closing, 1u);
		mmu_zap(view->area, mmu_area_start(view->area), view->nr);
		list_del(&view->node);
	}
	mmu_area_destroy(view->area);
	kfree(view);
}

unsigned long p2m_view_start(const struct p2m_view *view)
{
	return mmu_area_start(view->area);
}
