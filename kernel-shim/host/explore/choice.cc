// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What can happen next, and asking the scheduler which of it does (explorer.h, E2 and E3).
 *
 *	the running thread can go on	0: it goes on		1..: another (a preemption)
 *	it has yielded			0: the next in turn	1: itself (a preemption)
 *	it sleeps or ends		0: the next in turn	1..: others, for free
 *
 * and after these (not after a yield, if others can run): time passes up to the earliest deadline,
 * which is a preemption unless nobody else could run; and with store buffers (store_buffer.h) a
 * thread's oldest store leaves, which is a preemption always. Stores stay where they are as long as
 * they can: so a bound counts how often one becomes visible before its thread comes to a barrier,
 * sleeps or ends.
 */
#include "explorer.h"

/* Threads that can run, in turn, beginning after number @after. */
void explorer::add_runnable(unsigned int after, std::vector<schedule_option> *options)
{
	for (size_t i = 1; i <= threads_.size(); i++) {
		const kshim_thread *t = threads_[(after + i) % threads_.size()].get();
		bool overdue = t->state == thread_state::waiting && t->deadline <= now_;

		if (t != current_ && (t->state == thread_state::ready || overdue))
			options->push_back({option_kind::run, 0, (u16)t->id});
	}
}

/* The sleepers with the earliest deadline that is still to come. */
void explorer::add_due(std::vector<schedule_option> *options)
{
	u64 earliest = KSHIM_FOREVER;
	u8 preempts = !options->empty();

	if (!nr_timed_)
		return;
	for (auto &t : threads_) {
		if (t->state == thread_state::waiting && t->deadline > now_ &&
		    t->deadline < earliest)
			earliest = t->deadline;
	}
	if (earliest == KSHIM_FOREVER || earliest > time_limit_)
		return;
	for (auto &t : threads_) {
		if (t->state == thread_state::waiting && t->deadline == earliest)
			options->push_back({option_kind::time, preempts, (u16)t->id});
	}
}

void explorer::collect()
{
	std::vector<schedule_option> &options = decision_.options;

	options.clear();
	if (current_->state == thread_state::ready)
		options.push_back({option_kind::run, 0, (u16)current_->id});
	add_runnable(current_->id, &options);
	if (current_->state == thread_state::ready) {
		for (size_t i = 1; i < options.size(); i++)
			options[i].preempts = 1;
	}
	add_due(&options);
	if (buffers_ && nr_ready_ > 1)
		add_drains(&options);
}

/* The next decision. Return: option 0 will do. */
bool explorer::ask_default(bool running)
{
	decision_.ordinal = ordinal_++;
	decision_.preemptions = preemptions_;
	decision_.thread = (u16)current_->id;
	decision_.running = running;
	decision_.timed = nr_timed_ != 0;
	decision_.thread_steps = current_->steps;
	decision_.next = current_->next;
	return sched_->is_default(decision_);
}

/* The same decision, when option 0 will not do as a matter of course. */
const schedule_option &explorer::ask()
{
	int i = sched_->pick(decision_);

	if (i == scheduler::REDUNDANT)
		give_up(outcome::redundant);
	if (i < 0) {
		reason_ = EXPLORE_DIVERGED;
		give_up(outcome::diverged);
	}
	if (i > 0) {
		path_.push_back({decision_.ordinal, (u32)i});
		wishes_.push_back(
			{decision_.thread, decision_.thread_steps, decision_.options[(size_t)i]});
		if (tracing_)
			tell_deviation();
	}
	return decision_.options[(size_t)i];
}

/* The last deviation, in words. */
void explorer::tell_deviation()
{
	const deviation &d = path_.back();
	const schedule_option &option = decision_.options[d.option];
	std::string who, text;

	/* The value, or the arrival, is told by itself. */
	if (option.kind == option_kind::data || option.kind == option_kind::drain)
		return;
	who = threads_[option.what]->name;
	text = decision_.running ? std::string(current_->name) + " is preempted, " : std::string();
	if (option.kind == option_kind::time)
		text += "time passes, " + who + " wakes up";
	else
		text += who + (decision_.running ? " goes on" : " goes before its turn");
	tell(trace_kind::deviation, threads_[option.what].get(),
	     text + " (" + std::to_string(d.ordinal) + "." + std::to_string(d.option) + ")");
}

