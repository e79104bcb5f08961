/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam between the kernel side and what it runs on.
 *
 * Everything in core/ (locks, wait queues, work queues, timers, kthreads, RCU callbacks, slab) is
 * written once, on these functions. A host implements them:
 *
 *	host/threads	pthreads, futexes, the monotonic clock: what users run
 *	host/explore	fibers, virtual time, a scheduler that chooses: what proves
 *
 * The host is bound when a file is compiled (KSHIM_EXPLORE), so the product pays nothing for it.
 *
 * I1. Sleeping happens in kshim_wait() and nowhere else.
 * I2. A shared word is touched through <linux/atomic.h> or READ_ONCE/WRITE_ONCE, which announce
 *     the access with kshim_point() before they make it. Plain data that locks guard may be
 *     announced by <linux/kcsan-checks.h>.
 * I3. Code of the kernel side asks for its thread and machine through kshim_self(), never through
 *     a thread_local of its own: an explorer's fibers share one.
 */
#ifndef KSHIM_HOST_H
#define KSHIM_HOST_H

#include <linux/types.h>

#ifndef KSHIM_EXPLORE
#define KSHIM_EXPLORE 0
#endif

/* No deadline: sleep until woken. */
#define KSHIM_FOREVER (~0ull)

/* Nanoseconds since some moment; never goes back. Virtual under the explorer. */
u64 kshim_now_ns(void);

/**
 * kshim_wait - sleep while *@word equals @expected
 * @word: the word; compared and put to sleep on in one step, so a change before the sleep is seen
 * @expected: the value that means "nothing to do yet"
 * @deadline_ns: kshim_now_ns() time to give up at, or KSHIM_FOREVER
 * @why: a string literal, shown for a thread that is stuck
 *
 * Return: 0 when woken or when the word differs (it may also return for no reason: look again),
 * -ETIMEDOUT when the deadline passed.
 */
int kshim_wait(const u32 *word, u32 expected, u64 deadline_ns, const char *why);

/**
 * kshim_wake - wake up to @n threads that sleep on @word; INT_MAX wakes all
 *
 * Only the address is used, so the word may be gone already: at worst a later owner of the address
 * is woken for no reason, which kshim_wait() permits.
 */
void kshim_wake(const u32 *word, int n);

/* What the access after a kshim_point() is going to do. */
enum kshim_point_kind {
	KSHIM_LOAD,
	KSHIM_STORE,
	KSHIM_RMW,
	KSHIM_CAS, /* a read-modify-write that may turn out to change nothing */
	KSHIM_FENCE,
	KSHIM_YIELD, /* no access: others may run (cond_resched, cpu_relax) */
};

/* What may go wrong for no reason that the program could see; explore_options::faults. */
enum kshim_fault_kind {
	KSHIM_FAULT_TRYLOCK = 1, /* a free lock is refused */
	KSHIM_FAULT_WAKEUP = 2,  /* kshim_wait() returns for no reason */
	KSHIM_FAULT_ALLOC = 4,   /* no memory */
};

/*
 * One object of each kind outlives worlds, because it is dear to make. kshim_kept() gives it to the
 * first who asks in a world, else null; kshim_keep() hands it over, and @drop takes it away in the
 * end. False: not in a world, or one is kept already.
 */
enum kshim_kept_kind {
	KSHIM_KEPT_MEMORY,   /* a guest's */
	KSHIM_KEPT_REAL_MMU, /* programs' addresses on the real MMU */
	KSHIM_KEPT_KINDS,
};

#if KSHIM_EXPLORE
/*
 * A point where another thread may be scheduled, before an access to @size bytes at @object.
 * @order: __ATOMIC_*; of a KSHIM_CAS the order when it fails, see kshim_cas_changed().
 */
void kshim_point(enum kshim_point_kind kind, const void *object, unsigned size,
		 int order = __ATOMIC_RELAXED);

/* The KSHIM_CAS announced last did change its word, with @order. */
void kshim_cas_changed(int order);

/* A plain access, no schedule point: is it ordered with those of other threads? */
void kshim_plain_access(const void *object, size_t size, bool write);
/* Accesses of this thread are not looked at while @delta's sum is above 0. */
void kshim_plain_quiet(int delta);

/* Shall it go wrong here? A choice of the schedule when the scenario wants such. */
bool kshim_fault(enum kshim_fault_kind kind, const char *what);

/* How reports call it: a function for an address of code, "block 3+8" for one of memory. */
void kshim_describe(const void *address, char *text, size_t bytes);

/* A choice of data among 0..@n-1 (which fault to inject, which waiter to wake). */
int kshim_choose(int n, const char *what);

/* Memory that goes away with the world; null outside of a world, or when there is no more. */
void *kshim_world_alloc(size_t bytes, size_t align);

void *kshim_kept(enum kshim_kept_kind kind);
bool kshim_keep(enum kshim_kept_kind kind, void *object, void (*drop)(void *object));

/* What the programs of worlds run on: explore_options, <kshim/explore.h>. */
enum class explore_mmu : u8 {
	soft,     /* a page table and TLBs of our own */
	uffd,     /* the real MMU: refused accesses are userfaultfd's SIGBUS */
	mprotect, /* the real MMU: they are SIGSEGV */
	real = uffd,
};

