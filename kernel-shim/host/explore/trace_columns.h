/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A table with a column for each thread that has something to say. A cell may be wider than its
 * column: its row belongs to it alone.
 */
#ifndef KSHIM_EXPLORE_TRACE_COLUMNS_H
#define KSHIM_EXPLORE_TRACE_COLUMNS_H

#include "trace.h"

class trace_columns
{
public:
	/* @used: a flag for each thread. */
	trace_columns(const trace &t, const std::vector<bool> &used);

	/* A row of @thread at step number @number; 0: none. */
	void row(size_t number, unsigned int thread, size_t indent, const std::string &text);
	/* A row of nobody. */
	void wide(const std::string &text);
	/* A line across the table with @text in it. */
	void rule(const std::string &text);
	void blank();

	/* The table with the violation under it. */
	std::string finish(const std::string &violation);

private:
	static constexpr size_t WIDTH = 118, NUMBERS = 7, WIDEST_COLUMN = 36;

	void put(const std::string &head, size_t column, const std::string &text);

	std::vector<size_t> column_; /* where a thread's column begins */
	std::string table_;
	bool blank_ = true; /* the last row was one */
};

#endif
