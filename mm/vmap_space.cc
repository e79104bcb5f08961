// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmap_space.cc - who has which addresses
 *
 *      |###|    |#|  block: |##|#|###|next ... end|      |####|
 *           free                                   free
 *
 * Free ranges are in a treap, by address, augmented with the largest range below each node, so
 * that the lowest range that fits is found in log n steps. A piece that is given back grows
 * together with its neighbours. Small maps are cut from a block, one behind the other: neighbours
 * in time are neighbours in address, and leave together in one flush. A block is nothing but a
 * piece that is being cut up: what was cut from it returns to the tree by itself, so one
 * long-lived map pins its own pages and not a block.
 *
 * S1. Two ranges of the tree are never neighbours.
 * S2. There are pieces + 1 descriptors or more: k pieces leave at most k + 1 ranges between them.
 * KSHIM: Linux keeps pools per size and blocks per processor with bitmaps of what is dirty; here a
 * flush costs so much more than a search that one tree is enough.
 */
#include "vmap_internal.h"

#include <linux/bitops.h>
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

static void insert(struct vmap_space *space, unsigned long first, unsigned long nr)
	__must_hold(&space->lock)
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

static int take_from_tree(struct vmap_space *space, unsigned long nr, unsigned long align,
			  unsigned long *first) __must_hold(&space->lock)
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
	insert(space, start, *first - start);
	insert(space, *first + nr, end - *first - nr);
	space->pieces++;
	return 0;
}

static void free_piece(struct vmap_space *space, unsigned long first, unsigned long nr,
		       unsigned long pieces) __must_hold(&space->lock)
{
	struct vmap_range *below, *above, *neighbour;

	space->pieces -= pieces;
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
	insert(space, first, nr);
}

/* A fresh block; what is left of the old one goes back. The block is one piece. */
static int new_block(struct vmap_space *space) __must_hold(&space->lock)
{
	unsigned long first;
	int err = take_from_tree(space, space->block_size, 1, &first);

	if (err)
		return err;
	if (space->block_next < space->block_end)
		free_piece(space, space->block_next, space->block_end - space->block_next, 1);
	else if (space->block_end)
		space->pieces--; /* all of it was cut off */
	space->block_next = first;
	space->block_end = first + space->block_size;
	return 0;
}

static int take_small(struct vmap_space *space, unsigned long nr, unsigned long *first)
	__must_hold(&space->lock)
{
	if (space->block_end - space->block_next < nr && new_block(space))
		return take_from_tree(space, nr, 1, first);
	*first = space->block_next;
	space->block_next += nr;
	space->pieces++;
	return 0;
}

/* One more piece, and a block that begins: two descriptors more than now may be needed. */
static int ensure_descriptors(struct vmap_space *space) __must_hold(&space->lock)
{
	while (space->descriptors < space->pieces + 3) {
		struct vmap_range *range;

		spin_unlock(&space->lock);
		range = kzalloc_obj(struct vmap_range, GFP_KERNEL);
		spin_lock(&space->lock);
		if (!range)
			return -ENOMEM;
		give_spare(space, range);
		space->descriptors++;
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
	if (small && align == 1 && nr <= space->block_size)
		return take_small(space, nr, first);
	return take_from_tree(space, nr, align, first);
}

void vmap_space_free(struct vmap_space *space, unsigned long first, unsigned long nr,
		     unsigned long pieces)
{
	guard(spinlock)(&space->lock);
	free_piece(space, first, nr, pieces);
}

int vmap_space_init(struct vmap_space *space, unsigned long base, unsigned long first,
		    unsigned long nr)
{
	space->base = base;
	spin_lock_init(&space->lock);
	/* A block must not take a small window whole. */
	space->block_size = clamp(nr / 8, 1ul, VMAP_BLOCK);
	guard(spinlock)(&space->lock);
	int err = ensure_descriptors(space);

	if (!err)
		insert(space, first, nr);
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
	guard(spinlock)(&space->lock);
	while (space->spare)
		kfree(take_spare(space));
	free_tree(space->root);
	space->root = nullptr;
}
