// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the explorer says: violations, who waits for whom, the trace as a table (explorer.h).
 *
 *	step  main            A                         B
 *	   1                  load  block 0+0   add_one
 *	   2                                            load  block 0+0   add_one
 */
#include "explorer.h"

#include <linux/lock_word.h>

#include <algorithm>
#include <stdio.h>
#include <string.h>

static std::string format(const char *fmt, va_list args)
{
	char text[2000];

	vsnprintf(text, sizeof(text), fmt, args);
	return text;
}

void explorer::give_up(outcome why)
{
	outcome_ = why;
	if (tracing_ && why == outcome::violated)
		trace_.push_back({current_->id, "VIOLATION"});
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

void explorer::note(const char *fmt, va_list args)
{
	if (tracing_)
		trace_.push_back({current_->id, format(fmt, args)});
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

/* "mutex block 3+8, held by B" */
std::string explorer::waits_for(const kshim_thread *t) const
{
	std::string text = std::string(t->why) + ", " + object_name(t->word);

	if (!strcmp(t->why, "mutex") || !strcmp(t->why, "spin lock")) {
		/* These words begin a lock, which knows its holder. */
		const lock_word *lock = (const lock_word *)t->word;
		const kshim_thread *holder =
			owner_of_task(__atomic_load_n(&lock->owner, __ATOMIC_RELAXED));

		if (holder)
			text += std::string(", held by ") + holder->name;
	}
	if (t->deadline != KSHIM_FOREVER)
		text += ", at most until " + std::to_string(t->deadline / 1000) + " us";
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

void explorer::trace_step(const void *caller)
{
	static const char *const kinds[] = {"load", "store", "rmw", "fence", "yield"};
	std::string text =
		std::string(kinds[current_->next.kind]) + " " + object_name(current_->next.object);

	if (caller)
		text += "  " + symbol_name(caller);
	trace_.push_back({current_->id, std::move(text)});
}

/* How many lines of a thread's stretch are shown before it is cut in the middle. */
static constexpr size_t STRETCH_SHOWN = 12;

std::string explorer::trace_table() const
{
	std::vector<unsigned int> columns; /* threads, in order of appearance */
	std::string table;
	size_t width = 46;
	char number[16];

	for (const trace_line &line : trace_) {
		if (std::find(columns.begin(), columns.end(), line.thread) == columns.end())
			columns.push_back(line.thread);
	}
	if (columns.empty())
		return table;
	if (columns.size() > 4)
		width = 34;
	table = "   step";
	for (unsigned int c : columns) {
		std::string head = threads_[c]->name;

		table += "  " + head + std::string(width - std::min(width, head.size()), ' ');
	}
	table += '\n';
	for (size_t i = 0; i < trace_.size();) {
		size_t end = i, column;

		while (end < trace_.size() && trace_[end].thread == trace_[i].thread)
			end++;
		column = (size_t)(std::find(columns.begin(), columns.end(), trace_[i].thread) -
				  columns.begin());
		for (size_t n = end - i, k = 0; k < n; k++) {
			std::string text = trace_[i + k].text;

			if (n > STRETCH_SHOWN && k == STRETCH_SHOWN / 2) {
				text = "... " + std::to_string(n - STRETCH_SHOWN) + " more steps";
				k = n - STRETCH_SHOWN / 2 - 1;
			}
			snprintf(number, sizeof(number), "%7zu  ", i + k + 1);
			table += number + std::string(column * (width + 2), ' ') + text + '\n';
		}
		i = end;
	}
	return table;
}
