// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One world under one schedule: threads, sleeping, steps (explorer.h). Who goes on is in choice.cc.
 */
#include "explorer.h"

#include <linux/err.h>

#include <limits.h>
#include <stdio.h>

/* The world that this thread of the host is in. */
static __thread explorer *explorer_here;

explorer *explorer::here()
{
	return explorer_here;
}

explorer::explorer(const explore_scenario &scenario, const explore_options &options)
	: scenario_(scenario), options_(options), mutant_met_(options.mutants.size())
{
	mmu_.kind = options.mmu;
}

explorer::~explorer()
{
	for (auto &kept : kept_) {
		if (kept.object)
			kept.drop(kept.object);
	}
	for (auto &t : threads_) {
		if (t->stack)
			fiber_stack_free(t->stack);
	}
}

bool explorer::init()
{
	return arena_.init();
}

outcome explorer::run_one(scheduler *sched, bool trace)
{
	kshim_thread *main;

	sched_ = sched;
	watcher_ = sched->watcher();
	tracing_ = trace;
	alone_ = true;
	nr_ready_ = nr_timed_ = nr_threads_ = 0;
	now_ = 1000000000; /* like a machine that has been up for a second */
	time_limit_ = KSHIM_FOREVER;
	wait_order_ = steps_ = explored_steps_ = ordinal_ = preemptions_ = 0;
	races_ = buffers_ = false;
	nr_faults_ = 0;
	changes_ = 0;
	path_.clear();
	wishes_.clear();
	trace_.clear();
	log_.clear();
	reason_.clear();
	world_ = nullptr;
	for (auto &kept : kept_)
		kept.in_use = false;
	mmu_.real = nullptr;
	outcome_ = outcome::passed;

	main = new_thread(
		"main", [](void *self) { ((explorer *)self)->main_body(); }, this);
	if (!main) {
		reason_ = "no memory for a stack";
		return outcome::diverged;
	}
	explorer *outer = explorer_here;

	explorer_here = this;
	running_ = true;
	current_ = main;
	fiber_switch(&engine_ctx_, &main->ctx);
	running_ = false;
	explorer_here = outer;
	forget_threads();
	arena_.reset();
	aliases_.clear();
	names_.clear();
	if (outcome_ == outcome::passed && !sched->end()) {
		reason_ = EXPLORE_DIVERGED;
		outcome_ = outcome::diverged;
	}
	return outcome_;
}

void explorer::main_body()
{
	if (scenario_.setup)
		world_ = scenario_.setup();
	quiesce(0);
	for (const explore_task &task : scenario_.tasks) {
		kshim_thread *t = new_thread(task.name.c_str(), task.run, world_);

		if (!t) {
			reason_ = "cannot start task " + task.name;
			give_up(outcome::violated);
		}
		t->is_task = true;
	}
	explored_begins();
	quiesce(options_.horizon_ns);
	explored_ends();
	check_tasks_ended();
	if (scenario_.check)
		scenario_.check(world_);
	if (scenario_.teardown) {
		scenario_.teardown(world_);
		check_nothing_left();
	}
	if (const arena::block *b = arena_.find_spoilt()) {
		reason_ = "use after free: somebody wrote to " + object_name(arena_.address(b)) +
			  " after it was freed";
		give_up(outcome::violated);
	}
}

/* Threads. */

kshim_thread *explorer::new_thread(const char *name, void (*fn)(void *), void *arg)
{
	kshim_thread *t = nullptr;

	for (auto &slot : threads_) {
		if (slot->state == thread_state::none) {
			t = slot.get();
			break;
		}
	}
	if (!t) {
		if (threads_.size() == MAX_THREADS - 1)
			return nullptr;
		threads_.push_back(std::make_unique<kshim_thread>());
		t = threads_.back().get();
		t->id = (unsigned int)threads_.size() - 1;
		t->stack = fiber_stack_alloc();
		if (!t->stack) {
			threads_.pop_back();
			return nullptr;
		}
	}
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->fn = fn;
	t->arg = arg;
	t->is_task = t->timed_out = false;
	t->fresh = true;
	t->done = 0;
	t->next = {};
	t->steps = 0;
	t->buffer.clear();
	t->plain_quiet = 0;
	t->looked = {};
	t->changes_seen = 0;
	t->idle_rounds = 0;
	t->self = {};
	t->word = nullptr;
	t->deadline = KSHIM_FOREVER;
	t->home = this;
	if (options_.mmu == explore_mmu::soft)
		fiber_prepare(&t->ctx, t->stack, fiber_entry, t);
	else if (!fiber_prepare_thread(&t->ctx, t->stack, t->name, fiber_entry, t))
		return nullptr;
	make_ready(t);
	nr_threads_++;
	if (watcher_ && !alone_) {
		watcher_->touch({}); /* numbers of threads depend on the order of starts */
		watcher_->enables(t->id, KSHIM_FOREVER);
	}
	return t;
}

