/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Error numbers: the system's, and the kernel's own that never reach a system call's caller.
 */
#include_next <linux/errno.h>

#ifndef KSHIM_LINUX_ERRNO_H
#define KSHIM_LINUX_ERRNO_H

#define ERESTARTSYS 512
#define ENOTSUPP 524

#endif
