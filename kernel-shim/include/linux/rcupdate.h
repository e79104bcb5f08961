/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RCU: readers that take no lock; writers that wait until readers of the old are gone.
 *
 *	rcu_read_lock();			rcu_assign_pointer(p, fresh);
 *	o = rcu_dereference(p);			synchronize_rcu();
 *	...					kfree(old);
 *	rcu_read_unlock();
 *
 * KSHIM: in the threads build this is liburcu's memb flavour, hidden in core/rcu.cc; a thread is
 * registered at its first rcu_read_lock(). A reader must not sleep for something that waits for a
 * grace period. Callbacks of call_rcu() run in a kthread of the machine; it sleeps while there are
 * none.
 */
#ifndef KSHIM_LINUX_RCUPDATE_H
#define KSHIM_LINUX_RCUPDATE_H

#include <asm/barrier.h>
#include <kshim/mutant.h>
#include <linux/cleanup.h>
#include <linux/types.h>

#define __rcu

void rcu_read_lock(void);
void rcu_read_unlock(void);
bool rcu_read_lock_held(void);

/* May sleep; not inside a read section. */
void synchronize_rcu(void);

/* Calls @func(@head) after a grace period. Any context but the callback's own read sections. */
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));
/* Waits until every call_rcu() of this machine before the call has been executed. */
void rcu_barrier(void);

#define rcu_dereference(p) kshim_load(&(p), __ATOMIC_ACQUIRE)
#define rcu_dereference_protected(p, condition) (p)
#define rcu_access_pointer(p) READ_ONCE(p)
/* Mutant: readers may find the pointer before what it points to. Only the race check tells. */
#define rcu_assign_pointer(p, value)                                                               \
	kshim_store(&(p), (value),                                                                 \
		    KSHIM_MUTANT(rcu_publish_relaxed) ? __ATOMIC_RELAXED : __ATOMIC_RELEASE)
#define RCU_INIT_POINTER(p, value) WRITE_ONCE(p, value)

/* kfree(@ptr) after a grace period; @field: its struct rcu_head. */
#define kfree_rcu(ptr, field) kshim_kfree_rcu(&(ptr)->field, offsetof(__typeof__(*(ptr)), field))
void kshim_kfree_rcu(struct rcu_head *head, size_t offset);

DEFINE_LOCK_GUARD_0(rcu, rcu_read_lock, rcu_read_unlock)

#endif
