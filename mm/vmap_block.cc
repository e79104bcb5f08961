// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmap_block.cc - blocks: addresses for small maps, cut one behind the other
 *
 *      |##|#|..|###|.|#|      rest      |         # cut off    . cut off and returned
 *                       next           nr
 *
 *      the tree --> current, being cut --> full --> its last piece returned: a piece of the tree
 *                      ^         |           |
 *                      `---------'           `--> broken up: what is returned goes to the tree, the
 *                  all was returned               other pieces follow one by one
 *
 * Neighbours in time are neighbours in address, and leave together in one flush; and neither
 * cutting nor returning touches the tree. A node, which is a processor's, has one current block.
 * Full ones are remembered by their addresses: what is cut off finds its block again, whichever
 * processor returns it.
 *
 * B1. A block is one piece of the tree as long as it lasts; what was cut off it is a piece besides,
 *     so there are descriptors enough to break it up (S2).
 * B2. used == 0 only while nothing is cut off: then the current block begins anew, a full one ends.
 * KSHIM: Linux reuses what was returned only when all of a block was. So do we, but when there is
 * no hole in the tree: then one long-lived map pins its own pages, and not a block.
 *
 * Locks: all of it is the space's, by its lock.
 */
#include "vmap_internal.h"

#include <kshim/mutant.h>
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/kcsan-checks.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>

struct vmap_block {
	struct list_head blocks; /* space->blocks */
	unsigned long first;     /* constant; page of the window */
	u32 nr;                  /* constant */
	u32 next;                /* what lies below was cut off */
	u32 used;                /* of that, what was not returned */
	unsigned long returned[BITS_TO_LONGS(VMAP_BLOCK)];
};

static struct vmap_block **place_of(struct vmap_space *space, unsigned long first)
	__must_hold(&space->lock)
{
	return &space->block_at[(space->base + first) / space->block_size -
				(space->base + space->first) / space->block_size];
}

static struct vmap_block *block_of(struct vmap_space *space, unsigned long first)
	__must_hold(&space->lock)
{
	return *place_of(space, first);
}

/* Is there no more to be cut off? For a mutant. */
bool vmap_block_is_full(struct vmap_space *space, unsigned long first)
{
	guard(spinlock)(&space->lock);
	const struct vmap_block *block = block_of(space, first);

	return block && block->next == block->nr;
}

static void forget(struct vmap_space *space, struct vmap_block *block) __must_hold(&space->lock)
{
	list_del(&block->blocks);
	*place_of(space, block->first) = nullptr;
	if (space->block == block)
		space->block = nullptr;
	if (space->spare_block)
		kfree(block);
	else
		space->spare_block = block;
}

/* What is not cut off is as good as returned. */
static void return_rest(struct vmap_block *block)
{
	bitmap_set(block->returned, block->next, block->nr - block->next);
	block->next = block->nr;
}

static struct vmap_block *new_block(struct vmap_space *space) __must_hold(&space->lock)
{
	struct vmap_block *block = space->spare_block;
	unsigned long first;

	if (vmap_space_take(space, space->block_size, space->block_size, &first))
		return nullptr;
	if (space->block)
		return_rest(space->block);
	space->spare_block = nullptr;
	*block = {};
	block->first = first;
	block->nr = (u32)space->block_size;
	list_add_tail(&block->blocks, &space->blocks);
	*place_of(space, first) = block;
	space->block = block;
	return block;
}

int vmap_block_cut(struct vmap_space *space, unsigned long nr, unsigned long *first)
{
	struct vmap_block *block = space->block;

	if (!block || block->nr - block->next < nr)
		block = new_block(space);
	if (!block)
		return -EBUSY;
	kcsan_check_write(&block->used, sizeof(block->used));
	*first = block->first + block->next;
	block->next += (u32)nr;
	block->used += (u32)nr;
	space->pieces++;
	return 0;
}

bool vmap_block_return(struct vmap_space *space, unsigned long first, unsigned long nr)
{
	struct vmap_block *block = block_of(space, first);

	if (!block)
		return false;
	kcsan_check_write(&block->used, sizeof(block->used));
	bitmap_set(block->returned, (unsigned int)(first - block->first), (unsigned int)nr);
	block->used -= (u32)nr;
	space->pieces--;
	if (block->used)
		return true;
	if (block == space->block) {
		block->next = 0;
		bitmap_zero(block->returned, block->nr);
		return true;
	}
	first = block->first;
	nr = block->nr;
	forget(space, block);
	vmap_space_give(space, first, nr);
	return true;
}

/* The descriptors are there (B1), and the block's own piece makes room for one more range. */
static void break_up(struct vmap_space *space, struct vmap_block *block) __must_hold(&space->lock)
{
	space->pieces--;
	return_rest(block);
	for (u32 at = 0; at < block->nr;) {
		u32 end = at;

		while (end < block->nr && test_bit(end, block->returned))
			end++;
		if (end > at)
			vmap_space_insert(space, block->first + at, end - at);
		at = end + 1;
	}
	forget(space, block);
}

bool vmap_block_break_up_all(struct vmap_space *space)
{
	struct vmap_block *block, *next;

	if (list_empty(&space->blocks))
		return false;
	list_for_each_entry_safe (block, next, &space->blocks, blocks)
		break_up(space, block);
	return true;
}

struct vmap_block *vmap_block_alloc(void)
{
	return kzalloc_obj(struct vmap_block, GFP_KERNEL);
}

struct vmap_block **vmap_block_table(struct vmap_space *space, unsigned long nr)
{
	/* A power of two: an address says in which place it is. Not a small window whole. */
	space->block_size = 1ul << __fls(clamp(nr / 8, 1ul, VMAP_BLOCK));
	return (struct vmap_block **)kcalloc(nr / space->block_size + 2,
					     sizeof(struct vmap_block *), GFP_KERNEL);
}

void vmap_block_exit(struct vmap_space *space)
{
	vmap_block_break_up_all(space);
	kfree(space->spare_block);
	kfree(space->block_at);
}
