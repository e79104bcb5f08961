/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * direct_map.h - the parts of <kshim/direct_map.h>
 *
 *      direct_map.cc                   rights, runs of frames, who handles refused stores
 *      threads/direct_map_threads.cc   a signal to the handler
 *      explore/soft_direct_map.cc      rights and TLBs in the model; the same on the real MMU
 */
#ifndef KSHIM_MMU_DIRECT_MAP_H
#define KSHIM_MMU_DIRECT_MAP_H

#include "mmu_internal.h"

#include <kshim/direct_map.h>

typedef enum write_fault_result (*write_fault_handler)(struct write_fault *fault);

struct soft_direct_map;

struct direct_map {
	write_fault_handler handler;  /* atomic */
	struct soft_direct_map *soft; /* explorer only */
	u8 read_only[];               /* of each frame; atomic */
};

/*
 * The host's part: a run of frames changes its rights, and is marked. 0 or -ENOMEM. In the model
 * each frame is a step.
 */
[[nodiscard]] int direct_map_host_protect(struct mmu *mmu, unsigned long pfn, unsigned long nr,
					  enum mmu_prot prot);
[[nodiscard]] int direct_map_host_init(struct mmu *mmu);
void direct_map_host_exit(struct mmu *mmu);

/* mprotect(2) */
[[nodiscard]] int direct_map_mprotect(struct mmu *mmu, unsigned long pfn, unsigned long nr,
				      enum mmu_prot prot);

static inline bool in_direct_map(const struct mmu *mmu, unsigned long addr)
{
	return (addr - (unsigned long)mmu->window) >> PAGE_SHIFT < mmu->nr_lowmem;
}

#endif
