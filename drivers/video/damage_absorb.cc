/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * damage_absorb.cc - bytes into the frame, rectangles out (see damage.h for the contract)
 *
 *   absorb: stripe by stripe of 64 KiB, under the stripe's mutex
 *             page by page: one bit per 64-byte block that differs        (damage_scan)
 *               run of such blocks: keep the old bytes, copy, and then compare old and new:
 *                 pieces of lines -> first and last byte that differ, a span
 *           spans that lie below each other -> open rectangles            (struct absorber)
 *           a rectangle that did not grow for some lines -> closed
 *           at the end, or when there are many: into the set              (damage_rects)
 *
 * A page that follows one which differed nearly everywhere is compared and copied in one go. So
 * full motion costs what copying costs, and a still screen what comparing costs.
 *
 * The source may change while we look (it is somebody's mapping). Therefore spans are found by
 * comparing what the frame was with what it is, and not with the source: a byte which enters the
 * frame outside of a span would be equal the next time, and never shown. A byte which changes
 * after we read it was noticed by its writer's fault, or will be seen by the next look.
 *
 * Locks: stripe mutex -> damage->lock (spinlock: set, geometry, statistics).
 * KSHIM: Linux's deferred I/O has no content to compare with and reports whole rows of dirty pages.
 */
#include "video/damage_private.h"
#include "video/damage_scan.h"

#include <kshim/fault.h>
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/fb.h>
#include <linux/minmax.h>
#include <linux/string.h>

/*
 * More separate runs in a page than this are one run: noise is not worth a rectangle per dot.
 * Once the rectangles of one call have overflowed it is noise, and every page's runs are one.
 */
constexpr int MAX_RUNS = 16;

/* Rectangles that grow while lines go by, and how many lines one is kept open without growing. */
constexpr unsigned int MAX_OPEN = 32;
constexpr u32 OPEN_LINES = 4;

/* At least this many of a page's 64 blocks differ: the next page probably differs wholly, too. */
constexpr int DENSE_BLOCKS = 56;

namespace
{

/*
 * One call of absorb. On the caller's stack; survives a fault of the source (see absorb_fragile).
 */
struct absorber {
	struct fb_info *info;
	struct fb_geometry geometry;
	char *frame;
	const char *src; /* of frame offset start */
	size_t start;
	size_t end;
	struct mutex *held; /* the stripe's, while held */
	size_t page_start;  /* the page being copied ... */
	size_t page_end;    /* ... or both 0 */
	size_t compared;
	size_t changed;
	u64 rects;
	bool coarse; /* too many rectangles so far */
	bool dense;  /* the page before differed nearly everywhere */
	unsigned int nr_open;
	unsigned int nr_closed;
	struct fb_rect_entry open[MAX_OPEN];
	struct fb_rect_entry closed[FB_DAMAGE_MAX];
};

void flush_rects(struct absorber *a)
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

void remove_open(struct absorber *a, unsigned int index)
{
	a->nr_open--;
	memmove(&a->open[index], &a->open[index + 1], (a->nr_open - index) * sizeof(a->open[0]));
}

void close_rect(struct absorber *a, unsigned int index)
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
void add_span(struct absorber *a, u32 x0, u32 x1, u32 y)
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
	if (a->nr_open == MAX_OPEN)
		close_rect(a, 0);
	a->open[a->nr_open] = span;
	a->nr_open++;
}

/*
 * Bytes [from, to) of the frame, in one page, were overwritten; @old is what was there. Cut them
 * where lines begin and end, and report what is visible and differs.
 */
void report_run(struct absorber *a, size_t from, size_t to, const char *old)
{
	const struct fb_geometry *g = &a->geometry;
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
		first = fb_scan_first(old, a->frame + from, piece_end - from);
		last = fb_scan_last(old, a->frame + from, piece_end - from);
		if (first < last) {
			a->changed += last - first;
			if (shown)
				add_span(a, (u32)((x + first) / g->bytes_per_pixel),
					 (u32)((x + last - 1) / g->bytes_per_pixel + 1), (u32)line);
		}
		old += piece_end - from;
		from = piece_end;
	}
}

/* Bytes [from, to) differ in every block: copy and report them. */
void copy_run(struct absorber *a, size_t from, size_t to)
{
	char old[FB_SCAN_MAX];

	memcpy(old, a->frame + from, to - from);
	memcpy(a->frame + from, a->src + (from - a->start), to - from);
	report_run(a, from, to, old);
}

/*
 * The blocks of a page are aligned like the frame; the first and the last may be cut by @from and
 * @to.
 */
u64 page_mask(struct absorber *a, size_t from, size_t to)
{
	size_t base = from & ~(FB_SCAN_BLOCK - 1);
	size_t pos = from, tail;
	unsigned int nr, first;
	u64 mask = 0;

	if (from != base) {
		pos = min(base + FB_SCAN_BLOCK, to);
		mask = memcmp(a->frame + from, a->src + (from - a->start), pos - from) != 0;
	}
	nr = (unsigned int)((to - pos) / FB_SCAN_BLOCK);
	first = (unsigned int)((pos - base) / FB_SCAN_BLOCK);
	tail = (to - pos) % FB_SCAN_BLOCK;
	if (tail && memcmp(a->frame + to - tail, a->src + (to - tail - a->start), tail) != 0)
		mask |= 1ull << (first + nr);
	if (nr)
		mask |= fb_scan_blocks(a->frame + pos, a->src + (pos - a->start), nr) << first;
	return mask;
}

