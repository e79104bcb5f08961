/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Timers: a function to be called once, when jiffies reaches a value.
 *
 * KSHIM: the functions run in the machine's one timer thread (Linux: soft interrupt), one after
 * another, bound to the machine. They must not wait for other timers. The thread sleeps until the
 * next deadline, for ever when there is none: an idle machine does not wake up.
 *
 *	idle --mod_timer--> pending --due--> running --> idle
 *	                      |  ^              | mod_timer from anywhere: pending again
 *	                      +--+ mod_timer    v
 *
 * I1. A timer runs in one thread, so it never runs beside itself.
 * I2. After del_timer_sync() it is idle and its function has returned, provided nobody arms it.
 */
#ifndef KSHIM_LINUX_TIMER_H
#define KSHIM_LINUX_TIMER_H

#include <kshim/host.h>
#include <linux/container_of.h>
#include <linux/jiffies.h>
#include <linux/types.h>

struct pv_machine;

struct timer_list {
	void (*function)(struct timer_list *timer);
	u32 flags;
	/* Private to core/timer.cc, protected by the timer base's lock. */
	unsigned long expires;
	u64 sequence; /* equal deadlines run in the order they were armed */
	struct timer_base *base;
	struct timer_list *child, *sibling, *prev; /* pairing heap */
	bool pending;
};

struct timer_base;

/* Binds the timer to current_machine(). */
void timer_setup(struct timer_list *timer, void (*function)(struct timer_list *), u32 flags);
#define timer_setup(timer, function, flags)                                                        \
	(timer_setup)(kshim_named((timer), #timer), function, flags)

/* Arms it, or moves its deadline. Return: 1 when it was pending, else 0. Any context. */
int mod_timer(struct timer_list *timer, unsigned long expires);
void add_timer(struct timer_list *timer);
/* Return: 1 when it was pending. The function may still be running. */
int del_timer(struct timer_list *timer);
/* Also waits until the function has returned; not from the function itself. */
int del_timer_sync(struct timer_list *timer);
bool timer_pending(const struct timer_list *timer);

#define timer_delete(timer) del_timer(timer)
#define timer_delete_sync(timer) del_timer_sync(timer)
#define from_timer(var, timer, member) container_of(timer, __typeof__(*var), member)

#endif
