/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux/gfp.h - pages
 *
 * KSHIM: every allocation may sleep and none can fail for want of reclaim; a gfp_t only says
 * whether the page is zeroed. Node, zone and retry flags do not exist.
 */
#pragma once

#include <linux/gfp_types.h>
#include <linux/types.h>

struct page;

/**
 * alloc_pages - 2^@order contiguous frames, each with one reference
 * Return: the first page, or null when the machine's memory is full. The pages are freed one by
 * one.
 */
struct page *alloc_pages(gfp_t gfp, unsigned int order);

static inline struct page *alloc_page(gfp_t gfp)
{
	return alloc_pages(gfp, 0);
}

/* Drops the caller's reference; same as put_page(). */
void __free_page(struct page *page);
void __free_pages(struct page *page, unsigned int order);

/**
 * alloc_pages_bulk - @nr pages, in runs as long as memory allows
 *
 * Contiguous frames make long mappings with few kernel objects behind them. All or nothing.
 * Return: 0, or -ENOMEM with no page taken.
 */
[[nodiscard]] int alloc_pages_bulk(gfp_t gfp, unsigned long nr, struct page **pages);

/* By address in the direct map; 0 when memory is full. */
unsigned long __get_free_page(gfp_t gfp);
unsigned long get_zeroed_page(gfp_t gfp);
void free_page(unsigned long addr);

/* Frames of the machine that nobody holds, and all that can be allocated. */
unsigned long nr_free_pages(void);
unsigned long totalram_pages(void);
