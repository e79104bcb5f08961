// SPDX-License-Identifier: GPL-2.0-or-later
#include "trace_columns.h"

#include <algorithm>
#include <stdio.h>

trace_columns::trace_columns(const trace &t, const std::vector<bool> &used)
{
	size_t nr = (size_t)std::count(used.begin(), used.end(), true);
	size_t width = nr ? std::min((WIDTH - NUMBERS) / nr, WIDEST_COLUMN) : 0;
	size_t at = NUMBERS;
	std::string head(NUMBERS, ' '), under(NUMBERS, ' ');

	for (size_t i = 0; i < t.threads.size(); i++) {
		column_.push_back(at);
		if (i >= used.size() || !used[i])
			continue;

		std::string title =
			t.threads[i].name + " (CPU " + std::to_string(t.threads[i].cpu) + ")";

		head.resize(at, ' ');
		under.resize(at, ' ');
		head += title;
		under += std::string(title.size(), '-');
		at += width;
	}
	table_ = head + "\n" + under + "\n";
}

/* Breaks what does not fit at a blank; what follows is indented by two more. */
void trace_columns::put(const std::string &head, size_t column, const std::string &text)
{
	std::string row = head, rest = text;

	row.resize(column, ' ');
	while (row.size() + rest.size() > WIDTH) {
		size_t cut = row.size() < WIDTH ? rest.rfind(' ', WIDTH - row.size()) : 0;

		if (cut == std::string::npos || cut == 0)
			break;
		table_ += row + rest.substr(0, cut) + "\n";
		rest.erase(0, cut + 1);
		row.assign(column + 2, ' ');
	}
	table_ += row + rest + "\n";
	blank_ = false;
}

void trace_columns::row(size_t number, unsigned int thread, size_t indent, const std::string &text)
{
	char head[32] = "";

	if (number)
		snprintf(head, sizeof(head), "%5zu  ", number);
	put(head, column_[thread] + indent, text);
}

void trace_columns::wide(const std::string &text)
{
	put("", NUMBERS, text);
}

void trace_columns::rule(const std::string &text)
{
	std::string line = "------ " + text + " ";

	table_ += line + std::string(WIDTH > line.size() ? WIDTH - line.size() : 0, '-') + "\n";
	blank_ = false;
}

void trace_columns::blank()
{
	if (!blank_)
		table_ += "\n";
	blank_ = true;
}

std::string trace_columns::finish(const std::string &violation)
{
	rule("VIOLATION");
	return table_ + violation + "\n";
}
