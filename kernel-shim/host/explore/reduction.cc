// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keeping the books for the three rules: see reduction.h.
 */
#include "reduction.h"
#include "scheduler.h"

void reduction::begin()
{
	deps_.begin();
	running_ = 0;
	for (unsigned int i = 0; i < MAX_THREADS; i++)
		asleep_[i] = passed_over_[i] = NEVER;
	node_of_step_.assign(1, NO_NODE); /* steps are numbered from 1 */
	next_node_ = NO_NODE;
	next_timed_ = timed_ = false;
	raced_.clear();
}

u64 reduction::left_out(const decision &d) const
{
	bool ending = independent_block(d.thread);
	u64 out = 0;

	for (size_t i = 0; i < d.options.size() && i < 64; i++) {
		const schedule_option &o = d.options[i];

		if (o.kind == option_kind::data)
			return 0;
		if (ending && o.kind == option_kind::run && !(d.running && i == 0))
			out |= 1ull << i; /* R2: the block would end here */
		else if (o.kind == option_kind::run && asleep_[o.what] != NEVER &&
			 deps_.undisturbed(asleep_before_[o.what], asleep_[o.what]))
			out |= 1ull << i; /* R1 */
	}
	return out;
}

void reduction::took(const decision &d, unsigned int taken, u32 node)
{
	next_node_ = node;
	next_timed_ = d.timed;
	if (taken == 0 || d.options[taken].kind == option_kind::data)
		return;
	if (d.running) {
		asleep_[d.thread] = deps_.steps();
		asleep_before_[d.thread] = d.next;
	}
	if (d.options[taken].kind == option_kind::time)
		return;
	for (unsigned int i = d.running; i < taken; i++) {
		if (d.options[i].kind == option_kind::run)
			passed_over_[d.options[i].what] = deps_.steps();
	}
}

bool reduction::step(unsigned int thread, const step_access &access, bool by_time)
{
	if (thread != running_) {
		if (!by_time && independent_block(running_))
			return false;
		passed_over_[running_] = NEVER;
		running_ = thread;
	}
	if (asleep_[thread] != NEVER) {
		if (deps_.undisturbed(asleep_before_[thread], asleep_[thread]))
			return false;
		asleep_[thread] = NEVER;
	}
	deps_.step(thread);
	node_of_step_.push_back(next_node_);
	timed_ = next_timed_;
	next_node_ = NO_NODE;
	next_timed_ = false;
	touch(access);
	return true;
}

void reduction::touch(const step_access &access)
{
	bool time = !access.object || access.clock || access.object == clock_;

	races_.clear();
	deps_.touch(access, &races_);
	if (timed_ && time)
		races_.push_back(deps_.steps());
	for (u32 step : races_) {
		if (node_of_step_[step] != NO_NODE)
			raced_.push_back(node_of_step_[step]);
		node_of_step_[step] = NO_NODE;
	}
}

void reduction::enables(unsigned int thread, u64 deadline)
{
	deps_.enables(thread);
	if (deadline != KSHIM_FOREVER)
		touch({.kind = KSHIM_STORE, .object = clock_, .size = sizeof(*clock_)});
}