struct real_mmu;
struct kshim_world_mmu {
	enum explore_mmu kind;
	struct real_mmu *real; /* of this world: null at its start */
	u64 accesses, faults;  /* of the real MMU, in all worlds so far */
};
/* Null outside of a world. */
struct kshim_world_mmu *kshim_world_mmu(void);

/*
 * Ends the world here, with no verdict. Unfit: this schedule cannot be run on the real MMU, others
 * may. Misused: none can.
 */
[[noreturn]] void kshim_unfit(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
[[noreturn]] void kshim_misused(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * The @bytes at @alias are the memory at @memory: an access by either way is one to the same
 * object. Until kshim_unalias(), or the world's end. Whole pages.
 */
void kshim_alias(const void *alias, const void *memory, size_t bytes);
void kshim_unalias(const void *alias, size_t bytes);

/*
 * Part of a step: every processor is interrupted and has answered, as after the shootdown of a
 * mapping: stores that it has made are in memory.
 */
void kshim_interrupted_all(void);

/*
 * What reports and traces call the @bytes at @object; @name must stay, @number (-1: none) is put
 * after it. For the elements of an array the number is the index.
 */
void kshim_name(const void *object, size_t bytes, const char *name, long number = -1);
void kshim_name_array(const void *objects, size_t stride, size_t nr, const char *name);

/* A line of the trace, about something that no access shows. */
void kshim_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Takes a freed block so that later accesses are noticed; false: the caller frees it now. */
bool kshim_quarantine(void *block, size_t bytes);
#else
static inline void kshim_point(enum kshim_point_kind, const void *, unsigned,
			       int = __ATOMIC_RELAXED)
{
}

static inline void kshim_cas_changed(int) {}

static inline void kshim_plain_access(const void *, size_t, bool) {}

static inline void kshim_plain_quiet(int) {}

static inline bool kshim_fault(enum kshim_fault_kind, const char *)
{
	return false;
}

static inline int kshim_choose(int, const char *)
{
	return 0;
}

static inline void *kshim_world_alloc(size_t, size_t)
{
	return nullptr;
}

static inline void *kshim_kept(enum kshim_kept_kind)
{
	return nullptr;
}

static inline bool kshim_keep(enum kshim_kept_kind, void *, void (*)(void *))
{
	return false;
}

static inline void kshim_alias(const void *, const void *, size_t) {}

static inline void kshim_unalias(const void *, size_t) {}

static inline void kshim_interrupted_all(void) {}

static inline void kshim_name(const void *, size_t, const char *, long = -1) {}

static inline void kshim_name_array(const void *, size_t, size_t, const char *) {}

__attribute__((format(printf, 1, 2))) static inline void kshim_note(const char *, ...) {}

static inline bool kshim_quarantine(void *, size_t)
{
	return false;
}
#endif

/*
 * @object, which is called @name from now on. The initialisers of locks, works and timers name what
 * they are given by the text of their argument, as Linux's do for lockdep; within core, where that
 * text would say less than the caller's, they are called with parentheses around their names.
 */
template <typename T>
static inline T *kshim_named(T *object, const char *name)
{
	kshim_name(object, sizeof(T), name);
	return object;
}

struct kshim_thread;

/**
 * kshim_thread_start - run @fn(@arg) in a new thread
 * @name: copied; truncated to 15 bytes
 *
 * Return: the thread, which must be joined, or ERR_PTR(-EAGAIN) or ERR_PTR(-ENOMEM).
 */
struct kshim_thread *kshim_thread_start(const char *name, void (*fn)(void *), void *arg);

/* Waits until @thread's function has returned and frees @thread. -EDEADLK for the caller itself. */
int kshim_thread_join(struct kshim_thread *thread);

/* Lets other threads run. */
void kshim_yield(void);

/* The processor this runs on, and how many there are. The model's processors when exploring. */
unsigned kshim_cpu(void);
unsigned kshim_nr_cpus(void);

/*
 * Room in each thread for the kernel side's idea of it (struct task_struct, <linux/sched.h>).
 * Zero when the thread starts, also in threads that this library did not start; exit_fn, when set,
 * is called by the host as the thread's last act.
 */
#define KSHIM_SELF_BYTES 256

struct kshim_self {
	void *task; /* what `current` is; null: `storage` */
	void (*exit_fn)(struct kshim_self *self);
	alignas(16) unsigned char storage[KSHIM_SELF_BYTES];
};

#if KSHIM_EXPLORE
struct kshim_self *kshim_self(void);
#else
extern __thread struct kshim_self kshim_self_of_thread;

static inline struct kshim_self *kshim_self(void)
{
	return &kshim_self_of_thread;
}
#endif

/* Makes the host call self->exit_fn when the calling thread ends. 0 or -errno. */
int kshim_self_set_exit(void (*exit_fn)(struct kshim_self *self));

/* The program is wrong and must not go on: aborts, or reports a violation with its schedule. */
[[noreturn]] void kshim_violation(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* One line for the outside when there is no machine to log it: standard error, or the trace. */
void kshim_write_log(const char *line, size_t length);

#endif
