/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Time in nanoseconds of the host's monotonic clock. */
#ifndef KSHIM_LINUX_KTIME_H
#define KSHIM_LINUX_KTIME_H

#include <kshim/host.h>

#define NSEC_PER_USEC 1000L
#define NSEC_PER_MSEC 1000000L
#define NSEC_PER_SEC 1000000000L
#define USEC_PER_MSEC 1000L
#define USEC_PER_SEC 1000000L
#define MSEC_PER_SEC 1000L

typedef s64 ktime_t;

static inline ktime_t ktime_get(void)
{
	return (ktime_t)kshim_now_ns();
}

static inline u64 ktime_get_ns(void)
{
	return kshim_now_ns();
}

#define ktime_sub(a, b) ((ktime_t)((a) - (b)))
#define ktime_add(a, b) ((ktime_t)((a) + (b)))
#define ktime_add_ns(kt, ns) ((ktime_t)((kt) + (s64)(ns)))
#define ktime_to_ns(kt) ((s64)(kt))
#define ktime_to_us(kt) ((s64)(kt) / NSEC_PER_USEC)
#define ktime_to_ms(kt) ((s64)(kt) / NSEC_PER_MSEC)
#define ns_to_ktime(ns) ((ktime_t)(ns))
#define ktime_us_delta(a, b) ktime_to_us(ktime_sub(a, b))
#define ktime_before(a, b) ((a) < (b))
#define ktime_after(a, b) ((a) > (b))

#endif
