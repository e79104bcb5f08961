/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * damage_absorb.cc - bytes into the frame, rectangles out (contract: damage.h, damage_absorb.h)
 *
 *   absorb: page by page
 *             fetch, no lock: into a buffer, compared with the frame on the way
 *             under the stripe's mutex: one bit per 64-byte block that differs    (damage_scan)
 *               run of such blocks, before it is copied:
 *                 pieces of lines -> first and last byte that differ, a span
 *           spans that lie below each other -> open rectangles
 *           a rectangle that did not grow for some lines -> closed
 *           at the end, or when there are many: into the set                      (damage_rects)
 *
 * The source may change while we look (it is somebody's mapping). Therefore only the buffer is
 * compared and copied: a byte which enters the frame outside of a span would be equal the next
 * time, and never shown. A byte which changes after we read it was noticed by its writer's fault,
 * or will be seen by the next look.
 *
 * Without the lock the fetch may see a frame that somebody else is just changing. A difference is
 * looked for again under the lock. A page without any was equal to the frame block by block, each
 * at its moment; who changed a block later comes after this absorb, as if he had waited for it.
 *
 * Full motion costs what copying costs, and a still screen what comparing costs: the buffer and one
 * page of the frame fit into the first-level cache, so that the memory of source and frame is
 * passed once, and the second look at the page is nearly free.
 *
 * Locks: stripe mutex -> damage->lock (spinlock: set, geometry, statistics).
 * KSHIM: Linux's deferred I/O has no content to compare with and reports whole rows of dirty pages.
 */
#include "video/damage_absorb.h"
#include "video/damage_private.h"

#include <linux/fb.h>
#include <linux/kcsan-checks.h>
#include <linux/minmax.h>
#include <linux/string.h>

/*
 * More separate runs in a page than this are one run: noise is not worth a rectangle per dot.
 * Once the rectangles of one call have overflowed it is noise, and every page's runs are one.
 */
constexpr int MAX_RUNS = 16;

/* How many lines an open rectangle is kept without growing. */
constexpr u32 OPEN_LINES = 4;

namespace
{

void flush_rects(struct fb_absorber *a)
{
	struct fb_damage *damage = a->info->damage;

	guard(spinlock)(&damage->lock);
	if (damage->geometry.generation != a->geometry.generation) {
		/*
		 * D3: the spans are those of another screen; what we copied may be anywhere in
		 * this one.
		 */
		fb_rect_set_add(&damage->set, fb_rect_entry_make(0, 0, damage->geometry.width,
								 damage->geometry.height));
	} else {
		kcsan_check_write(&damage->set.nr, sizeof(damage->set.nr));
		if (damage->set.nr == 0) {
			/* The usual case: they were compared with each other already. */
			memcpy(damage->set.entry, a->closed, a->nr_closed * sizeof(a->closed[0]));
			damage->set.nr = a->nr_closed;
		} else {
			for (unsigned int i = 0; i < a->nr_closed; i++)
				fb_rect_set_add(&damage->set, a->closed[i]);
		}
		for (unsigned int i = 0; i < a->nr_open; i++)
			fb_rect_set_add(&damage->set, a->open[i]);
	}
	damage->stats.rects_added += a->nr_closed + a->nr_open;
	a->nr_open = a->nr_closed = 0;
}

void remove_open(struct fb_absorber *a, unsigned int index)
{
	a->nr_open--;
	memmove(&a->open[index], &a->open[index + 1], (a->nr_open - index) * sizeof(a->open[0]));
}

void close_rect(struct fb_absorber *a, unsigned int index)
{
	if (a->nr_closed == FB_DAMAGE_MAX) {
		flush_rects(a); /* this one, too */
		a->coarse = true;
		return;
	}
	a->closed[a->nr_closed] = a->open[index];
	a->nr_closed++;
	remove_open(a, index);
}

/* Pixels [x0, x1) of line y changed. */
void add_span(struct fb_absorber *a, u32 x0, u32 x1, u32 y)
{
	struct fb_rect_entry span = fb_rect_entry_make(x0, y, x1, y + 1);

	/* The newest first: it is the same line's last page, or the line above. */
	for (unsigned int i = a->nr_open; i-- > 0;) {
		if (fb_rect_worth_merging(&a->open[i], &span)) {
			/* What grew may have met another one: from the start. */
			span = fb_rect_union(&a->open[i], &span);
			remove_open(a, i);
			i = a->nr_open;
		} else if (a->open[i].y1 + OPEN_LINES < y) {
			close_rect(a, i);
			i = min(i, a->nr_open);
		}
	}
	if (a->nr_open == FB_ABSORB_OPEN)
		close_rect(a, 0);
	a->open[a->nr_open] = span;
	a->nr_open++;
}

/* What is to become the frame's bytes from @offset on. */
const char *fetched(const struct fb_absorber *a, size_t offset)
{
	return a->page + offset % FB_SCAN_MAX;
}

/*
 * Bytes [from, to) of the frame will be overwritten. Cut them where lines begin and end, and report
 * what is visible and differs.
 */
void report_run(struct fb_absorber *a, size_t from, size_t to)
{
	const struct fb_geometry *g = &a->geometry;
	const char *frame = a->info->screen_buffer;
	size_t visible = (size_t)g->width * g->bytes_per_pixel;
	size_t screen_end = g->offset + (size_t)g->height * g->line_length;

	while (from < to) {
		size_t piece_end, x = 0, line = 0, first, last;
		bool shown = false;

		if (from < g->offset) {
			piece_end = min(to, (size_t)g->offset);
		} else if (from >= screen_end) {
			piece_end = to;
		} else {
			line = (from - g->offset) / g->line_length;
			x = (from - g->offset) % g->line_length;
			shown = x < visible;
			piece_end = min(to, from + (shown ? visible : g->line_length) - x);
		}
		first = fb_scan_first(frame + from, fetched(a, from), piece_end - from);
		last = fb_scan_last(frame + from, fetched(a, from), piece_end - from);
		if (first < last) {
			a->changed += last - first;
			if (shown)
				add_span(a, (u32)((x + first) / g->bytes_per_pixel),
					 (u32)((x + last - 1) / g->bytes_per_pixel + 1), (u32)line);
		}
		from = piece_end;
	}
}

/*
 * The whole blocks of a range, which are aligned like the frame, and the parts of blocks before and
 * after them.
 */
struct block_range {
	size_t head_end;    /* == from when there is no head */
	size_t tail_begin;  /* == to when there is no tail */
	unsigned int first; /* number of the first whole block in its page */
	unsigned int nr;    /* whole blocks */
};

struct block_range split_blocks(size_t from, size_t to)
{
	struct block_range r;

	r.head_end = min((from + FB_SCAN_BLOCK - 1) & ~(FB_SCAN_BLOCK - 1), to);
	r.tail_begin = max(to & ~(FB_SCAN_BLOCK - 1), r.head_end);
	r.first = (unsigned int)(r.head_end % FB_SCAN_MAX / FB_SCAN_BLOCK);
	r.nr = (unsigned int)((r.tail_begin - r.head_end) / FB_SCAN_BLOCK);
	return r;
}

/* The bits of the two parts of blocks. */
u64 edges_mask(const struct fb_absorber *a, const struct block_range *r)
{
	const char *frame = a->info->screen_buffer;
	u64 mask = 0;

	if (r->head_end > a->from &&
	    memcmp(frame + a->from, fetched(a, a->from), r->head_end - a->from) != 0)
		mask |= 1ull << (a->from % FB_SCAN_MAX / FB_SCAN_BLOCK);
	if (r->tail_begin < a->to &&
	    memcmp(frame + r->tail_begin, fetched(a, r->tail_begin), a->to - r->tail_begin) != 0)
		mask |= 1ull << (r->tail_begin % FB_SCAN_MAX / FB_SCAN_BLOCK);
	return mask;
}

/* A bit for each block of the page in which frame and buffer differ. */
u64 page_mask(const struct fb_absorber *a)
{
	const struct block_range r = split_blocks(a->from, a->to);
	u64 mask = edges_mask(a, &r);

	if (r.nr)
		mask |= fb_scan_blocks(a->info->screen_buffer + r.head_end, fetched(a, r.head_end),
				       r.nr)
			<< r.first;
	return mask;
}

/* Reports and copies each run of blocks in @mask. */
void copy_runs(struct fb_absorber *a, u64 mask)
{
	size_t base = a->from & ~(FB_SCAN_MAX - 1);
	u64 starts = mask & ~(mask << 1);
	bool many =
		a->coarse || ((starts & (starts - 1)) && __builtin_popcountll(starts) > MAX_RUNS);

	while (mask) {
		unsigned int low = (unsigned int)__builtin_ctzll(mask);
		u64 gaps = ~mask & (~0ull << low);
		unsigned int high = gaps ? (unsigned int)__builtin_ctzll(gaps) : 64;
		size_t from, to;

		if (many)
			high = 64 - (unsigned int)__builtin_clzll(mask);
		from = max(a->from, base + low * FB_SCAN_BLOCK);
		to = min(a->to, base + high * FB_SCAN_BLOCK);
		report_run(a, from, to);
		memcpy(a->info->screen_buffer + from, fetched(a, from), to - from);
		mask = high < 64 ? mask & (~0ull << high) : 0;
	}
}

} // namespace

void fb_absorb_begin(struct fb_absorber *a, struct fb_info *info)
{
	a->info = info;
	a->from = a->to = 0;
	a->compared = a->changed = 0;
	a->nr_open = a->nr_closed = 0;
	a->coarse = false;
	fb_damage_geometry(info, &a->geometry);
}

static u32 *stripe_version(struct fb_info *info, size_t offset)
{
	return &info->damage->stripes[offset / fb_stripes::BYTES % fb_stripes::NR].version;
}

bool fb_absorb_fetch(struct fb_absorber *a, size_t offset, const void *src, size_t len)
{
	const struct block_range r = split_blocks(offset, offset + len);
	const char *bytes = (const char *)src;
	char *page = a->page + offset % FB_SCAN_MAX;
	size_t head = r.head_end - offset, tail = r.tail_begin - offset;

	/*
	 * Pairs with the release in fb_absorb_page(). To the explorer it and the reading of @src
	 * are one step.
	 */
	a->version = smp_load_acquire(stripe_version(a->info, offset));
	a->from = offset;
	a->to = offset + len;
	a->compared += len;
	memcpy(page, bytes, head);
	memcpy(page + tail, bytes + tail, len - tail);
	a->differs = edges_mask(a, &r);
	if (r.nr)
		a->differs |= fb_scan_copy(page + head, bytes + head,
					   a->info->screen_buffer + r.head_end, r.nr)
			      << r.first;
	return a->differs != 0;
}

size_t fb_absorb_page(struct fb_absorber *a)
{
	size_t stripe = a->from / fb_stripes::BYTES % fb_stripes::NR;
	u32 *version = stripe_version(a->info, a->from);
	size_t before = a->changed;

	guard(mutex)(&a->info->damage->stripes[stripe].lock);
	copy_runs(a, *version == a->version ? a->differs : page_mask(a));
	/* After the bytes. Who reads them meanwhile has an older version, and will look again. */
	smp_store_release(version, *version + 1);
	return a->changed - before;
}

void fb_absorb_end(struct fb_absorber *a)
{
	struct fb_damage *damage = a->info->damage;

	/*
	 * Also without a rectangle: by now the geometry may be one in which these bytes are
	 * shown.
	 */
	if (a->changed)
		flush_rects(a);
	guard(spinlock)(&damage->lock);
	damage->stats.bytes_compared += a->compared;
	damage->stats.bytes_changed += a->changed;
}

size_t fb_damage_absorb(struct fb_info *info, size_t offset, const void *src, size_t len)
{
	const char *bytes = (const char *)src;
	size_t size = info->screen_size;
	struct fb_absorber a;
	size_t end;

	if (offset >= size || len == 0)
		return 0;
	end = offset + min(len, size - offset);
	fb_absorb_begin(&a, info);
	for (size_t pos = offset; pos < end;) {
		size_t page_end = min(end, (pos / FB_SCAN_MAX + 1) * FB_SCAN_MAX);

		if (fb_absorb_fetch(&a, pos, bytes + (pos - offset), page_end - pos))
			fb_absorb_page(&a);
		pos = page_end;
	}
	fb_absorb_end(&a);
	return a.changed;
}
