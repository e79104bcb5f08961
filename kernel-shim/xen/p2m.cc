/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * p2m.cc - the changes of a p2m, each as what it asks of the entry
 *
 *      populate        invalid              -> frame, owned
 *      change_type     frame, type from     -> the same frame, type to
 *      change_frame    frame, owned         -> another frame, same type
 *      remove          frame                -> invalid
 *      promote         as change_type, by a holder
 */
#include <kshim/mutant.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>

#include <xen/paging.h>

#include "p2m_internal.h"

/* Types that an ordinary change makes: those with a frame of RAM, and not the pager's. */
constexpr u32 SETTABLE = P2M_PAGEABLE | p2m_type_mask(p2m_ram_ro) | p2m_type_mask(p2m_ram_shared);

static void keep_frame(u64 old, struct p2m_target *target)
{
	target->page = entry_page(old);
	target->owned = old & P2M_OWNED;
}

struct populate {
	struct page *page;
	enum p2m_type type;
	struct p2m *p2m;
};

static int judge_populate(u64 old, struct p2m_target *target, void *arg)
{
	const auto *what = static_cast<const struct populate *>(arg);

	if (entry_type(old) != p2m_invalid)
		return -EEXIST;
	*target = {.type = what->type == p2m_ram_rw ? p2m_rw_type(what->p2m) : what->type,
		   .page = what->page,
		   .owned = true,
		   .alone = false};
	return 0;
}

int p2m_populate(struct p2m *p2m, gfn_t gfn, struct page *page, enum p2m_type type,
		 enum p2m_wait wait)
{
	struct populate what = {.page = page, .type = type, .p2m = p2m};

	if (!p2m_is(type, SETTABLE))
		return -EINVAL;
	return p2m_change(p2m, gfn, judge_populate, &what, wait, nullptr);
}

struct retype {
	enum p2m_type from, to;
};

static int judge_retype(u64 old, struct p2m_target *target, void *arg)
{
	const auto *what = static_cast<const struct retype *>(arg);

	if (entry_type(old) != what->from || !entry_page(old))
		return -EBUSY;
	keep_frame(old, target);
	target->type = what->to;
	return 0;
}

int p2m_change_type(struct p2m *p2m, gfn_t gfn, enum p2m_type from, enum p2m_type to,
		    enum p2m_wait wait)
{
	struct retype what = {.from = from, .to = to};

	if (!p2m_is(from, SETTABLE) || !p2m_is(to, SETTABLE))
		return -EINVAL;
	return p2m_change(p2m, gfn, judge_retype, &what, wait, nullptr);
}

int p2m_promote(struct gfn_ref *ref, enum p2m_type to, enum p2m_wait wait)
{
	struct retype what = {.from = ref->type, .to = to};
	struct p2m_update update;
	int err;

	if (ref->p2m->config.policy != P2M_COUNTED)
		return -EOPNOTSUPP;
	if (!p2m_is(ref->type, SETTABLE) || !p2m_is(to, SETTABLE))
		return -EINVAL;
	err = p2m_begin(ref->p2m, ref->gfn, judge_retype, &what, wait, 1, &update);
	if (err)
		return err;
	p2m_commit(&update);
	ref->type = to;
	return 0;
}

static int judge_frame(u64 old, struct p2m_target *target, void *arg)
{
	if (!(old & P2M_OWNED) || !p2m_is(entry_type(old), SETTABLE))
		return -ENOENT;
	*target = {.type = entry_type(old),
		   .page = static_cast<struct page *>(arg),
		   .owned = true,
		   .alone = false};
	return 0;
}

int p2m_change_frame(struct p2m *p2m, gfn_t gfn, struct page *page, enum p2m_wait wait)
{
	u64 old;
	int err = p2m_change(p2m, gfn, judge_frame, page, wait, &old);

	if (!err)
		put_page(entry_page(old));
	return err;
}

static int judge_revoke(u64 old, struct p2m_target *target, void *arg)
{
	keep_frame(old, target);
	target->type = entry_type(old);
	target->alone = true;
	return 0;
}

int p2m_revoke(struct p2m *p2m, gfn_t gfn)
{
	return p2m_change(p2m, gfn, judge_revoke, nullptr, P2M_REVOKE, nullptr);
}

/* An answer of a judge: the gfn has a frame, and it is with the pager. */
constexpr int PAGED_OUT = 1;

static int judge_remove(u64 old, struct p2m_target *target, void *arg)
{
	if (entry_type(old) == p2m_invalid)
		return -ENOENT;
	if (p2m_is(entry_type(old), P2M_PAGING))
		return PAGED_OUT;
	*target = {.type = p2m_invalid, .page = nullptr, .owned = false, .alone = false};
	return 0;
}

int p2m_remove(struct p2m *p2m, gfn_t gfn, enum p2m_wait wait)
{
	for (;;) {
		u64 old;
		int err = p2m_change(p2m, gfn, judge_remove, nullptr, wait, &old);

		if (err == PAGED_OUT) {
			err = p2m_paging_drop(p2m, gfn, wait);
			if (err == -EINVAL)
				continue; /* it came back meanwhile */
		} else if (!err && old & P2M_OWNED) {
			put_page(entry_page(old));
		}
		return err;
	}
}

/* 0: *@page is what there is. PAGED_OUT: nothing yet. */
static int try_get_page(struct p2m *p2m, gfn_t gfn, struct page **page, enum p2m_type *type)
{
	struct gfn_ref ref;
	int err = get_gfn(p2m, gfn, &ref);

	*page = nullptr;
	if (err)
		return err;
	*type = ref.type;
	/* Mutant: an early way out that forgets to put (XSA-277). */
	if (KSHIM_MUTANT(p2m_missing_put) && !p2m_is(*type, P2M_READABLE))
		return 0;
	if (p2m_is(*type, P2M_READABLE)) {
		*page = ref.page;
		/* Mutant: what keeps the frame is dropped before the look at it. */
		if (KSHIM_MUTANT(p2m_put_before_check))
			put_gfn(&ref);
		if (*page && !get_page_unless_zero(*page))
			*page = nullptr;
	}
	put_gfn(&ref);
	return p2m_is(*type, P2M_PAGING) && !*page ? PAGED_OUT : 0;
}

struct page *get_page_from_gfn(struct p2m *p2m, gfn_t gfn, enum p2m_type *type)
{
	enum p2m_type found = p2m_invalid;
	struct page *page;

	while (try_get_page(p2m, gfn, &page, &found) == PAGED_OUT) {
		if (p2m_page_in(p2m, gfn, true))
			break;
	}
	if (type)
		*type = found;
	return page;
}
