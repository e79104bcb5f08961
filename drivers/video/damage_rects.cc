/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * damage_rects.cc - the bounded set of rectangles (see damage_rects.h)
 *
 * A plain array, newest last, searched from its end: what is added is nearly always next to what
 * was added just before (the line below, the rest of the line). At 256 entries a tree would not
 * be faster.
 */
#include "video/damage_rects.h"

#include <linux/kcsan-checks.h>
#include <linux/string.h>

struct fb_rect_entry fb_rect_union(const struct fb_rect_entry *a, const struct fb_rect_entry *b)
{
	struct fb_rect_entry both = {
		min(a->x0, b->x0), min(a->y0, b->y0), max(a->x1, b->x1), max(a->y1, b->y1), 0,
	};

	both.fill = min(a->fill + b->fill, fb_rect_entry_area(&both));
	return both;
}

static bool contains(const struct fb_rect_entry *outer, const struct fb_rect_entry *inner)
{
	return outer->x0 <= inner->x0 && outer->y0 <= inner->y0 && outer->x1 >= inner->x1 &&
	       outer->y1 >= inner->y1;
}

static void remove_entry(struct fb_rect_set *set, unsigned int index)
{
	set->nr--;
	memmove(&set->entry[index], &set->entry[index + 1],
		(set->nr - index) * sizeof(set->entry[0]));
}

/* The entry whose union with @entry covers least in addition. */
static unsigned int cheapest_partner(const struct fb_rect_set *set,
				     const struct fb_rect_entry *entry)
{
	unsigned int best = 0;
	u64 best_growth = ~0ull;

	for (unsigned int i = 0; i < set->nr; i++) {
		struct fb_rect_entry both = fb_rect_union(&set->entry[i], entry);
		u64 growth = fb_rect_entry_area(&both) - fb_rect_entry_area(&set->entry[i]);

		if (growth < best_growth) {
			best_growth = growth;
			best = i;
		}
	}
	return best;
}

void fb_rect_set_add(struct fb_rect_set *set, struct fb_rect_entry entry)
{
	kcsan_check_write(&set->nr, sizeof(set->nr));
	unsigned int i;

	if (entry.x0 >= entry.x1 || entry.y0 >= entry.y1)
		return;

	/* Each merge takes an entry out of the set, so this ends. */
	i = set->nr;
	while (i-- > 0) {
		if (contains(&set->entry[i], &entry)) {
			struct fb_rect_entry *outer = &set->entry[i];

			outer->fill = min(outer->fill + entry.fill, fb_rect_entry_area(outer));
			return;
		}
		if (fb_rect_worth_merging(&set->entry[i], &entry)) {
			entry = fb_rect_union(&set->entry[i], &entry);
			remove_entry(set, i);
			i = set->nr;
		}
	}
	if (set->nr == FB_DAMAGE_MAX) {
		i = cheapest_partner(set, &entry);
		entry = fb_rect_union(&set->entry[i], &entry);
		remove_entry(set, i);
	}
	set->entry[set->nr++] = entry;
}

unsigned int fb_rect_set_take(struct fb_rect_set *set, struct fb_rect *rects,
			      unsigned int max_rects)
{
	kcsan_check_write(&set->nr, sizeof(set->nr));

	unsigned int nr = min(set->nr, max_rects);

	for (unsigned int i = 0; i < nr; i++) {
		const struct fb_rect_entry *entry = &set->entry[i];

		rects[i] = {entry->x0, entry->y0, entry->x1 - entry->x0, entry->y1 - entry->y0};
	}
	set->nr -= nr;
	memmove(&set->entry[0], &set->entry[nr], set->nr * sizeof(set->entry[0]));
	return nr;
}
