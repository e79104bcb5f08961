/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux/rmap.h - from a page to its mappings
 */
#pragma once

struct page;

/**
 * page_mkclean - write-protect @page in every VMA that maps it
 *
 * When it returns, every processor's next store into the page faults. The caller holds the page
 * lock, and so no PTE of the page is being installed. Takes i_mmap_rwsem for reading. May sleep.
 * Return: the number of PTEs that were writable.
 */
int page_mkclean(struct page *page);
