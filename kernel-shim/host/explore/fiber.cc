// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fibers: see fiber.h.
 *
 *	stack of a fiber that does not run	 stack of one that never ran
 *	  rbp rbx r12 r13 r14 r15		   0 0 ctx 0 0 0
 *	  return address of the switch		   fiber_first_step
 *	  ^ sp (r15's place)
 *
 * The floating point control words are not saved: nobody here changes them.
 */
#include "fiber.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if KSHIM_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if KSHIM_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#ifdef __x86_64__
extern "C" void kshim_fiber_swap(void **save_sp, void *sp);
extern "C" void kshim_fiber_first_step();
extern "C" void kshim_fiber_main(fiber_context *ctx);

__asm__(".text\n"
	".p2align 4\n"
	".hidden kshim_fiber_swap\n"
	".globl kshim_fiber_swap\n"
	".type kshim_fiber_swap, @function\n"
	"kshim_fiber_swap:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size kshim_fiber_swap, . - kshim_fiber_swap\n"
	".hidden kshim_fiber_first_step\n"
	".globl kshim_fiber_first_step\n"
	".type kshim_fiber_first_step, @function\n"
	"kshim_fiber_first_step:\n"
	"	movq %r12, %rdi\n"
	"	call kshim_fiber_main\n"
	"	ud2\n"
	".size kshim_fiber_first_step, . - kshim_fiber_first_step\n");
#endif

/* The context that the running switch leaves; the one switched to needs it once. */
static __thread fiber_context *leaving;

static void switch_started(fiber_context *from, fiber_context *to, bool last)
{
	leaving = from;
#if KSHIM_ASAN
	__sanitizer_start_switch_fiber(last ? nullptr : &from->fake_stack, to->stack,
				       to->stack_bytes);
#endif
#if KSHIM_TSAN
	if (!from->tsan_fiber)
		from->tsan_fiber = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
	(void)last;
	(void)to;
}

static void switch_finished(fiber_context *self)
{
#if KSHIM_ASAN
	const void *stack;
	size_t bytes;

	__sanitizer_finish_switch_fiber(self->fake_stack, &stack, &bytes);
	/* An ordinary thread's stack becomes known when it is first left. */
	if (!leaving->stack) {
		leaving->stack = stack;
		leaving->stack_bytes = bytes;
	}
#endif
	(void)self;
}

extern "C" __attribute__((used)) void kshim_fiber_main(fiber_context *ctx)
{
	switch_finished(ctx);
	ctx->entry(ctx->arg);
	abort(); /* entry returned */
}

#ifndef __x86_64__
static void first_step_uc(unsigned int low, unsigned int high)
{
	kshim_fiber_main((fiber_context *)(((uintptr_t)high << 32) | low));
}
#endif

void *fiber_stack_alloc()
{
	size_t guard = (size_t)sysconf(_SC_PAGESIZE);
	void *p = mmap(nullptr, FIBER_STACK_BYTES + guard, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return nullptr;
	if (mprotect(p, guard, PROT_NONE)) {
		munmap(p, FIBER_STACK_BYTES + guard);
		return nullptr;
	}
	return (char *)p + guard;
}

void fiber_stack_free(void *stack)
{
	size_t guard = (size_t)sysconf(_SC_PAGESIZE);

	munmap((char *)stack - guard, FIBER_STACK_BYTES + guard);
}

void fiber_prepare(fiber_context *ctx, void *stack, void (*entry)(void *), void *arg)
{
	ctx->entry = entry;
	ctx->arg = arg;
	ctx->stack = stack;
	ctx->stack_bytes = FIBER_STACK_BYTES;
	ctx->fake_stack = nullptr;
#if KSHIM_ASAN
	/* Frames of a fiber that was given up left their red zones. */
	__asan_unpoison_memory_region(stack, FIBER_STACK_BYTES);
#endif
#if KSHIM_TSAN
	ctx->tsan_fiber = __tsan_create_fiber(0);
#endif
#ifdef __x86_64__
	void **sp = (void **)((char *)stack + FIBER_STACK_BYTES);

	*--sp = nullptr; /* the first step begins with an aligned stack */
	*--sp = nullptr;
	*--sp = (void *)kshim_fiber_first_step;
	*--sp = nullptr; /* rbp */
	*--sp = nullptr; /* rbx */
	*--sp = ctx;     /* r12 */
	*--sp = nullptr; /* r13 */
	*--sp = nullptr; /* r14 */
	*--sp = nullptr; /* r15 */
	ctx->sp = sp;
#else
	getcontext(&ctx->uc);
	ctx->uc.uc_stack.ss_sp = stack;
	ctx->uc.uc_stack.ss_size = FIBER_STACK_BYTES;
	ctx->uc.uc_link = nullptr;
	makecontext(&ctx->uc, (void (*)())first_step_uc, 2, (unsigned int)(uintptr_t)ctx,
		    (unsigned int)((uintptr_t)ctx >> 32));
#endif
}

void fiber_switch(fiber_context *from, fiber_context *to, bool last)
{
	if (from->is_thread || to->is_thread) {
		fiber_thread_switch(from, to, last);
		return;
	}
	switch_started(from, to, last);
#ifdef __x86_64__
	kshim_fiber_swap(&from->sp, to->sp);
#else
	swapcontext(&from->uc, &to->uc);
#endif
	switch_finished(from);
}

void fiber_drop(fiber_context *ctx)
{
	if (ctx->is_thread) {
		fiber_thread_drop(ctx);
		return;
	}
#if KSHIM_TSAN
	if (ctx->tsan_fiber && ctx->stack)
		__tsan_destroy_fiber(ctx->tsan_fiber);
#endif
	ctx->tsan_fiber = nullptr;
}
