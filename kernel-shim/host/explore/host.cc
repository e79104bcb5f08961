// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The host "explore": <kshim/host.h> and the scenario's side of <kshim/explore.h>, for the thread
 * that is in a world.
 *
 * Outside of a world (a test that looks at something before it explores) there is one thread, which
 * can neither sleep nor start others: memory and atomic words work, waiting is a violation.
 */
#include "explorer.h"

#include <kshim/machine.h>
#include <kshim/mutant.h>
#include <linux/err.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static __thread struct kshim_self self_outside;

static explorer *need_world(const char *what)
{
	explorer *e = explorer::here();

	if (!e)
		kshim_violation("%s outside of explore_run(): there is nobody to schedule", what);
	return e;
}

void kshim_point(enum kshim_point_kind kind, const void *object, unsigned size, int order)
{
	if (explorer *e = explorer::here())
		e->point(kind, object, size, order, __builtin_return_address(0));
}

void kshim_cas_changed(int order)
{
	if (explorer *e = explorer::here())
		e->cas_changed(order);
}

void kshim_plain_access(const void *object, size_t size, bool write)
{
	if (explorer *e = explorer::here())
		e->plain(object, size, write, __builtin_return_address(0));
}

void kshim_plain_quiet(int delta)
{
	if (explorer *e = explorer::here())
		e->current()->plain_quiet += delta;
}

bool kshim_fault(enum kshim_fault_kind kind, const char *what)
{
	explorer *e = explorer::here();

	return e && e->fault(kind, what);
}

void kshim_describe(const void *address, char *text, size_t bytes)
{
	explorer *e = explorer::here();
	std::string name = e ? e->describe(address) : symbol_name(address);

	snprintf(text, bytes, "%s", name.c_str());
}

u64 kshim_now_ns(void)
{
	explorer *e = explorer::here();

	return e ? e->now() : 0;
}

int kshim_wait(const u32 *word, u32 expected, u64 deadline_ns, const char *why)
{
	return need_world("kshim_wait")->wait(word, expected, deadline_ns, why);
}

void kshim_wake(const u32 *word, int n)
{
	if (explorer *e = explorer::here())
		e->wake(word, n);
}

int kshim_choose(int n, const char *what)
{
	explorer *e = explorer::here();

	return e ? e->choose(n, what) : 0;
}

bool kshim_quarantine(void *block, size_t bytes)
{
	explorer *e = explorer::here();

	return e && e->free(block, bytes, __builtin_return_address(0));
}

void *kshim_world_alloc(size_t bytes, size_t align)
{
	explorer *e = explorer::here();

	return e ? e->memory().alloc(bytes, align) : nullptr;
}

void *kshim_kept(enum kshim_kept_kind kind)
{
	explorer *e = explorer::here();

	return e ? e->kept(kind) : nullptr;
}

bool kshim_keep(enum kshim_kept_kind kind, void *object, void (*drop)(void *object))
{
	explorer *e = explorer::here();

	return e && e->keep(kind, object, drop);
}

struct kshim_world_mmu *kshim_world_mmu(void)
{
	explorer *e = explorer::here();

	return e ? &e->mmu() : nullptr;
}

void kshim_unfit(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	need_world("kshim_unfit")->end_without_verdict(outcome::unfit, fmt, args);
}

void kshim_misused(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	need_world("kshim_misused")->end_without_verdict(outcome::misused, fmt, args);
}

void kshim_alias(const void *alias, const void *memory, size_t bytes)
{
	if (explorer *e = explorer::here())
		e->aliases().add(alias, memory, bytes);
}

void kshim_unalias(const void *alias, size_t bytes)
{
	if (explorer *e = explorer::here())
		e->aliases().remove(alias, bytes);
}

void kshim_interrupted_all(void)
{
	if (explorer *e = explorer::here())
		e->interrupted_all();
}

struct kshim_thread *kshim_thread_start(const char *name, void (*fn)(void *), void *arg)
{
	explorer *e = explorer::here();

	return e ? e->start(name, fn, arg) : (struct kshim_thread *)ERR_PTR(-EAGAIN);
}

int kshim_thread_join(struct kshim_thread *thread)
{
	return need_world("kshim_thread_join")->join(thread);
}

void kshim_yield(void)
{
	if (explorer *e = explorer::here())
		e->yield();
}

unsigned kshim_cpu(void)
{
	explorer *e = explorer::here();

	return e ? e->cpu_of(e->current()) : 0;
}

unsigned kshim_nr_cpus(void)
{
	explorer *e = explorer::here();

	return e && e->options().nr_cpus ? e->options().nr_cpus : 1;
}

struct kshim_self *kshim_self(void)
{
	explorer *e = explorer::here();

	return e ? &e->current()->self : &self_outside;
}

int kshim_self_set_exit(void (*exit_fn)(struct kshim_self *self))
{
	kshim_self()->exit_fn = exit_fn;
	return 0;
}

void kshim_name(const void *object, size_t bytes, const char *name, long number)
{
	if (explorer *e = explorer::here())
		e->names().add(object, bytes, 0, name, number);
}

void kshim_name_array(const void *objects, size_t stride, size_t nr, const char *name)
{
	if (explorer *e = explorer::here())
		e->names().add(objects, stride * nr, stride, name, 0);
}

void kshim_note(const char *fmt, ...)
{
	va_list args;
	explorer *e = explorer::here();

	va_start(args, fmt);
	if (e && !e->alone())
		e->note(fmt, args);
	va_end(args);
}

bool kshim_mutant(const char *name)
{
	explorer *e = explorer::here();

	return e && e->mutant(name);
}

void kshim_violation(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (explorer *e = explorer::here())
		e->violation(fmt, args);
	fputs("pvshim: BUG: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	abort();
}

void explore_note(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (explorer *e = explorer::here())
		e->note(fmt, args);
	va_end(args);
}

void kshim_write_log(const char *line, size_t length)
{
	while (length && line[length - 1] == '\n')
		length--;
	if (explorer *e = explorer::here())
		e->log(std::string(line, length));
	else
		fprintf(stderr, "%.*s\n", (int)length, line);
}

void *explore_alloc(size_t bytes, size_t align)
{
	void *p = need_world("explore_alloc")->memory().alloc(bytes, align);

	if (!p)
		kshim_violation("explore_alloc: no room for %zu bytes in a world's memory", bytes);
	memset(p, 0, bytes);
	return p;
}

void explore_machine_destroy(struct pv_machine *m)
{
	unsigned int warnings = pv_machine_destroy(m);

	if (warnings)
		kshim_violation("the machine warned %u times:\n%s", warnings,
				explorer::here()->logged().c_str());
}
