// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What can happen next, and asking the scheduler which of it does (explorer.h, E2 and E3).
 *
 *	the running thread can go on	0: it goes on		1..: another (a preemption)
 *	it yields			0: the next in turn	1..: others, itself (preemptions)
 *	it sleeps or ends		0: the next in turn	1..: others, for free
 *
 * and after these: time passes up to the earliest deadline, which is a preemption unless nobody
 * else could run.
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

void explorer::collect(bool yields, std::vector<schedule_option> *options)
{
	bool can_run = current_->state == thread_state::ready;

	options->clear();
	if (can_run && !yields)
		options->push_back({option_kind::run, 0, (u16)current_->id});
	add_runnable(current_->id, options);
	/* Whoever yields is followed by the next in turn; anything else is a choice that costs. */
	if (can_run) {
		for (size_t i = 1; i < options->size(); i++)
			(*options)[i].preempts = 1;
	}
	add_due(options);
	if (can_run && yields)
		options->push_back({option_kind::run, !options->empty(), (u16)current_->id});
}

/* @asked: the scheduler has already said that option 0 will not do. */
const schedule_option &explorer::ask(bool running, bool asked)
{
	int i;

	decision_.ordinal = ordinal_++;
	decision_.preemptions = preemptions_;
	decision_.running = running;
	decision_.next = current_->next;
	if (!asked && sched_->is_default(decision_.ordinal, preemptions_, running, current_->next))
		return decision_.options[0];
	i = sched_->pick(decision_);
	if (i < 0) {
		reason_ = EXPLORE_DIVERGED;
		give_up(outcome::diverged);
	}
	if (i > 0)
		path_.push_back({decision_.ordinal, (u32)i});
	return decision_.options[(size_t)i];
}

void explorer::branch()
{
	bool yields = current_->next.kind == KSHIM_YIELD, asked = false;

	if (nr_ready_ == 1 && nr_timed_ == 0)
		return;
	if (alone_) {
		if (!yields)
			return;
		collect(true, &decision_.options);
		take(decision_.options[0]);
		return;
	}
	/* The usual case, without a look at the options: there are others, whatever they are. */
	if (!yields && nr_ready_ > 1) {
		if (sched_->is_default(ordinal_, preemptions_, true, current_->next)) {
			ordinal_++;
			return;
		}
		asked = true;
	}
	collect(yields, &decision_.options);
	if (decision_.options.size() > 1)
		take(ask(!yields, asked));
	else
		take(decision_.options[0]);
}

void explorer::leave()
{
	collect(false, &decision_.options);
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
	if (alone_ || decision_.options.size() == 1)
		take(decision_.options[0]);
	else
		take(ask(false, false));
}

void explorer::take(const schedule_option &option)
{
	kshim_thread *t = threads_[option.what].get();

	preemptions_ += option.preempts;
	if (option.kind == option_kind::time) {
		if (t->deadline > now_) {
			if (tracing_ && !alone_)
				trace_.push_back(
					{t->id,
					 "(time passes: " +
						 std::to_string((t->deadline - now_) / 1000) +
						 " us)"});
			now_ = t->deadline;
		}
		if (!alone_)
			shared_.record(CLOCK, {KSHIM_STORE, &now_, sizeof(now_)});
	}
	if (t->state == thread_state::waiting) {
		make_ready(t);
		t->timed_out = true;
		/* The new time is there for all: others may use it first. */
		t->fresh = false;
	}
	switch_to(t);
}

void explorer::switch_to(kshim_thread *t)
{
	kshim_thread *from = current_;

	if (t == from)
		return;
	current_ = t;
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
	value = ask(false, false).what;
	if (tracing_)
		trace_.push_back({current_->id, std::string(what) + ": " + std::to_string(value)});
	return value;
}

void explorer::yield()
{
	point(KSHIM_YIELD, nullptr, 0);
}
