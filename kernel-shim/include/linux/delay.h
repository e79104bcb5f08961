/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sleeping for a time. For waiting for something there are wait queues. */
#ifndef KSHIM_LINUX_DELAY_H
#define KSHIM_LINUX_DELAY_H

#include <linux/types.h>

void msleep(unsigned int ms);
/* KSHIM: sleeps @min_us; the host's timers decide how much later it wakes. */
void usleep_range(unsigned long min_us, unsigned long max_us);
/* KSHIM: sleeps too (Linux burns the time). */
void udelay(unsigned long us);
void ndelay(unsigned long ns);

#endif
