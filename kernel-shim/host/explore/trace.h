/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happened under one schedule, and two ways to tell it: by what functions did, or by steps.
 */
#ifndef KSHIM_EXPLORE_TRACE_H
#define KSHIM_EXPLORE_TRACE_H

#include "dependence.h"

#include <string>
#include <vector>

enum class trace_kind : u8 {
	note,      /* a line of explore_note() and the like */
	step,      /* an announced access */
	event,     /* sleeping, waking, ending */
	time,      /* passes */
	deviation, /* what the scheduler did that would not have happened by itself */
	outside,   /* a note of setup, check or teardown */
};

struct trace_line {
	unsigned int thread;
	std::string text; /* of a step: the name of its object */
	trace_kind kind = trace_kind::note;
	step_access access = {};              /* of a step; of a sleep: to the word slept on */
	std::vector<const void *> stack = {}; /* return addresses, innermost first */
	int woken = -1;                       /* the thread that was */
};

struct trace_thread {
	std::string name;
	unsigned int cpu;
};

struct trace {
	std::vector<trace_line> lines;
	std::vector<trace_thread> threads; /* by number */
	std::string violation;
};

/* The return addresses of the calling function's callers. */
std::vector<const void *> trace_stack();

/* A column per thread, time downwards, a line for what a function did. */
std::string trace_by_functions(const trace &t);

/* The same with a line for each step. */
std::string trace_by_steps(const trace &t);

#endif
