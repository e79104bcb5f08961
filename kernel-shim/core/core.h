/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of core/ know of each other: how each part of a machine is set up and taken away,
 * in this order (see machine.cc).
 */
#ifndef KSHIM_CORE_CORE_H
#define KSHIM_CORE_CORE_H

#include <kshim/machine.h>

struct timer_list;

[[nodiscard]] int log_init(struct pv_machine *m);
void log_exit(struct pv_machine *m);

[[nodiscard]] int slab_init(struct pv_machine *m);
void slab_exit(struct pv_machine *m);

[[nodiscard]] int kthreads_init(struct pv_machine *m);
void kthreads_exit(struct pv_machine *m);

[[nodiscard]] int timers_init(struct pv_machine *m);
void timers_exit(struct pv_machine *m);
/* Waits until the timer's function, if it is running, has returned. Not from that function. */
void timer_wait_running(struct timer_list *timer);

[[nodiscard]] int rcu_init(struct pv_machine *m);
void rcu_exit(struct pv_machine *m);

[[nodiscard]] int workqueues_init(struct pv_machine *m);
void workqueues_exit(struct pv_machine *m);

#endif