void explorer::branch()
{
	bool decided;

	do {
		if (alone_ || (nr_ready_ == 1 && nr_timed_ == 0))
			return;
		/* The usual case, without a look at the options: there are others, in any case. */
		if (nr_ready_ > 1 && ask_default(true))
			return;
		collect();
		if (nr_ready_ == 1 && (decision_.options.size() == 1 || ask_default(true)))
			return;
		decided = take(ask());
	} while (!decided);
}

/* The next in turn, or whom time makes it; or the yielding thread again. */
void explorer::yielded()
{
	std::vector<schedule_option> &options = decision_.options;

	if (nr_ready_ == 1 && nr_timed_ == 0)
		return;
	options.clear();
	add_runnable(current_->id, &options);
	if (options.empty())
		add_due(&options);
	else
		options.resize(1);
	if (options.empty() || current_->idle_rounds < SPIN_FAIR)
		options.push_back({option_kind::run, !options.empty(), (u16)current_->id});
	if (alone_ || options.size() == 1 || ask_default(false))
		take(options[0]);
	else
		take(ask());
}

void explorer::leave()
{
	collect();
	if (decision_.options.empty()) {
		kshim_thread *main = threads_[0].get();

		if (main->state != thread_state::quiesce) {
			reason_ = "deadlock: nobody can run\n" + who_waits();
			give_up(outcome::violated);
		}
		make_ready(main);
		switch_to(main);
		return;
	}
	while (!take(alone_ || decision_.options.size() == 1 || ask_default(false)
			     ? decision_.options[0]
			     : ask()))
		collect();
}

bool explorer::take(const schedule_option &option)
{
	kshim_thread *t = threads_[option.what].get();

	preemptions_ += option.preempts;
	if (option.kind == option_kind::drain) {
		commit(t);
		return false;
	}
	if (option.kind == option_kind::time) {
		if (t->deadline > now_) {
			if (tracing_ && !alone_)
				tell(trace_kind::time, t,
				     "(" + std::to_string((t->deadline - now_) / 1000) +
					     " us later)");
			now_ = t->deadline;
			changes_++;
		}
	}
	if (t->state == thread_state::waiting) {
		if (watcher_ && !alone_)
			watch_timeout(t, option.kind == option_kind::time);
		make_ready(t);
		t->timed_out = true;
		/* The new time is there for all: others may use it first. */
		t->fresh = false;
	}
	switch_to(t);
	return true;
}

/* @t stops waiting, as a step of its own; @passes: time passes up to its deadline for that. */
void explorer::watch_timeout(const kshim_thread *t, bool passes)
{
	if (!watcher_->step(t->id, {passes ? KSHIM_STORE : KSHIM_LOAD, &now_, sizeof(now_)},
			    passes))
		give_up(outcome::redundant);
	watcher_->touch({KSHIM_RMW, t->word, sizeof(*t->word)});
}

void explorer::switch_to(kshim_thread *t)
{
	kshim_thread *from = current_;

	if (t == from)
		return;
	current_ = t;
	if (buffers_) {
		from->buffer.hide();
		t->buffer.show();
	}
	fiber_switch(&from->ctx, &t->ctx, from->state == thread_state::done);
}

int explorer::choose(int n, const char *what)
{
	int value;

	if (alone_ || n < 2)
		return 0;
	decision_.options.clear();
	for (int i = 0; i < n; i++)
		decision_.options.push_back({option_kind::data, 0, (u16)i});
	value = (ask_default(false) ? decision_.options[0] : ask()).what;
	if (tracing_)
		tell(trace_kind::note, current_, std::string(what) + ": " + std::to_string(value));
	return value;
}

bool explorer::fault(enum kshim_fault_kind kind, const char *what)
{
	if (alone_ || nr_faults_ >= options_.faults || !(scenario_.faults & kind))
		return false;
	if (!choose(2, what))
		return false;
	nr_faults_++;
	return true;
}

void explorer::yield()
{
	point(KSHIM_YIELD, nullptr, 0);
}
