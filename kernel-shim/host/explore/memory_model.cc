// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a step does to memory beside its access: who knows of it (happens.h), when others see it
 * (store_buffer.h), and whether anything changed at all (explorer.h, E5).
 */
#include "explorer.h"

/* The explored part: what was before is known to all, and all that it did to the end of it. */

void explorer::explored_begins()
{
	alone_ = false;
	races_ = options_.races;
	buffers_ = options_.memory == explore_memory::tso;
	happens_.set_buffered(buffers_);
	if (races_)
		happens_.begin((unsigned int)threads_.size());
}

void explorer::explored_ends()
{
	/* Everybody sleeps or has ended: buffers are empty. */
	alone_ = true;
	races_ = buffers_ = false;
}

/* Data races. */

void explorer::plain(const void *object, size_t size, bool write, const void *caller)
{
	plain_access other;

	if (!races_ || current_->plain_quiet > 0)
		return;
	object = aliases_.memory(object);
	if (happens_.plain(object, size, {current_->id, 0, write, caller}, &other))
		return;
	reason_ = "data race on " + object_name(object) + ": " + current_->name +
		  (write ? " writes it in " : " reads it in ") + symbol_name(caller) + ", " +
		  threads_[other.thread]->name + (other.write ? " wrote it in " : " read it in ") +
		  symbol_name(other.caller) + ", and nothing orders the two";
	give_up(outcome::violated);
}

/* Store buffers. */

void explorer::commit(kshim_thread *t)
{
	void *object = t->buffer.oldest();
	const arena::block *b = arena_.find(object);

	changes_++;
	if (tracing_)
		tell(trace_kind::event, t, "its store to " + object_name(object) + " arrives");
	if (b && b->freed) {
		reason_ = std::string("use after free: a store of ") + t->name + " arrives at " +
			  object_name(object) + ", which was freed";
		give_up(outcome::violated);
	}
	if (t == current_) {
		t->buffer.commit_shown();
		return;
	}
	current_->buffer.hide();
	t->buffer.commit_hidden();
	current_->buffer.show();
}

void explorer::drain(unsigned int left)
{
	kshim_thread *t = current_;

	if (t->buffer.entries() <= left)
		return;
	/* They become visible here: a step, before which others may look. */
	if (t->buffer.entries() == left + 1)
		t->next = {KSHIM_STORE, t->buffer.oldest(), t->buffer.oldest_size()};
	else
		t->next = {KSHIM_FENCE, nullptr, 0};
	branch();
	steps_++;
	explored_steps_++;
	while (t->buffer.entries() > left)
		commit(t);
}

void explorer::interrupted_all()
{
	for (auto &t : threads_) {
		while (!t->buffer.empty())
			commit(t.get());
	}
}

void explorer::add_drains(std::vector<schedule_option> *options)
{
	for (auto &t : threads_) {
		if (t->state == thread_state::ready && !t->buffer.empty())
			options->push_back({option_kind::drain, 1, (u16)t->id});
	}
}

/* Spinning. */

void explorer::note_look(const void *caller)
{
	kshim_thread *t = current_;

	if (t->next.kind != KSHIM_LOAD && t->next.kind != KSHIM_CAS) {
		changes_++;
	} else if (!t->looked.object) {
		t->looked = t->next;
		t->looked_in = caller;
	}
}

void explorer::check_spinning()
{
	kshim_thread *t = current_;
	step_access looked = t->looked;

	t->looked = {};
	if (t->changes_seen != changes_ || !looked.object) {
		t->idle_rounds = 0;
		t->changes_seen = changes_;
		return;
	}
	if (++t->idle_rounds < SPIN_ENDLESS)
		return;
	for (auto &other : threads_) {
		if (other->state == thread_state::ready &&
		    (other->idle_rounds < SPIN_ENDLESS - 1 || other->changes_seen != changes_))
			return;
		/* Time will pass, and may change something. */
		if (other->state == thread_state::waiting && other->deadline <= time_limit_)
			return;
	}
	reason_ = "endless spin: " + std::string(t->name) + " waits for " +
		  object_name(looked.object) + " to change" +
		  (t->looked_in ? ", in " + symbol_name(t->looked_in) : "") +
		  ", and nobody is left who could change it\n" + who_waits();
	give_up(outcome::violated);
}
