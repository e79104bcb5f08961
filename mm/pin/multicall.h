/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * multicall.h - hypercalls, gathered and made at once
 *
 *      mc_right() mc_right() mc_ext() ... mc_callback()  -->  mc_flush(): one hypercall
 *                                                             then the callbacks, in order
 *
 * A batch has room for 32 entries; neighbouring pins and unpins share one. It flushes when full.
 * Callbacks run after all entries of their batch, whether they succeeded or not. The first failure
 * is in `err`; entries after it in the same batch have been made.
 */
#pragma once

#include <asm/xen/hypercall.h>
#include <linux/mm.h>

#define MC_BATCH 32u

struct mc_callback {
	void (*fn)(void *arg);
	void *arg;
};

struct mc_batch {
	unsigned int vcpu;
	unsigned int room; /* parameter pin.batch */
	unsigned int nr, nr_ops, nr_callbacks;
	int err;
	unsigned int flushes; /* hypercalls so far */
	struct multicall_entry calls[MC_BATCH];
	struct mmuext_op ops[MC_BATCH];
	struct mc_callback callbacks[MC_BATCH];
};

void mc_init(struct mc_batch *batch, unsigned int vcpu);
/* The frame's direct map lets stores through, or not. */
void mc_right(struct mc_batch *batch, struct page *page, bool writable);
/* MMUEXT_PIN_L*_TABLE and the like. */
void mc_ext(struct mc_batch *batch, unsigned int cmd, unsigned long pfn);
void mc_callback(struct mc_batch *batch, void (*fn)(void *arg), void *arg);
/* Return: batch->err. */
int mc_flush(struct mc_batch *batch);
