/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What workqueue.cc and worker.cc share. The picture and the invariants are in workqueue.cc.
 */
#ifndef KSHIM_CORE_WORKQUEUE_H
#define KSHIM_CORE_WORKQUEUE_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

enum work_state { WORK_IDLE, WORK_TIMED, WORK_LISTED };

struct workqueue_state {
	spinlock_t lock; /* the work lock */
	struct list_head queues __guarded_by(lock);
	u64 sequence __guarded_by(lock); /* of the latest listing of any work */
	struct wait_queue_head done;     /* woken when a work has been executed or taken off */
	struct workqueue_struct *system;
};

struct workqueue_struct {
	struct workqueue_state *state;
	struct list_head node; /* of state->queues */
	char name[24];
	int max_active;
	/* Protected by the work lock. */
	struct list_head pending;
	struct list_head timed;
	struct list_head workers;
	int nr_workers;
	int nr_idle;
	bool stop;
	struct wait_queue_head more; /* idle workers, woken one a work */
};

struct worker {
	struct workqueue_struct *wq;
	struct list_head node; /* of wq->workers */
	struct task_struct *task;
	/* Protected by the work lock. */
	struct list_head scheduled;
	struct work_struct *current_work;
	u64 current_sequence;
};

#endif
