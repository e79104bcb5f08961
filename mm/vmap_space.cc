// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmap_space.cc - who has which addresses
 *
 *      |###|    |#|  block: |##|#|###|rest|      |####|
 *           free                           free
 *
 * Free ranges are in a treap, by address, augmented with the largest range below each node, so
 * that the lowest range that fits is found in log n steps. A piece that is given back grows
 * together with its neighbours. Small maps are cut from blocks (vmap_block.cc), which are pieces
 * themselves.
 *
 * S1. Two ranges of the tree are never neighbours.
 * S2. There are pieces + 1 descriptors or more: k pieces leave at most k + 1 ranges between them.
 * KSHIM: Linux keeps pools per size besides; here a flush costs so much more than a search that one
 * tree is enough.
 */
#include "vmap_internal.h"

#include <kshim/mutant.h>
#include <linux/kernel.h>
#include <linux/slab.h>

struct vmap_range {
	unsigned long first, nr;
	unsigned long largest;           /* nr of this or of any below */
	struct vmap_range *left, *right; /* a spare one: left is the next */
	u32 priority;
};

static unsigned long largest_of(const struct vmap_range *t)
{
	return t ? t->largest : 0;
}

static void update(struct vmap_range *t)
{
	t->largest = max(t->nr, max(largest_of(t->left), largest_of(t->right)));
}

/* Any mixing of the address will do: it must not follow the order of addresses. */
static u32 priority_of(unsigned long first)
{
	return (u32)((first * 0x9e3779b97f4a7c15ul) >> 32);
}

/* All of @a lies below all of @b. */
static struct vmap_range *join(struct vmap_range *a, struct vmap_range *b)
{
	if (!a || !b)
		return a ? a : b;
	if (a->priority > b->priority) {
		a->right = join(a->right, b);
		update(a);
		return a;
	}
	b->left = join(a, b->left);
	update(b);
	return b;
}

/* *@a gets the ranges that begin below @first, *@b the others. */
static void split(struct vmap_range *t, unsigned long first, struct vmap_range **a,
		  struct vmap_range **b)
{
	if (!t) {
		*a = *b = nullptr;
	} else if (t->first < first) {
		split(t->right, first, &t->right, b);
		*a = t;
		update(t);
	} else {
		split(t->left, first, a, &t->left);
		*b = t;
		update(t);
	}
}

static struct vmap_range *take_spare(struct vmap_space *space) __must_hold(&space->lock)
{
	struct vmap_range *range = space->spare;

	BUG_ON(!range);
	space->spare = range->left;
	return range;
}

static void give_spare(struct vmap_space *space, struct vmap_range *range) __must_hold(&space->lock)
{
	range->left = space->spare;
	space->spare = range;
}

void vmap_space_insert(struct vmap_space *space, unsigned long first, unsigned long nr)
{
	struct vmap_range *below, *above, *range;

	if (!nr)
		return;
	split(space->root, first, &below, &above);
	range = take_spare(space);
	*range = {.first = first,
		  .nr = nr,
		  .largest = nr,
		  .left = nullptr,
		  .right = nullptr,
		  .priority = priority_of(first)};
	space->root = join(join(below, range), above);
}

static void remove(struct vmap_space *space, struct vmap_range *range) __must_hold(&space->lock)
{
	struct vmap_range *below, *above, *self;

	split(space->root, range->first, &below, &above);
	split(above, range->first + 1, &self, &above);
	BUG_ON(self != range);
	space->root = join(below, above);
	give_spare(space, range);
}

/* What is asked for: @nr pages whose address is a multiple of @align pages. */
struct vmap_hole {
	unsigned long nr, align;
	unsigned long base; /* the window's address, in pages */
};

static unsigned long aligned_start(const struct vmap_range *range, const struct vmap_hole *hole)
{
	return round_up(hole->base + range->first, hole->align) - hole->base;
}

/* The lowest range with room. */
static struct vmap_range *find_hole(struct vmap_range *t, const struct vmap_hole *hole)
{
	struct vmap_range *found;
	unsigned long skip;

	if (largest_of(t) < hole->nr)
		return nullptr;
	found = find_hole(t->left, hole);
	if (found)
		return found;
	skip = aligned_start(t, hole) - t->first;
	if (skip < t->nr && t->nr - skip >= hole->nr)
		return t;
	return find_hole(t->right, hole);
}

