/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocation flags. KSHIM: only __GFP_ZERO, __GFP_NOWARN and __GFP_NOFAIL change anything here;
 * the others document the caller.
 */
#ifndef KSHIM_LINUX_GFP_TYPES_H
#define KSHIM_LINUX_GFP_TYPES_H

#include <linux/types.h>

#define __GFP_HIGHMEM ((gfp_t)0x02)
#define __GFP_ZERO ((gfp_t)0x100)
#define __GFP_NOWARN ((gfp_t)0x200)
#define __GFP_NOFAIL ((gfp_t)0x400)
#define __GFP_RECLAIM ((gfp_t)0x800)
#define GFP_ATOMIC ((gfp_t)0x1000)
#define GFP_NOWAIT ((gfp_t)0x2000)
#define GFP_KERNEL (__GFP_RECLAIM)
#define GFP_USER (__GFP_RECLAIM)
#define GFP_HIGHUSER (GFP_USER | __GFP_HIGHMEM)

#endif