void explorer::forget_threads()
{
	for (auto &t : threads_) {
		if (t->state != thread_state::none)
			fiber_drop(&t->ctx);
		t->state = thread_state::none;
	}
}

void explorer::fiber_entry(void *arg)
{
	kshim_thread *t = (kshim_thread *)arg;

	explorer_here = t->home;
	t->home->thread_body(t);
}

void explorer::thread_body(kshim_thread *t)
{
	t->fn(t->arg);
	if (t->self.exit_fn)
		t->self.exit_fn(&t->self);
	if (t->id == 0) {
		fiber_switch(&t->ctx, &engine_ctx_, true);
		__builtin_unreachable();
	}
	if (buffers_) {
		drain(0);
		/* Only main looks at a task's end, when all is over: nobody need come before it. */
		t->fresh |= t->is_task;
	}
	point(KSHIM_RMW, &t->done, sizeof(t->done), __ATOMIC_RELEASE);
	t->done = 1;
	wake_waiters(&t->done, INT_MAX);
	t->state = thread_state::done;
	nr_ready_--;
	leave();
	__builtin_unreachable();
}

kshim_thread *explorer::start(const char *name, void (*fn)(void *), void *arg)
{
	if (buffers_)
		drain(0);
	kshim_thread *t = new_thread(name, fn, arg);

	if (t && races_)
		happens_.started(t->id, current_->id);
	return t ? t : (kshim_thread *)ERR_PTR(-EAGAIN);
}

int explorer::join(kshim_thread *t)
{
	if (t == current_)
		return -EDEADLK;
	for (;;) {
		point(KSHIM_LOAD, &t->done, sizeof(t->done));
		if (t->done)
			break;
		wait(&t->done, 0, KSHIM_FOREVER, "the end of a thread");
	}
	if (races_)
		happens_.joined(current_->id, t->id);
	fiber_drop(&t->ctx);
	t->state = thread_state::none;
	nr_threads_--;
	return 0;
}

/* Sleeping. */

void explorer::make_ready(kshim_thread *t)
{
	if (t->state == thread_state::waiting && t->deadline != KSHIM_FOREVER)
		nr_timed_--;
	t->state = thread_state::ready;
	t->fresh = true;
	nr_ready_++;
}

int explorer::wait(const u32 *word, u32 expected, u64 deadline, const char *why)
{
	kshim_thread *t = current_;

	if (buffers_)
		drain(0);
	if (fault(KSHIM_FAULT_WAKEUP, why))
		return 0;
	t->next = {.kind = KSHIM_LOAD,
		   .object = word,
		   .size = sizeof(*word),
		   .sleeps = true,
		   .clock = deadline == KSHIM_FOREVER ? nullptr : &now_};
	arrive(nullptr);
	if (__atomic_load_n(word, __ATOMIC_RELAXED) != expected)
		return 0;
	if (deadline <= now_)
		return -ETIMEDOUT;
	t->word = word;
	t->deadline = deadline;
	t->why = why;
	t->wait_order = ++wait_order_;
	t->timed_out = false;
	t->state = thread_state::waiting;
	nr_ready_--;
	if (deadline != KSHIM_FOREVER)
		nr_timed_++;
	if (tracing_ && !alone_) {
		tell(trace_kind::event, t, "sleeps: " + waits_for(t));
		trace_.back().access = {KSHIM_LOAD, word, sizeof(*word)};
	}
	leave();
	t->word = nullptr;
	t->deadline = KSHIM_FOREVER;
	return t->timed_out ? -ETIMEDOUT : 0;
}

void explorer::wake_waiters(const u32 *word, int n)
{
	for (; n > 0; n--) {
		kshim_thread *first = nullptr;

		for (auto &t : threads_) {
			if (t->state == thread_state::waiting && t->word == word &&
			    (!first || t->wait_order < first->wait_order))
				first = t.get();
		}
		if (!first)
			return;
		if (watcher_ && !alone_)
			watcher_->enables(first->id, first->deadline);
		make_ready(first);
		if (tracing_ && !alone_) {
			tell(trace_kind::event, current_, std::string("wakes ") + first->name);
			trace_.back().woken = (int)first->id;
		}
	}
}

