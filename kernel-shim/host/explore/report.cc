// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the explorer says: violations, who waits for whom, what is written down for traces
 * (explorer.h, trace.h).
 */
#include "explorer.h"

#include <linux/lock_word.h>
#include <linux/rwsem.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert(offsetof(rw_semaphore, word) == offsetof(lock_word, word) &&
		      offsetof(rw_semaphore, owner) == offsetof(lock_word, owner),
	      "waits_for() looks at both as one");

static std::string format(const char *fmt, va_list args)
{
	char text[2000];

	vsnprintf(text, sizeof(text), fmt, args);
	return text;
}

void explorer::give_up(outcome why)
{
	outcome_ = why;
	/*
	 * Nobody goes on here, and no destructor of this stack runs: so the reason is in its place
	 * already and no argument.
	 */
	fiber_switch(&current_->ctx, &engine_ctx_, true);
	__builtin_unreachable();
}

void explorer::violation(const char *fmt, va_list args)
{
	reason_ = format(fmt, args) + " (in " + current_->name + ")";
	give_up(outcome::violated);
}

void explorer::end_without_verdict(outcome why, const char *fmt, va_list args)
{
	reason_ = format(fmt, args);
	give_up(why);
}

void explorer::note(const char *fmt, va_list args)
{
	if (tracing_)
		tell(trace_kind::note, current_, format(fmt, args));
}

/* Addresses of the world differ from run to run, names do not. */
void explorer::log(std::string line)
{
	for (size_t at = 0; (at = line.find("0x", at)) != std::string::npos; at += 2) {
		char *end;
		const void *address = (const void *)strtoul(line.c_str() + at, &end, 16);

		if (arena_.contains(address))
			line.replace(at, (size_t)(end - line.c_str()) - at, object_name(address));
	}
	if (tracing_)
		tell(trace_kind::note, current_, "log: " + line);
	if (log_.size() == LOG_LINES)
		log_.erase(log_.begin());
	log_.push_back(std::move(line));
}

std::string explorer::logged() const
{
	std::string text;

	for (const std::string &line : log_)
		text += (text.empty() ? "  " : "\n  ") + line;
	return text;
}

const kshim_thread *explorer::owner_of_task(const void *task) const
{
	for (auto &t : threads_) {
		if (t->state != thread_state::none && task &&
		    (t->self.task == task || (const void *)t->self.storage == task))
			return t.get();
	}
	return nullptr;
}

std::string explorer::object_name(const void *object) const
{
	char text[64];

	if (!object)
		return "memory";
	if (object == &now_)
		return "the clock";

	std::string name = names_.find(object);

	if (!name.empty())
		return name;
	if (const arena::block *b = arena_.find(object)) {
		snprintf(text, sizeof(text), "block %zu+%zu", arena_.index_of(b),
			 (size_t)((const char *)object - (const char *)arena_.address(b)));
		return text;
	}
	for (auto &t : threads_) {
		if (object >= t->stack && object < (const char *)t->stack + FIBER_STACK_BYTES)
			return std::string("stack of ") + t->name;
		if (object == &t->done)
			return std::string("end of ") + t->name;
		if (object >= t.get() && object < t.get() + 1)
			return std::string("state of ") + t->name;
	}
	snprintf(text, sizeof(text), "%p", object);
	return text;
}

std::string explorer::describe(const void *address) const
{
	std::string name = object_name(address);

	/* Not of the world: code, or it has no name. */
	return name.compare(0, 2, "0x") == 0 ? symbol_name(address) : name;
}

/* "mutex block 3+8, held by B" */
std::string explorer::waits_for(const kshim_thread *t) const
{
	std::string text = t->why;

	/* A word of its own stack says nothing. */
	if (t->word < t->stack ||
	    (const char *)t->word >= (const char *)t->stack + FIBER_STACK_BYTES)
		text += ", " + object_name(t->word);

	if (!strcmp(t->why, "mutex") || !strcmp(t->why, "spin lock") ||
	    !strncmp(t->why, "rwsem", 5)) {
		/* These words begin a lock, which knows its holder (an rwsem: its writer). */
		const lock_word *lock = (const lock_word *)t->word;
		const kshim_thread *holder =
			owner_of_task(__atomic_load_n(&lock->owner, __ATOMIC_RELAXED));

		if (holder)
			text += std::string(", held by ") + holder->name;
	}
	if (t->deadline != KSHIM_FOREVER)
		text += ", for at most " + std::to_string((t->deadline - now_) / 1000) + " us";
	return text;
}

std::string explorer::who_waits() const
{
	std::string text;

	for (auto &t : threads_) {
		if (t->state == thread_state::waiting)
			text += std::string("  ") + t->name + " waits for " + waits_for(t.get()) +
				"\n";
		else if (t->state == thread_state::ready)
			text += std::string("  ") + t->name + " runs\n";
	}
	if (!text.empty())
		text.pop_back();
	return text;
}

void explorer::check_tasks_ended()
{
	for (auto &t : threads_) {
		if (t->is_task && t->state != thread_state::none &&
		    t->state != thread_state::done) {
			reason_ = (nr_timed_ ? "no progress up to the horizon of virtual time: "
					     : "deadlock: ") +
				  std::string(t->name) + " never ends\n" + who_waits();
			give_up(outcome::violated);
		}
	}
	for (auto &t : threads_) {
		if (t->is_task && t->state == thread_state::done)
			(void)join(t.get());
	}
}

void explorer::check_nothing_left()
{
	for (auto &t : threads_) {
		if (t->id != 0 && t->state != thread_state::none) {
			reason_ = std::string("thread ") + t->name +
				  " is left over after the teardown\n" + who_waits();
			give_up(outcome::violated);
		}
	}
}

void explorer::check_access(const step_access &a)
{
	const arena::block *b = arena_.find(a.object);

	if (b && b->freed) {
		reason_ = "use after free: " + std::string(current_->name) + " uses " +
			  object_name(a.object) + ", which was freed";
		give_up(outcome::violated);
	}
}

void explorer::tell(trace_kind kind, const kshim_thread *thread, std::string text)
{
	trace_line line{thread->id, std::move(text), alone_ ? trace_kind::outside : kind};

	if (line.kind == trace_kind::step)
		line.access = current_->next;
	if (thread == current_ && line.kind != trace_kind::outside)
		line.stack = trace_stack();
	trace_.push_back(std::move(line));
}

std::string explorer::trace_table() const
{
	trace t{trace_, {}, reason_};

	for (auto &thread : threads_)
		t.threads.push_back({thread->name, cpu_of(thread.get())});
	return options_.trace_steps ? trace_by_steps(t) : trace_by_functions(t);
}
