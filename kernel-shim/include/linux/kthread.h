/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernel threads.
 *
 * A kthread runs threadfn(data) bound to the machine that made it. It ends by returning; whoever
 * made it calls kthread_stop() exactly once, whether it has returned already or not.
 * KSHIM: the task_struct stays valid until kthread_stop(). A thread that nobody stops is stopped,
 * with a warning, when its machine is destroyed.
 */
#ifndef KSHIM_LINUX_KTHREAD_H
#define KSHIM_LINUX_KTHREAD_H

#include <linux/err.h>
#include <linux/sched.h>

/**
 * kthread_create - make a thread that waits for wake_up_process()
 * Return: its task, or ERR_PTR(-ENOMEM) or ERR_PTR(-EAGAIN). May sleep.
 */
struct task_struct *kthread_create(int (*threadfn)(void *data), void *data, const char *namefmt,
				   ...) __attribute__((format(printf, 3, 4)));

#define kthread_run(threadfn, data, namefmt, ...)                                                  \
	({                                                                                         \
		struct task_struct *__kthread_task =                                               \
			kthread_create(threadfn, data, namefmt __VA_OPT__(, ) __VA_ARGS__);        \
		if (!IS_ERR(__kthread_task))                                                       \
			wake_up_process(__kthread_task);                                           \
		__kthread_task;                                                                    \
	})

/**
 * kthread_stop - make kthread_should_stop() true, wake the thread and wait for its end
 * Return: what threadfn returned, -EINTR when it was never woken. Frees @task. May sleep.
 */
int kthread_stop(struct task_struct *task);

/* For the thread itself: does somebody wait for it to end? */
bool kthread_should_stop(void);

#endif
