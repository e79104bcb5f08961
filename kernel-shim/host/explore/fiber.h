/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fibers: threads that only switch when told to.
 *
 * A context is where a fiber will go on. There are two kinds, and they mix in no world:
 *
 *	stack	Switching saves the callee-saved registers on the fiber's own stack and takes the
 *		other's; it makes no system call (swapcontext(3) makes two). On other processors
 *		than x86-64 swapcontext does the work. The sanitizers are told of every switch, so
 *		they know which stack is in use.
 *	thread	A thread of the host's that runs while it has the baton, and sleeps otherwise. Dear,
 *		but signals, stacks and thread-local storage are what they are in a program: worlds
 *		on the real MMU are made of these (fiber_thread.cc).
 */
#ifndef KSHIM_EXPLORE_FIBER_H
#define KSHIM_EXPLORE_FIBER_H

#include <atomic>
#include <pthread.h>
#include <setjmp.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define KSHIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KSHIM_ASAN 1
#endif
#endif
#ifndef KSHIM_ASAN
#define KSHIM_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define KSHIM_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KSHIM_TSAN 1
#endif
#endif
#ifndef KSHIM_TSAN
#define KSHIM_TSAN 0
#endif

#ifndef __x86_64__
#include <ucontext.h>
#endif

struct fiber_context {
	void *sp = nullptr;
	void (*entry)(void *) = nullptr;
	void *arg = nullptr;
	const void *stack = nullptr; /* null: the stack of an ordinary thread */
	size_t stack_bytes = 0;
	void *fake_stack = nullptr; /* the address sanitizer's */
	void *tsan_fiber = nullptr;
#ifndef __x86_64__
	ucontext_t uc;
#endif

	/* Of kind thread; `turn` also of the ordinary thread that switches to one. */
	bool is_thread = false;
	bool ended = false; /* left for the last time; the thread is on its way out */
	bool dying = false; /* given up where it sleeps */
	pthread_t thread = {};
	std::atomic<int> turn = 0; /* the baton */
	jmp_buf base;              /* where the thread began: how it ends */
};

/* Stacks are this big, with a page below that faults. */
constexpr size_t FIBER_STACK_BYTES = 256 * 1024;

/* Null when memory is short. */
void *fiber_stack_alloc();
void fiber_stack_free(void *stack);

/* Makes @ctx begin with @entry(@arg) on @stack; @entry must never return. */
void fiber_prepare(fiber_context *ctx, void *stack, void (*entry)(void *), void *arg);

/* The same as a thread of the host's, called @name. False: there are no more threads. */
[[nodiscard]] bool fiber_prepare_thread(fiber_context *ctx, void *stack, const char *name,
					void (*entry)(void *), void *arg);

/*
 * Leaves @from, which is what runs now, and goes on with @to. @last: nobody will come back to
 * @from.
 */
void fiber_switch(fiber_context *from, fiber_context *to, bool last = false);

/*
 * The context is not used any more, wherever it stopped: nothing of its stack is unwound. Not for
 * the one that runs.
 */
void fiber_drop(fiber_context *ctx);

/* fiber_thread.cc: fiber_switch() and fiber_drop() of kind thread. */
void fiber_thread_switch(fiber_context *from, fiber_context *to, bool last);
void fiber_thread_drop(fiber_context *ctx);

#endif
