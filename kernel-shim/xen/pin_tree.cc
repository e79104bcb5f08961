// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pin_tree.cc - read-only and pinned, a whole tree of page tables, in one call
 *
 *      tables, children before parents:  [ .. 32 .. ] [ .. 32 .. ] ... [ .. l2, l3, l4 ]
 *      each batch:  locks of its frames -> read-only -> validated, a reference of ours -> unlocked
 *      then:        the top is pinned, our references go
 *
 * A native store that is refused meanwhile waits for its frame's lock, finds a table, and is
 * emulated; one to a table whose turn has not come passes. There is no moment at which a frame is
 * read-only and nobody knows why. Undoing it is the same backwards, parents first, with references
 * of ours that keep each table one until it is writable again.
 *
 * The locks of one batch are taken children first. That is against the order (xen_mmu_internal.h),
 * and sound: somebody who holds the lock of a parent takes a child's to make it a table or to undo
 * that, and until we are done the tree's tables are tables by us alone.
 */
#include "xen_mmu_internal.h"

#include <linux/bug.h>
#include <linux/minmax.h>
#include <linux/slab.h>

#define TREE_BATCH 32u

struct tree {
	unsigned int nr, room;
	struct tree_table {
		unsigned long pfn;
		enum xen_frame_type level;
	} * tables;
};

static int add_table(struct tree *tree, unsigned long pfn, enum xen_frame_type level)
{
	if (tree->nr == tree->room) {
		unsigned int room = tree->room ? 2 * tree->room : 64;
		auto *tables = (struct tree::tree_table *)kvmalloc(room * sizeof(tree->tables[0]),
								   GFP_KERNEL);

		if (!tables)
			return -ENOMEM;
		for (unsigned int i = 0; i < tree->nr; i++)
			tables[i] = tree->tables[i];
		kvfree(tree->tables);
		tree->tables = tables;
		tree->room = room;
	}
	tree->tables[tree->nr++] = {pfn, level};
	return 0;
}

/* Children before parents; the depth is the level. */
static int add_tree(struct xen_mmu *xen, struct tree *tree, unsigned long pfn,
		    enum xen_frame_type level)
{
	const u64 *table = table_of(pfn);

	for (unsigned int i = 0; level > XEN_PGT_l1 && i < PTRS_PER_PTE; i++) {
		pteval_t entry = pte_peek(&table[i]);
		int err;

		if (!pte_present(entry))
			continue;
		if (pte_pfn(entry) >= xen->nr_frames)
			return -EINVAL;
		err = add_tree(xen, tree, pte_pfn(entry), (enum xen_frame_type)(level - 1));
		if (err)
			return err;
	}
	return add_table(tree, pfn, level);
}

static void lock_batch(struct xen_mmu *xen, const struct tree::tree_table *tables,
		       unsigned int nr) __no_thread_safety_analysis
{
	for (unsigned int i = 0; i < nr; i++)
		spin_lock(&frame_info(xen, tables[i].pfn)->lock);
}

static void unlock_batch(struct xen_mmu *xen, const struct tree::tree_table *tables,
			 unsigned int nr) __no_thread_safety_analysis
{
	for (unsigned int i = 0; i < nr; i++)
		spin_unlock(&frame_info(xen, tables[i].pfn)->lock);
}

/* Those of a batch that have not the right to store yet, or still. */
static unsigned int pages_of(const struct tree::tree_table *tables, unsigned int nr, bool writable,
			     struct page **pages)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < nr; i++) {
		struct page *page = pfn_to_page(tables[i].pfn);

		if (direct_map_writable(page) != writable)
			pages[n++] = page;
	}
	return n;
}

static int take_batch(struct xen_mmu *xen, const struct tree::tree_table *tables,
		      unsigned int nr) __no_thread_safety_analysis
{
	struct page *pages[TREE_BATCH];
	unsigned int done = 0;
	int err;

	lock_batch(xen, tables, nr);
	err = set_direct_map(xen, pages, pages_of(tables, nr, false, pages), false);
	for (; !err && done < nr; done++)
		err = get_table_type_locked(xen, tables[done].pfn, tables[done].level);
	if (err && done > 0)
		done--; /* the one that was refused */
	while (err && done > 0)
		put_table_type_locked(xen, tables[--done].pfn);
	if (err)
		WARN_ON(set_direct_map(xen, pages, pages_of(tables, nr, true, pages), true));
	unlock_batch(xen, tables, nr);
	return err;
}

/* Ours is the last reference, unless somebody uses the tree that must not. */
static int give_batch(struct xen_mmu *xen, const struct tree::tree_table *tables,
		      unsigned int nr) __no_thread_safety_analysis
{
	struct page *pages[TREE_BATCH];
	int err;

	lock_batch(xen, tables, nr);
	for (unsigned int i = nr; i-- > 0;)
		put_table_type_locked(xen, tables[i].pfn);
	err = set_direct_map(xen, pages, pages_of(tables, nr, true, pages), true);
	unlock_batch(xen, tables, nr);
	return err;
}

static int give_tree(struct xen_mmu *xen, const struct tree *tree, unsigned int nr)
{
	int ret = 0;

	while (nr > 0) {
		unsigned int n = min(nr, TREE_BATCH);
		int err = give_batch(xen, tree->tables + nr - n, n);

		ret = ret ? ret : err;
		nr -= n;
	}
	return ret;
}

static int pin_top(struct xen_mmu *xen, const struct tree *tree)
{
	const struct tree::tree_table *top = &tree->tables[tree->nr - 1];

	guard(spinlock)(&frame_info(xen, top->pfn)->lock);
	return pin_table_locked(xen, top->pfn, top->level);
}

static int unpin_top(struct xen_mmu *xen, const struct tree *tree)
{
	unsigned long top = tree->tables[tree->nr - 1].pfn;

	guard(spinlock)(&frame_info(xen, top)->lock);
	return unpin_table_locked(xen, top);
}

int protect_and_pin(struct xen_mmu *xen, unsigned long top)
{
	struct tree tree = {};
	unsigned int done = 0;
	int err = add_tree(xen, &tree, top, XEN_PGT_l4);

	while (!err && done < tree.nr) {
		unsigned int n = min(tree.nr - done, TREE_BATCH);

		err = take_batch(xen, tree.tables + done, n);
		if (!err)
			done += n;
	}
	if (!err)
		err = pin_top(xen, &tree);
	if (err)
		(void)give_tree(xen, &tree, done);
	/* Parents refer to them now, or the pin does. */
	for (unsigned int i = 0; !err && i < tree.nr; i++)
		put_frame_type(xen, tree.tables[i].pfn);
	kvfree(tree.tables);
	return err;
}

int unpin_and_unprotect(struct xen_mmu *xen, unsigned long top)
{
	struct tree tree = {};
	unsigned int done = 0;
	int err = xen_frame(pfn_to_page(top)).pinned ? add_tree(xen, &tree, top, XEN_PGT_l4)
						     : -EINVAL;

	for (; !err && done < tree.nr; done++)
		err = get_frame_type(xen, tree.tables[done].pfn, tree.tables[done].level);
	if (!err)
		err = unpin_top(xen, &tree);
	if (err) {
		while (done > 0)
			put_frame_type(xen, tree.tables[--done].pfn);
	} else {
		err = give_tree(xen, &tree, tree.nr);
	}
	kvfree(tree.tables);
	return err;
}
