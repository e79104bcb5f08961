/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenfb_back_copy.cc - the back end's copy of the screen
 *
 *      frame (foreign, read-only)     offset, line 0 | pad, line 1 | pad ...
 *        stale rectangles, line by line
 *      copy (own memory)              line 0, line 1 ...
 *
 * C1: a pixel outside of the stale set is in the copy as the frame had it at some moment after the
 *     last event about it. The set is emptied before the pixels are read: an event that comes
 *     meanwhile makes its pixels stale again, whether they were read before or after the change.
 * C2: no read leaves [0, mem_length) of the frame: layout and rectangles were checked together,
 *     under one lock, and lines are copied by length, not by word.
 * C3: a geometry is only given out with a copy that has it.
 * C4: a line counts as copied only when no page of the frame's mapping was revoked meanwhile. Else
 *     what was revoked is mapped again and the line copied again; a frame that cannot be mapped any
 *     more, or not often enough in a row, leaves its lines stale.
 * Locks: copy_lock for all of it, state_lock for a moment to take the set and the layout.
 */
#include <string.h>

#include <kshim/mmu.h>
#include <kshim/mutant.h>
#include <linux/errno.h>
#include <linux/kcsan-checks.h>
#include <linux/kernel.h>
#include <linux/slab.h>

#include "backend/xenfb_back_private.h"

struct copy_job {
	struct xen_foreign *frame;
	long sequence;     /* of the frame's mapping */
	unsigned int rect; /* where to go on */
	u32 y;             /* 0: the rectangle's first line */
	char *copy;
	struct xenfb_layout layout;
	u32 line_length; /* of the copy */
	u32 generation;
	bool connected;
	u64 bytes;
	struct fb_rect_set set;
};

/*
 * Under kshim_try(): if a frame cannot be read the rest is left out. Stops at a line during which
 * the mapping changed.
 */
static void copy_rects(void *data)
{
	auto *job = static_cast<struct copy_job *>(data);
	const char *frame = static_cast<const char *>(xen_foreign_addr(job->frame));
	const struct xenfb_layout *l = &job->layout;
	const u32 bytes = l->depth / 8;

	for (; job->rect < job->set.nr; job->rect++, job->y = 0) {
		const struct fb_rect_entry *r = &job->set.entry[job->rect];
		const size_t length = (size_t)(r->x1 - r->x0) * bytes;

		for (job->y = max(job->y, (u32)r->y0); job->y < r->y1; job->y++) {
			const size_t y = job->y;
			const char *from =
				frame + l->offset + y * l->stride + (size_t)r->x0 * bytes;

			/* A line is a step to the explorer: the mapping may go before it. */
			(void)READ_ONCE(*from);
			/* Mutant: QEMU read whole words, also past the last pixel (C2). */
			if (KSHIM_MUTANT(xenfb_reads_words))
				(void)*(const volatile char *)(from + length);
			memcpy(job->copy + y * job->line_length + (size_t)r->x0 * bytes, from,
			       length);
			/* Mutant: scratch memory is taken for the picture (C4). */
			if (!KSHIM_MUTANT(xenfb_trusts_mapping) &&
			    xen_foreign_retry(job->frame, job->sequence))
				return;
			job->bytes += length;
		}
	}
}

/* A frame whose pages are revoked this often while they are copied is left for the next look. */
constexpr unsigned int COPY_LEASES = 1000;

/* False: some of it is not copied; it was said why, or the next look goes on. */
static bool copy_all(struct xenfb_back *back, struct copy_job *job)
{
	unsigned int leases = COPY_LEASES;

	while (job->rect < job->set.nr) {
		job->sequence = xen_foreign_use(job->frame);
		if (job->sequence < 0) {
			xenfb_back_complain(back, "took away frames which it had published");
			return false;
		}
		if (!leases--)
			return false;
		if (!kshim_try(copy_rects, job)) {
			xenfb_back_complain(back, "published frames which cannot be read");
			return false;
		}
	}
	return true;
}

static void take_stale_locked(struct xenfb_back *back, struct copy_job *job)
	__must_hold(back->state_lock);