void explorer::wake(const u32 *word, int n)
{
	/* The word may be freed memory by now: only its address counts. */
	point(KSHIM_RMW, word, 0);
	changes_++;
	wake_waiters(word, n);
}

u64 explorer::now()
{
	point(KSHIM_LOAD, &now_, sizeof(now_));
	return now_;
}

void explorer::quiesce(u64 horizon_ns)
{
	time_limit_ = now_ + horizon_ns;
	current_->state = thread_state::quiesce;
	nr_ready_--;
	leave();
	time_limit_ = KSHIM_FOREVER;
}

/* Steps. */

void explorer::point(enum kshim_point_kind kind, const void *object, unsigned int size, int order,
		     const void *caller)
{
	bool waits = buffers_ && kind == KSHIM_STORE && size <= 8; /* in the buffer */

	/* x86: everything but a load, a small store and the weak fences empties the buffer. */
	if (waits)
		drain(store_buffer::DEPTH - 1);
	else if (buffers_ && kind != KSHIM_LOAD &&
		 (kind != KSHIM_FENCE || order == __ATOMIC_SEQ_CST))
		drain(0);
	/* Without buffers a fence changes nothing that another thread could see. */
	if (kind == KSHIM_FENCE) {
		if (races_)
			happens_.access(current_->id, kind, object, order);
		return;
	}
	object = aliases_.memory(object);
	current_->next = {.kind = kind, .object = object, .size = size};
	arrive(caller);
	if (races_ && size)
		happens_.access(current_->id, kind, object, order);
	if (waits)
		current_->buffer.push(const_cast<void *>(object), size);
}

/* The current thread is about to do its `next`: others may come first. */
void explorer::arrive(const void *caller)
{
	const step_access &next = current_->next;

	if (!current_->fresh)
		branch();
	current_->fresh = false;
	if (watcher_ && !alone_ && !watcher_->step(current_->id, next))
		give_up(outcome::redundant);
	if (next.kind == KSHIM_YIELD) {
		if (!alone_)
			check_spinning();
		yielded();
	}
	steps_++;
	current_->steps++;
	if (alone_) {
		if (steps_ > MAX_ALONE_STEPS) {
			reason_ = "setup, check or teardown does not end: endless loop in " +
				  std::string(current_->name);
			give_up(outcome::violated);
		}
		return;
	}
	if (++explored_steps_ > options_.max_steps) {
		reason_ = "no end after " + std::to_string(options_.max_steps) +
			  " steps: endless loop, last in " + current_->name + "\n" + who_waits();
		give_up(outcome::violated);
	}
	if (next.kind == KSHIM_YIELD)
		return;
	note_look(caller);
	if (tracing_)
		tell(trace_kind::step, current_,
		     object_name(next.object) +
			     (buffers_ && waits_in_buffer(next) ? " (into its buffer)" : ""));
	if (next.size)
		check_access(next);
}

void explorer::cas_changed(int order)
{
	changes_++;
	if (races_)
		happens_.access(current_->id, KSHIM_RMW, current_->next.object, order);
}

bool explorer::free(void *block, size_t bytes, const void *caller)
{
	if (!arena_.contains(block))
		return false;
	/* To the others, freeing is writing all of it. */
	point(KSHIM_RMW, block, (unsigned int)(bytes < UINT_MAX ? bytes : UINT_MAX));
	plain(block, bytes, true, caller);
	if (!arena_.free(block)) {
		reason_ = object_name(block) + " is freed twice, or is no block";
		give_up(outcome::violated);
	}
	return true;
}

bool explorer::mutant(const char *name)
{
	for (size_t i = 0; i < options_.mutants.size(); i++) {
		if (options_.mutants[i] == name) {
			mutant_met_[i] = 1;
			return true;
		}
	}
	return false;
}

void *explorer::kept(enum kshim_kept_kind kind)
{
	auto &kept = kept_[kind];

	if (kept.in_use)
		return nullptr;
	kept.in_use = kept.object != nullptr;
	return kept.object;
}

bool explorer::keep(enum kshim_kept_kind kind, void *object, void (*drop)(void *object))
{
	auto &kept = kept_[kind];

	if (kept.object)
		return false;
	kept.object = object;
	kept.drop = drop;
	kept.in_use = true;
	return true;
}

const char *explorer::unknown_mutant() const
{
	for (size_t i = 0; i < mutant_met_.size(); i++) {
		if (!mutant_met_[i])
			return options_.mutants[i].c_str();
	}
	return nullptr;
}
