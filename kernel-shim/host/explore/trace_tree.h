/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a schedule's threads called, as a tree for each of them, and the rows that tell it.
 *
 * Each step comes with the functions it was made in. Put together they are a tree of calls for each
 * thread; a row of the table is a node of it, where the thread came to it first.
 *
 *	steps				 tree			rows
 *	A: f > g > mutex_lock		 f			 f > g
 *	A: f > g > set_bit		   g			   mutex_lock(w->lock)
 *					     mutex_lock		   set_bit(w->dirty)
 *					     set_bit
 *
 * R1. The kernel API is told by its name and not by what is inside of it: core/ and mmu/ are
 *     entered, but only the call from outside is a row. Where they are what runs (a timer's thread)
 *     their outermost functions are.
 * R2. An access to a word that one thread only uses is no row: nobody else could notice.
 * R3. Threads of core (timers, workers) are told of when they call other code. In a trace of a
 *     scenario and of core itself they are half of the story: then their outermost functions are
 *     rows, too.
 *
 * Which of the rows are shown, and where, is trace_functions.cc.
 */
#ifndef KSHIM_EXPLORE_TRACE_TREE_H
#define KSHIM_EXPLORE_TRACE_TREE_H

#include "trace.h"

#include <memory>
#include <string>
#include <vector>

/* Whose code a function is. */
enum class trace_room : u8 {
	engine,  /* and what is no code of ours */
	headers, /* inlined accessors */
	api,     /* what kernel code calls and does not look into */
	own,     /* kernel code, scenarios */
};

/* A call of a function. */
struct trace_node {
	std::string function, object;
	int call_line; /* in the caller: two calls are two nodes */
	trace_room in;
	trace_node *parent;
	unsigned int thread;
	size_t depth = 0;
	std::vector<std::unique_ptr<trace_node>> children;
	trace_node *last_child = nullptr; /* that the thread was in */
	bool has_rows = false;            /* other than its children */
	bool contended = false;           /* somebody slept on its object */
	bool noticed = false;             /* it did something that another thread could notice */
	bool hidden = false;              /* R2 */

	/* Of the layout: it has a row, indented so far. */
	bool shown = false;
	size_t shown_depth = 0;

	/* It does nothing but call another: it is told in one row with that. */
	bool merges() const;
};

/* A row, before it is known how much of it is shown. */
struct trace_row {
	size_t step;
	trace_node *at;   /* the function entered, or that the text is about; null: nobody's */
	std::string text; /* empty: the function's name */
	bool keep;        /* whatever happens */
};

struct trace_tree {
	std::vector<trace_node> roots; /* one a thread; no row */
	std::vector<trace_row> rows;   /* all that could be shown, in the order of steps */
};

trace_tree make_trace_tree(const trace &t);

#endif
