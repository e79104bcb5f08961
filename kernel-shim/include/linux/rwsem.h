/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locks that many readers or one writer hold.
 *
 *	word:  [ W | S |        readers        ]
 *	        31  30  29                    0
 *
 * W a writer holds it, S somebody sleeps. While S is set newcomers queue too, so that readers who
 * come and go cannot keep a writer out for ever. A reader must not take it again: a writer between
 * the two is a deadlock, as in Linux.
 */
#ifndef KSHIM_LINUX_RWSEM_H
#define KSHIM_LINUX_RWSEM_H

#include <kshim/host.h>
#include <linux/cleanup.h>
#include <linux/compiler.h>

struct task_struct;

struct __capability("rwsem") rw_semaphore
{
	u32 word;
	struct task_struct *owner; /* the writer */
};

#define __RWSEM_INITIALIZER(name)                                                                  \
	{                                                                                          \
	}
#define DECLARE_RWSEM(name) struct rw_semaphore name = __RWSEM_INITIALIZER(name)

void init_rwsem(struct rw_semaphore *sem);
#define init_rwsem(sem) (init_rwsem)(kshim_named((sem), #sem))
void down_read(struct rw_semaphore *sem) __acquires_shared(sem);
bool down_read_trylock(struct rw_semaphore *sem) __try_acquires_shared(true, sem);
void up_read(struct rw_semaphore *sem) __releases_shared(sem);
void down_write(struct rw_semaphore *sem) __acquires(sem);
bool down_write_trylock(struct rw_semaphore *sem) __try_acquires(true, sem);
void up_write(struct rw_semaphore *sem) __releases(sem);
/* From writer to reader, with no writer in between. */
void downgrade_write(struct rw_semaphore *sem) __no_thread_safety_analysis;
bool rwsem_is_locked(const struct rw_semaphore *sem);

DEFINE_LOCK_GUARD_1(rwsem_write, struct rw_semaphore, down_write, up_write)
DEFINE_LOCK_GUARD_1_SHARED(rwsem_read, struct rw_semaphore, down_read, up_read)

#endif
