/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which schedules need not be run: partial-order reduction under a bound on preemptions.
 *
 * Words: a *block* is what a thread does in one go, from being chosen up to being left. Two
 * schedules are *equal* when one becomes the other by exchanging neighbouring steps that do not
 * depend on each other (dependence.h): all that anybody sees is the same in both. Of equal
 * schedules within the bound, the search must run one. It runs the first in its own order (the one
 * that takes the smaller option where two part), and leaves others out by three rules. Each of
 * them must name, for a schedule it leaves out, an equal one that comes before it *and has no more
 * preemptions*: that is what a bound asks of a reduction, and where the usual ones go wrong.
 *
 * R1. (sleep sets) Thread p was preempted at s, and goes on later with a step on which nothing
 *     since s depends. Equal: p makes that step at s and is preempted right after it.
 *		s [q ..] p1 p2 ..	=>	s p1 [q ..] p2 ..
 *     No dearer: the preemption is only moved, and p is chosen again as before or not at all.
 *
 * R2. (blocks) At s thread t could have been chosen, came before what was chosen instead, and cost
 *     the same. Later it is chosen, and up to its *block's end* makes no step that depends on one
 *     since s. Equal: the block as a whole is run at s.
 *		s [q .. r] [t ..] x	=>	s [t ..] [q .. r] x
 *     No dearer: the block is left at the same place, as a preemption or for free, and choosing x
 *     after r costs no more than choosing t after r did. A part of the block would cost one
 *     preemption more (t is left twice): so the rule waits for the end of the block, and lets t
 *     go on until then. The rule does not speak about schedules in which q or x is time passing:
 *     that preempts everybody who can run, so it may cost once more at another place.
 *
 * R3. (races; dynamic partial-order reduction) p goes on at s with step e. Preempting it there is
 *     only tried when, in some schedule that was run from there on, e raced with a later step.
 *     Otherwise take a schedule that preempts p at s. If p's next step in it depends on nothing
 *     since s, R1 leaves it out. If it does, let d be the first step it depends on:
 *		s [q .. d] ..		and		s e [q .. d'] ..
 *     The latter has no more preemptions, so the search has run it or an equal one *from s e*
 *     on, and has seen e and d' race there: everything else that d' depends on comes from before
 *     s or from [q ..], which do not depend on e. So p was preempted at s after all.
 *     When the race is seen, all options at s are tried, not only d's thread: a thread that runs
 *     first for no good reason may save a later preemption, as being chosen is free when it
 *     ends.
 *
 * The conservative points: where the running thread sleeps, ends or yields, every option is tried,
 * races or not. R3 would not do there: "t's block first, then d" costs one preemption more than
 * "d first, then t's block", and may be beyond the bound. (Coons, Musuvathi and McKinley, "Bounded
 * partial-order reduction", OOPSLA 2013, add such points to DPOR one by one.) Data choices are
 * all tried, too.
 *
 * That the rules can be used together: R1 and R2 name schedules by moving a part of a block, or
 * all of one, to the front of what it does not depend on. If the named schedule could itself be
 * left out because of a choice before s, then so could the first one: it has the same block or its
 * beginning, followed by the same choice, with no more before it. (That is why R2 is silent about
 * x = time even where it would be no dearer: a preemption by time, which R2 must keep, would have
 * named one that R2 leaves out.) So following the names from a choice s down to earlier schedules
 * never leaves what is run from s; and R3's argument, going from the longest common beginnings to
 * the shorter, stays inside of "from s e on". The unit tests compare the final states of random
 * programs with those of the whole search, at the same bound.
 *
 * Time passing for a sleeper is a step of that sleeper which writes the clock. A step can take it
 * out of the options, and no race would be seen then: so at a step that touches the clock while
 * somebody sleeps with a deadline, all options are tried at once. A yield is a step that depends on
 * everything, and so is starting a thread.
 */
#ifndef KSHIM_EXPLORE_REDUCTION_H
#define KSHIM_EXPLORE_REDUCTION_H

#include "dependence.h"

#include <vector>

struct decision;

class reduction
{
public:
	/* @clock: the word that time passing writes. */
	explicit reduction(const u64 *clock) : clock_(clock) {}

	/* A new schedule. */
	void begin();

	/* For the search, at a decision: the options that R1 and R2 leave out, a bit each. */
	u64 left_out(const decision &d) const;

	static constexpr u32 NO_NODE = ~0u;

	/*
	 * @taken was taken at @d. @node: the search's name of the decision, if R3 may ask for more
	 * options there.
	 */
	void took(const decision &d, unsigned int taken, u32 node);

	/* The decisions at which R3 asks for all options, since begin(). */
	const std::vector<u32> &raced() const { return raced_; }

	/*
	 * For the explorer: @thread makes this step. @by_time: it was asleep, and goes on because
	 * time passes up to its deadline. False: the schedule is one that R1 or R2 leave out.
	 */
	[[nodiscard]] bool step(unsigned int thread, const step_access &access,
				bool by_time = false);

	/* The step makes this access, too. */
	void touch(const step_access &access);

	/* The step lets @thread go on, which slept until @deadline or is new. */
	void enables(unsigned int thread, u64 deadline);

private:
	static constexpr unsigned int MAX_THREADS = 64;
	static constexpr u32 NEVER = ~0u;

	bool independent_block(unsigned int thread) const
	{
		return passed_over_[thread] != NEVER &&
		       deps_.newest_before(thread) <= passed_over_[thread];
	}

	const u64 *clock_;
	dependence deps_;
	unsigned int running_ = 0; /* who made the last step */

	/* R1: since which step each thread is preempted, and before which access. */
	u32 asleep_[MAX_THREADS];
	step_access asleep_before_[MAX_THREADS];
	/* R2: since which step each thread could have been chosen, or is in the block since. */
	u32 passed_over_[MAX_THREADS];

	/* R3: */
	std::vector<u32> node_of_step_;
	u32 next_node_ = NO_NODE; /* of the step that comes now */
	bool next_timed_ = false, timed_ = false;
	std::vector<u32> races_, raced_;
};

#endif