static void take_stale_locked(struct xenfb_back *back, struct copy_job *job)
{
	job->layout = back->layout;
	job->generation = back->generation;
	job->connected = back->connected;
	/* A front end that does not tell what it changes: everything may have changed. */
	if (back->connected && !back->feature_update)
		fb_rect_set_add(&back->stale,
				fb_rect_entry_make(0, 0, back->layout.width, back->layout.height));
	job->set.nr = back->stale.nr;
	memcpy(job->set.entry, back->stale.entry, back->stale.nr * sizeof(job->set.entry[0]));
	kcsan_check_write(&back->stale.nr, sizeof(back->stale.nr));
	if (!KSHIM_MUTANT(xenfb_forgets_stale))
		back->stale.nr = 0;
}

/* Mutant: without state_lock, beside events that make more of it stale. */
static void take_stale(struct xenfb_back *back, struct copy_job *job) __no_thread_safety_analysis
{
	if (!KSHIM_MUTANT(xenfb_stale_unlocked))
		spin_lock(&back->state_lock);
	take_stale_locked(back, job);
	if (!KSHIM_MUTANT(xenfb_stale_unlocked))
		spin_unlock(&back->state_lock);
}

/* Unless the geometry changed meanwhile: then all is stale anyway. */
static void give_back_stale(struct xenfb_back *back, const struct copy_job *job)
{
	guard(spinlock)(&back->state_lock);
	if (back->generation != job->generation)
		return;
	for (unsigned int i = 0; i < job->set.nr; i++)
		fb_rect_set_add(&back->stale, job->set.entry[i]);
}

static int fit_copy_locked(struct xenfb_back *back, const struct copy_job *job)
	__must_hold(back->copy_lock);
static void update_copy_locked(struct xenfb_back *back, struct copy_job *job)
	__must_hold(back->copy_lock);

/* Makes the copy one of the job's geometry. */
static int fit_copy_locked(struct xenfb_back *back, const struct copy_job *job)
{
	struct xenfb_geometry geometry = xenfb_copy_geometry(&job->layout, job->generation);
	char *copy;

	if (back->copy_geometry.generation == job->generation)
		return 0;
	copy = static_cast<char *>(
		kvzalloc((size_t)geometry.line_length * geometry.height, GFP_KERNEL));
	if (!copy) {
		xenfb_back_complain(back, "shows %ux%u at %u bits, for which there is no memory",
				    geometry.width, geometry.height, geometry.depth);
		return -ENOMEM;
	}
	kvfree(back->copy);
	back->copy = copy;
	back->copy_geometry = geometry;
	return 0;
}

static void update_copy_locked(struct xenfb_back *back, struct copy_job *job)
{
	take_stale(back, job);
	if (!job->set.nr || !back->frame)
		return;
	if (fit_copy_locked(back, job)) {
		give_back_stale(back, job);
		return;
	}
	job->frame = back->frame;
	job->rect = 0;
	job->y = 0;
	job->copy = back->copy;
	job->line_length = back->copy_geometry.line_length;
	job->bytes = 0;
	if (!copy_all(back, job))
		give_back_stale(back, job);
	guard(spinlock)(&back->state_lock);
	/* Mutant: what was told while pixels were read is forgotten with what was read (C1). */
	if (KSHIM_MUTANT(xenfb_forgets_stale))
		back->stale.nr = 0;
	back->stats.copies++;
	back->stats.bytes_copied += job->bytes;
}

/* The analysis cannot express "held if not null". */
const void *xenfb_back_lock_copy(struct xenfb_back *back,
				 struct xenfb_geometry *out) __no_thread_safety_analysis
{
	struct copy_job job;

	mutex_lock(&back->copy_lock);
	update_copy_locked(back, &job);
	if (!back->copy) {
		mutex_unlock(&back->copy_lock);
		return nullptr;
	}
	*out = back->copy_geometry;
	return back->copy;
}

void xenfb_back_unlock_copy(struct xenfb_back *back) __no_thread_safety_analysis
{
	mutex_unlock(&back->copy_lock);
}