/* Calls @run(from, to) for the runs of blocks in @mask. */
template <typename Run>
void for_each_run(const struct absorber *a, u64 mask, size_t from, size_t to, Run run)
{
	size_t base = from & ~(FB_SCAN_BLOCK - 1);
	u64 starts = mask & ~(mask << 1);
	bool many = a->coarse || __builtin_popcountll(starts) > MAX_RUNS;

	while (mask) {
		unsigned int low = (unsigned int)__builtin_ctzll(mask);
		u64 gaps = ~mask & (~0ull << low);
		unsigned int high = gaps ? (unsigned int)__builtin_ctzll(gaps) : 64;

		if (many)
			high = 64 - (unsigned int)__builtin_clzll(mask);
		run(max(from, base + low * FB_SCAN_BLOCK), min(to, base + high * FB_SCAN_BLOCK));
		mask = high < 64 ? mask & (~0ull << high) : 0;
	}
}

/* One page of the frame or a part of it. */
void absorb_page(struct absorber *a, size_t from, size_t to)
{
	u64 mask;

	if (a->dense && from % FB_SCAN_BLOCK == 0 && to % FB_SCAN_BLOCK == 0) {
		char old[FB_SCAN_MAX];

		mask = fb_scan_exchange(a->frame + from, a->src + (from - a->start), old,
					(unsigned int)((to - from) / FB_SCAN_BLOCK));
		for_each_run(a, mask, from, to, [&](size_t run_from, size_t run_to) {
			report_run(a, run_from, run_to, old + (run_from - from));
		});
	} else {
		mask = page_mask(a, from, to);
		for_each_run(a, mask, from, to, [&](size_t run_from, size_t run_to) {
			copy_run(a, run_from, run_to);
		});
	}
	a->dense = __builtin_popcountll(mask) >= DENSE_BLOCKS;
}

void absorb_all(void *arg)
{
	struct absorber *a = (struct absorber *)arg;
	struct fb_damage *damage = a->info->damage;
	size_t pos = a->start;

	while (pos < a->end) {
		size_t stripe = pos / fb_stripes::BYTES;
		size_t stripe_end = min(a->end, (stripe + 1) * fb_stripes::BYTES);

		mutex_lock(&damage->stripes[stripe % fb_stripes::NR].lock);
		a->held = &damage->stripes[stripe % fb_stripes::NR].lock;
		while (pos < stripe_end) {
			size_t page_end = min(stripe_end, (pos / FB_SCAN_MAX + 1) * FB_SCAN_MAX);

			a->page_start = pos;
			a->page_end = page_end;
			/* A fault leaves this function anywhere: until here all is in memory. */
			barrier();
			/* One step to the explorer, against stores of any program. */
			kshim_point(KSHIM_LOAD, nullptr, 0);
			absorb_page(a, pos, page_end);
			a->compared += page_end - pos;
			pos = page_end;
		}
		a->page_end = 0;
		barrier();
		a->held = nullptr;
		mutex_unlock(&damage->stripes[stripe % fb_stripes::NR].lock);
	}
}

bool absorb_begin(struct absorber *a, struct fb_info *info, size_t offset, const void *src,
		  size_t len)
{
	size_t size = info->screen_size;

	if (offset >= size || len == 0)
		return false;
	a->info = info;
	a->frame = info->screen_buffer;
	a->src = (const char *)src;
	a->start = offset;
	a->end = offset + min(len, size - offset);
	a->held = nullptr;
	a->page_start = a->page_end = 0;
	a->compared = a->changed = 0;
	a->nr_open = a->nr_closed = 0;
	a->dense = a->coarse = false;
	fb_damage_geometry(info, &a->geometry);
	return true;
}

void absorb_end(struct absorber *a)
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

/*
 * The source faulted: any part of the current page may have been copied. Report all of its lines.
 */
void report_torn_page(struct absorber *a)
{
	const struct fb_geometry *g = &a->geometry;
	size_t from = a->page_start, to = a->page_end;
	size_t first, last;

	a->changed++; /* nobody knows how much */
	if (to <= g->offset || from >= g->offset + (size_t)g->height * g->line_length)
		return;
	first = (max(from, (size_t)g->offset) - g->offset) / g->line_length;
	last = min((to - g->offset - 1) / g->line_length, (size_t)g->height - 1);
	flush_rects(a);
	a->open[0] = fb_rect_entry_make(0, (u32)first, g->width, (u32)last + 1);
	a->nr_open = 1;
}

} // namespace

size_t fb_damage_absorb(struct fb_info *info, size_t offset, const void *src, size_t len)
{
	struct absorber a;

	if (!absorb_begin(&a, info, offset, src, len))
		return 0;
	absorb_all(&a);
	absorb_end(&a);
	return a.changed;
}

/*
 * The thread-safety analysis cannot follow a lock that is released because its section was left
 * by a fault; absorber.held says which one it is.
 */
ssize_t fb_damage_absorb_fragile(struct fb_info *info, size_t offset, const void *src,
				 size_t len) __no_thread_safety_analysis
{
	struct absorber a;
	bool whole;

	if (!absorb_begin(&a, info, offset, src, len))
		return 0;
	whole = kshim_try(absorb_all, &a);
	if (!whole) {
		if (a.page_end)
			report_torn_page(&a);
		if (a.held)
			mutex_unlock(a.held);
	}
	absorb_end(&a);
	return whole ? (ssize_t)a.changed : -EFAULT;
}
