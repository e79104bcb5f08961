/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KSHIM: a jiffy is one microsecond (Linux: 1 to 10 ms), since refresh periods are counted in
 * them, and the counter is 64 bits of the host's clock, read when asked for: nothing ticks.
 */
#ifndef KSHIM_LINUX_JIFFIES_H
#define KSHIM_LINUX_JIFFIES_H

#include <kshim/host.h>

#define HZ 1000000UL
#define KSHIM_NSEC_PER_JIFFY 1000u

struct kshim_jiffies {
	operator unsigned long() const { return kshim_now_ns() / KSHIM_NSEC_PER_JIFFY; }
};
inline constexpr struct kshim_jiffies jiffies;

static inline u64 get_jiffies_64(void)
{
	return jiffies;
}

static inline bool time_after(unsigned long a, unsigned long b)
{
	return (long)(b - a) < 0;
}

static inline bool time_before(unsigned long a, unsigned long b)
{
	return time_after(b, a);
}

static inline bool time_after_eq(unsigned long a, unsigned long b)
{
	return !time_before(a, b);
}

static inline bool time_before_eq(unsigned long a, unsigned long b)
{
	return !time_after(a, b);
}

static inline unsigned long msecs_to_jiffies(unsigned int ms)
{
	return ms * (HZ / 1000);
}

static inline unsigned long usecs_to_jiffies(unsigned int us)
{
	return us * (HZ / 1000000);
}

static inline unsigned int jiffies_to_msecs(unsigned long j)
{
	return (unsigned int)(j / (HZ / 1000));
}

static inline unsigned int jiffies_to_usecs(unsigned long j)
{
	return (unsigned int)j;
}

static inline u64 jiffies_to_nsecs(unsigned long j)
{
	return (u64)j * KSHIM_NSEC_PER_JIFFY;
}

static inline unsigned long nsecs_to_jiffies(u64 ns)
{
	return ns / KSHIM_NSEC_PER_JIFFY;
}

#endif
