// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fibers that are threads of the host's (fiber.h).
 *
 *	A	... turn of B = 1, waits for its own turn		... goes on
 *	B	waits for its turn	... goes on ... turn of A = 1, waits for its own
 *
 * T1. Whoever has the baton runs; it is handed over by a release and taken by an acquire, so what
 *     one wrote before is there for the next, as it is on one stack after the other.
 * T2. A thread ends at its beginning: it jumps to where it started, out of signal handlers too, and
 *     returns. That undoes nothing on the way (worlds that are given up leave nothing to undo) and
 *     is an ordinary end to the C library and the sanitizers.
 * T3. Who drops a context waits until its thread is gone, so its stack is free.
 */
#include "fiber.h"

#include <linux/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "pvshim: BUG: a thread of the explorer cannot be %s: %s\n", what,
		strerror(err));
	abort();
}

static void give_turn(fiber_context *to)
{
	to->turn.store(1, std::memory_order_release);
	to->turn.notify_one();
}

static void wait_for_turn(fiber_context *self)
{
	while (!self->turn.exchange(0, std::memory_order_acquire))
		self->turn.wait(0, std::memory_order_relaxed);
	if (self->dying)
		_longjmp(self->base, 1);
}

static void *thread_main(void *arg)
{
	fiber_context *self = (fiber_context *)arg;

	if (!_setjmp(self->base)) {
		wait_for_turn(self);
		self->entry(self->arg);
		abort(); /* entry returned */
	}
	return nullptr;
}

bool fiber_prepare_thread(fiber_context *ctx, void *stack, const char *name, void (*entry)(void *),
			  void *arg)
{
	pthread_attr_t attr;
	int err;

	ctx->entry = entry;
	ctx->arg = arg;
	ctx->stack = stack;
	ctx->stack_bytes = FIBER_STACK_BYTES;
	ctx->ended = ctx->dying = false;
	ctx->turn.store(0, std::memory_order_relaxed);
	must(pthread_attr_init(&attr), "described");
	must(pthread_attr_setstack(&attr, stack, FIBER_STACK_BYTES), "given a stack");
	err = pthread_create(&ctx->thread, &attr, thread_main, ctx);
	must(pthread_attr_destroy(&attr), "described");
	if (err)
		return false;
	ctx->is_thread = true;
	/* For debuggers; a name that does not fit is no reason to stop. */
	(void)pthread_setname_np(ctx->thread, name);
	return true;
}

void fiber_thread_switch(fiber_context *from, fiber_context *to, bool last)
{
	/* Before the baton is gone: @from may be dropped from then on. */
	if (last)
		from->ended = true;
	give_turn(to);
	if (last)
		_longjmp(from->base, 1);
	wait_for_turn(from);
}

void fiber_thread_drop(fiber_context *ctx)
{
	if (!ctx->ended) {
		ctx->dying = true;
		give_turn(ctx);
	}
	must(pthread_join(ctx->thread, nullptr), "waited for");
	ctx->is_thread = false;
}
