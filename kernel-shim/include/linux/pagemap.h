/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux/pagemap.h - pages of files. The page lock and the address_space live in linux/mm.h and
 * linux/fs.h.
 */
#pragma once

#include <linux/fs.h>
#include <linux/mm.h>

/* The file page that @address of @vma shows. */
static inline pgoff_t linear_page_index(const struct vm_area_struct *vma, unsigned long address)
{
	return vma->vm_pgoff + ((address - vma->vm_start) >> PAGE_SHIFT);
}
