/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work queues: functions to be called soon, in a thread that may sleep.
 *
 *	idle --queue_work--> listed --worker--> executing --> idle
 *	  |                    ^                   | queue_work: listed again, runs once more after
 *	  +-queue_delayed_work-> timed --due--> listed
 *
 * I1. A work is pending (timed or listed) at most once: queueing a pending work does nothing and
 *     returns false. It stops being pending right before its function is called.
 * I2. A work never executes in two workers at once, whatever is queued when.
 * I3. Everything stored before queue_work() is seen by the function.
 * I4. The function may free its work.
 *
 * KSHIM: each queue has its own workers, started when there is work for them, up to max_active,
 * and asleep without a timeout when there is none. An executing work's queue must not be destroyed.
 */
#ifndef KSHIM_LINUX_WORKQUEUE_H
#define KSHIM_LINUX_WORKQUEUE_H

#include <linux/timer.h>
#include <linux/types.h>

struct work_struct;
struct workqueue_state;
struct workqueue_struct;
typedef void (*work_func_t)(struct work_struct *work);

struct work_struct {
	work_func_t func;
	/* Private to core/workqueue.cc, protected by the machine's work lock. */
	struct workqueue_state *owner; /* the machine's; set when it is first queued */
	struct workqueue_struct *wq;   /* while timed or listed */
	struct list_head entry;        /* on a list of wq while timed or listed */
	u64 sequence;                  /* of its latest queueing */
	u32 state;                     /* idle, timed or listed */
	u32 cancelling;                /* threads in cancel_*_sync: queueing fails */
};

struct delayed_work {
	struct work_struct work;
	struct timer_list timer;
};

#define INIT_WORK(work, fn) kshim_init_work(kshim_named((work), #work), (fn))
#define INIT_WORK_ONSTACK(work, fn) INIT_WORK(work, fn)
/* Binds the work's timer to current_machine(). */
#define INIT_DELAYED_WORK(dwork, fn) kshim_init_delayed_work(kshim_named((dwork), #dwork), (fn))
void kshim_init_work(struct work_struct *work, work_func_t func);
void kshim_init_delayed_work(struct delayed_work *dwork, work_func_t func);

static inline struct delayed_work *to_delayed_work(struct work_struct *work)
{
	return container_of(work, struct delayed_work, work);
}

/* Accepted and without effect here: queues are unbound, and no thread is short of memory. */
#define WQ_UNBOUND 0x02u
#define WQ_FREEZABLE 0x04u
#define WQ_MEM_RECLAIM 0x08u
#define WQ_HIGHPRI 0x10u
#define WQ_DFL_ACTIVE 4
#define WQ_MAX_ACTIVE 64

/**
 * alloc_workqueue - make a queue, with its first worker
 * @fmt: its name
 * @flags: WQ_*
 * @max_active: how many works may execute at once; 0 means WQ_DFL_ACTIVE
 *
 * May sleep. Return: the queue, to be given to destroy_workqueue(); null without memory.
 */
struct workqueue_struct *alloc_workqueue(const char *fmt, unsigned int flags, int max_active, ...)
	__attribute__((format(printf, 1, 4)));
#define alloc_ordered_workqueue(fmt, flags, ...)                                                   \
	alloc_workqueue(fmt, flags, 1 __VA_OPT__(, ) __VA_ARGS__)

/* Executes what is listed (and what that lists), then ends the workers. No work may be timed. */
void destroy_workqueue(struct workqueue_struct *wq);

/* Any context. Return: false when the work was pending already. */
bool queue_work(struct workqueue_struct *wq, struct work_struct *work);
bool queue_delayed_work(struct workqueue_struct *wq, struct delayed_work *dwork,
			unsigned long delay);
/**
 * mod_delayed_work - make the delay @delay jiffies from now, whether the work is pending or not
 *
 * A listed work goes back to the timer. Return: true when it was pending.
 */
bool mod_delayed_work(struct workqueue_struct *wq, struct delayed_work *dwork, unsigned long delay);

/* Waits until the latest queueing before the call has executed. Return: true when it waited. */
bool flush_work(struct work_struct *work);
/* Executes a timed work now, and waits. */
bool flush_delayed_work(struct delayed_work *dwork);
/* Waits for everything that was queued (and listed) before the call. */
void flush_workqueue(struct workqueue_struct *wq);

/* The work is not pending when these return. Return: true when it was. */
bool cancel_work(struct work_struct *work);
bool cancel_delayed_work(struct delayed_work *dwork);
/* Nor is it executing; queueing it meanwhile fails, also from its own function. */
bool cancel_work_sync(struct work_struct *work);
bool cancel_delayed_work_sync(struct delayed_work *dwork);

/* Timed, listed. */
bool work_pending(struct work_struct *work);
static inline bool delayed_work_pending(struct delayed_work *dwork)
{
	return work_pending(&dwork->work);
}
/* Timed, listed or executing; a hint. */
bool work_busy(struct work_struct *work);

/* The work that the calling thread executes, or null. */
struct work_struct *current_work(void);

/* The machine's general queue. KSHIM: an object that becomes current_machine()'s queue. */
struct kshim_system_wq {
	operator struct workqueue_struct *() const;
};
inline constexpr struct kshim_system_wq system_wq;
inline constexpr struct kshim_system_wq system_unbound_wq;

static inline bool schedule_work(struct work_struct *work)
{
	return queue_work(system_wq, work);
}

static inline bool schedule_delayed_work(struct delayed_work *dwork, unsigned long delay)
{
	return queue_delayed_work(system_wq, dwork, delay);
}

#endif
