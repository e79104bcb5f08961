/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * video/damage_scan.h - where do two byte ranges differ
 *
 * The inner loop of the product: at full motion every byte of the screen goes through it once per
 * period. One pass over up to a page gives a bit per 64-byte block; no branch depends on the
 * data, so equal and different pages cost the same and the loop runs at the speed of memory. A
 * page of two buffers fits into the first-level cache, so that looking again at a block that
 * differs, and copying it, is nearly free.
 */
#pragma once

#include <linux/types.h>

constexpr size_t FB_SCAN_BLOCK = 64;
constexpr size_t FB_SCAN_MAX = 64 * FB_SCAN_BLOCK;

/**
 * fb_scan_blocks - bit i is set when block i of @a and @b differs
 * @nr: whole blocks, at most 64
 */
u64 fb_scan_blocks(const void *a, const void *b, unsigned int nr);

/**
 * fb_scan_copy - the same of @src and @with, and copies @src to @dst on the way
 *
 * Each byte of @src is loaded once: what is in @dst is what was compared, whatever somebody stores
 * into @src meanwhile. As fast as a compare alone when @dst is in the first-level cache.
 */
u64 fb_scan_copy(void *dst, const void *src, const void *with, unsigned int nr);

/* Index of the first byte that differs, or @len. */
size_t fb_scan_first(const void *a, const void *b, size_t len);

/* Index after the last byte that differs, or 0. */
size_t fb_scan_last(const void *a, const void *b, size_t len);
