/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine: what owns everything.
 *
 * A pv_machine is a guest with its hypervisor and devices. No subsystem has state of its own in
 * the program: each hangs a private struct off the machine in its initcall and takes it away in
 * its exit. So a test makes a fresh world, and several machines live in one process.
 *
 *	pv_machine_create(config, calls)
 *	  core (slab, kthreads, timers, work queues, RCU)	always first
 *	  calls[0]->init  ->  calls[1]->init  ->  ...		a failure unwinds, in reverse
 *	pv_machine_destroy()
 *	  ... calls[1]->exit -> calls[0]->exit -> core		then what is left is reported
 *
 * I1. A thread is bound to one machine at a time, by machine_scope; kthreads, workers and timers
 *     are born bound. current_machine() is a load, fit for a signal handler.
 * I2. A subsystem's pointer is null before its init and after its exit.
 */
#ifndef KSHIM_MACHINE_H
#define KSHIM_MACHINE_H

#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/sched.h>
#include <linux/types.h>

struct kernel_param;
struct pv_machine;

/*
 * Where a line of the log goes. @line has neither level nor line feed. Called in any thread, maybe
 * in several at once.
 */
typedef void (*pv_machine_log_fn)(void *ctx, int level, const char *line);

struct pv_machine_config {
	size_t memory_bytes = 64ul << 20; /* guest memory, whole pages */
	/* Of that, what has a direct map: <linux/highmem.h>. Whole pages; 0: all. */
	size_t lowmem_bytes = 0;
	unsigned int nr_cpus = 0;    /* 0: as many as the host has */
	const char *name = "pvshim"; /* begins each line of the log; outlives the machine */
	int loglevel = 6;            /* lines of a level below this are logged (6: not KERN_INFO) */
	pv_machine_log_fn log = nullptr; /* null: standard error */
	void *log_ctx = nullptr;
	long fail_alloc = 0; /* as pv_machine_fail_alloc(), from the first allocation on */
	/*
	 * Settings of subsystems, "vmap.policy=eager ...": <linux/moduleparam.h>; outlives the
	 * machine.
	 */
	const char *params = nullptr;
	/* Told by each subsystem's initcall which settings there are; null: nobody asks. */
	void (*on_params)(void *ctx, const char *module, const struct kernel_param *params,
			  size_t nr) = nullptr;
	void *on_params_ctx = nullptr;
};

struct machine_initcall {
	const char *name;
	int (*init)(struct pv_machine *m);
	void (*exit)(struct pv_machine *m);
};

/* Each struct is known to its own room only. */
struct slab_state;
struct kthread_state;
struct timer_base;
struct workqueue_state;
struct rcu_state;
struct log_state;
struct mmu;
struct mm_state;
struct hypervisor;
struct xen_mmu;
struct xenbus;
struct xen_events;
struct fb_state;
struct xenfb_front_state;
struct xenfb_back_state;

struct pv_machine {
	struct pv_machine_config config;
	struct machine_initcalls *initcalls; /* what to undo; private to core/machine.cc */

	/* core's: <linux/printk.h>, slab.h, kthread.h, timer.h, workqueue.h, rcupdate.h */
	struct log_state *log;
	struct slab_state *slab;
	struct kthread_state *kthreads;
	struct timer_base *timers;
	struct workqueue_state *workqueues;
	struct rcu_state *rcu;

	struct mmu *mmu;
	struct mm_state *mm;
	struct hypervisor *hypervisor;
	struct xen_mmu *xen_mmu;
	struct xen_events *xen_events;
	struct xenbus *xenbus;
	struct fb_state *fb;
	struct xenfb_front_state *xenfb_front;
	struct xenfb_back_state *xenfb_back;
};

/**
 * pv_machine_create - make a machine and run its initcalls
 * @config: copied; null for the defaults
 * @calls: null-terminated, run in order, with the machine bound; null for none. core_initcall need
 *	not be there: it always runs first.
 *
 * May sleep. On a failing initcall those before it are undone in reverse, the failure is logged,
 * and nothing is left.
 * Return: the machine, or ERR_PTR of the initcall's error.
 */
struct pv_machine *pv_machine_create(const struct pv_machine_config *config,
				     const struct machine_initcall *const *calls);

/**
 * pv_machine_destroy - undo the initcalls in reverse and report what is left
 *
 * The caller must have stopped its own use of the machine. May sleep. Return: the number of
 * warnings of the machine's whole life, leaks included: a test expects 0.
 */
unsigned int pv_machine_destroy(struct pv_machine *m);

extern const struct machine_initcall core_initcall;

/* The machine that the calling thread is bound to; null when none. */
static inline struct pv_machine *current_machine(void)
{
	return get_current()->machine;
}

/* Binds the calling thread to a machine until the end of the scope. */
class machine_scope
{
public:
	explicit machine_scope(struct pv_machine *m) : previous_(get_current()->machine)
	{
		get_current()->machine = m;
	}
	~machine_scope() { get_current()->machine = previous_; }
	machine_scope(const machine_scope &) = delete;
	machine_scope &operator=(const machine_scope &) = delete;

private:
	struct pv_machine *previous_;
};

/* How often something warned (WARN_ON, leaks) in this machine. */
unsigned int pv_machine_warnings(const struct pv_machine *m);

/* Live kmalloc objects of the machine, and their bytes. */
struct slab_stats {
	size_t objects;
	size_t bytes;
};
struct slab_stats pv_machine_slab_stats(const struct pv_machine *m);

/**
 * pv_machine_fail_alloc - let the @nth allocation from now fail, once; 0 switches it off
 *
 * For "fail the Nth allocation for all N, then check for leaks".
 * Return: how many allocations were left to go when this was called; 0: it has happened.
 */
long pv_machine_fail_alloc(struct pv_machine *m, long nth);

/*
 * May the next allocation of guest pages and the like succeed? For allocators beside kmalloc that
 * take part in the failure injection.
 */
bool pv_machine_may_alloc(struct pv_machine *m);

#endif