int vmap_space_take(struct vmap_space *space, unsigned long nr, unsigned long align,
		    unsigned long *first)
{
	const struct vmap_hole hole = {.nr = nr, .align = align, .base = space->base};
	struct vmap_range *range = find_hole(space->root, &hole);
	unsigned long start, end;

	if (!range)
		return -EBUSY;
	start = range->first;
	end = start + range->nr;
	*first = aligned_start(range, &hole);
	remove(space, range);
	vmap_space_insert(space, start, *first - start);
	vmap_space_insert(space, *first + nr, end - *first - nr);
	space->pieces++;
	return 0;
}

void vmap_space_give(struct vmap_space *space, unsigned long first, unsigned long nr)
{
	struct vmap_range *below, *above, *neighbour;

	space->pieces--;
	split(space->root, first, &below, &above);
	for (neighbour = below; neighbour && neighbour->right;)
		neighbour = neighbour->right;
	space->root = join(below, above);
	if (neighbour && neighbour->first + neighbour->nr == first) {
		first = neighbour->first;
		nr += neighbour->nr;
		remove(space, neighbour);
	}
	split(space->root, first, &below, &above);
	for (neighbour = above; neighbour && neighbour->left;)
		neighbour = neighbour->left;
	space->root = join(below, above);
	if (neighbour && neighbour->first == first + nr) {
		nr += neighbour->nr;
		remove(space, neighbour);
	}
	vmap_space_insert(space, first, nr);
}

/*
 * One more piece, and a block that begins: two descriptors more than now may be needed, and what
 * describes the block.
 */
static int ensure_descriptors(struct vmap_space *space) __must_hold(&space->lock)
{
	while (space->descriptors < space->pieces + 3 || !space->spare_block) {
		const bool block_is_missing = !space->spare_block;
		struct vmap_range *range = nullptr;
		struct vmap_block *block = nullptr;

		spin_unlock(&space->lock);
		if (block_is_missing)
			block = vmap_block_alloc();
		else
			range = kzalloc_obj(struct vmap_range, GFP_KERNEL);
		spin_lock(&space->lock);
		if (!range && !block)
			return -ENOMEM;
		if (range) {
			give_spare(space, range);
			space->descriptors++;
		} else if (space->spare_block) {
			kfree(block); /* somebody was faster */
		} else {
			space->spare_block = block;
		}
	}
	return 0;
}

int vmap_space_alloc(struct vmap_space *space, unsigned long nr, unsigned long align, bool small,
		     unsigned long *first)
{
	guard(spinlock)(&space->lock);
	int err = ensure_descriptors(space);

	if (err)
		return err;
	if (small && align == 1 && nr <= space->block_size && !vmap_block_cut(space, nr, first))
		return 0;
	err = vmap_space_take(space, nr, align, first);
	if (err == -EBUSY && vmap_block_break_up_all(space))
		err = vmap_space_take(space, nr, align, first);
	return err;
}

static void free_locked(struct vmap_space *space, unsigned long first, unsigned long nr)
	__must_hold(&space->lock)
{
	if (!vmap_block_return(space, first, nr))
		vmap_space_give(space, first, nr);
}

/* Mutant: the lock of the processor that gives it back, and not of where it was cut off. */
static void free_under_wrong_lock(struct vmap_space *space, unsigned long first,
				  unsigned long nr) __no_thread_safety_analysis
{
	guard(spinlock)(&vmap_this_node(current_vmap())->space.lock);
	free_locked(space, first, nr);
}

void vmap_space_free(struct vmap_space *space, unsigned long first, unsigned long nr)
{
	if (KSHIM_MUTANT(vmap_block_lock_of_processor)) {
		free_under_wrong_lock(space, first, nr);
		return;
	}
	guard(spinlock)(&space->lock);
	free_locked(space, first, nr);
}

int vmap_space_init(struct vmap_space *space, unsigned long base, unsigned long first,
		    unsigned long nr)
{
	space->base = base;
	space->first = first;
	spin_lock_init(&space->lock);
	struct vmap_block **table = vmap_block_table(space, nr);

	guard(spinlock)(&space->lock);
	INIT_LIST_HEAD(&space->blocks);
	space->block_at = table;
	int err = table ? ensure_descriptors(space) : -ENOMEM;

	if (!err)
		vmap_space_insert(space, first, nr);
	return err;
}

static void free_tree(struct vmap_range *t)
{
	if (!t)
		return;
	free_tree(t->left);
	free_tree(t->right);
	kfree(t);
}

void vmap_space_exit(struct vmap_space *space)
{
	/* Its init was not reached. */
	if (!space->block_size)
		return;
	guard(spinlock)(&space->lock);
	vmap_block_exit(space);
	while (space->spare)
		kfree(take_spare(space));
	free_tree(space->root);
	space->root = nullptr;
}
