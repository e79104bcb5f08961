/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * uffd.h - what younger kernels define in <linux/userfaultfd.h>
 *
 * The headers of Debian 12 are older than what we ask the kernel for; whether the kernel can do it
 * is found out when it runs (uffd_open.cc).
 */
#ifndef KSHIM_MMU_UFFD_H
#define KSHIM_MMU_UFFD_H

#include <linux/userfaultfd.h>

#ifndef UFFDIO_CONTINUE_MODE_WP
#define UFFDIO_CONTINUE_MODE_WP ((__u64)1 << 1)
#endif

#define UFFD_MODES                                                                                 \
	(UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP | UFFDIO_REGISTER_MODE_MINOR)

#endif
