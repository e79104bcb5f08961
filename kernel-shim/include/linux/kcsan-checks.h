/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plain accesses, announced: "here is read, or written, what others must keep away from".
 *
 *	kcsan_check_write(&queue->head, sizeof(queue->head));
 *	queue->head = head;			// under queue->lock
 *
 * KSHIM: Linux's sanitizer waits a moment and looks whether somebody else came by. The explorer
 * knows what happened before what (explore_options::races): two accesses to a byte, one of them a
 * write, by two threads and with nothing that orders them, are a violation in whatever schedule
 * they occur. In the product nothing is left of it.
 */
#ifndef KSHIM_LINUX_KCSAN_CHECKS_H
#define KSHIM_LINUX_KCSAN_CHECKS_H

#include <kshim/host.h>

#define kcsan_check_read(ptr, size) kshim_plain_access((ptr), (size), false)
#define kcsan_check_write(ptr, size) kshim_plain_access((ptr), (size), true)

/* What the current thread does in between is not looked at. Nests. */
static inline void kcsan_disable_current(void)
{
	kshim_plain_quiet(1);
}

static inline void kcsan_enable_current(void)
{
	kshim_plain_quiet(-1);
}

#endif
