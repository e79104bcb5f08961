// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A schedule as a person tells it: which function called which, what it did to which object. The
 * rows come from trace_tree.h (R1 to R3); here they become a table.
 *
 * R4. A thread that runs for long is told with fewer details: first go calls of the API, then
 *     functions that only call others, the innermost first. Notes stay, and so do sleeping
 *     and waking, and the locks that somebody slept on.
 */
#include "trace_columns.h"
#include "trace_tree.h"

#include <algorithm>

namespace
{

/* Rows of one thread without a break; more are thinned out. */
constexpr size_t STRETCH_ROWS = 16;

class function_trace
{
public:
	explicit function_trace(const trace &t) : t_(t), tree_(make_trace_tree(t)) {}

	std::string text();

private:
	static std::string title(const trace_node *n);
	static size_t depth_under(const trace_node *n);
	void put_stretch(size_t from, size_t to, trace_columns *table);

	const trace &t_;
	trace_tree tree_;
};

std::string function_trace::title(const trace_node *n)
{
	std::string text = n->function + "(" + n->object + ")";

	for (const trace_node *p = n->parent; p->merges(); p = p->parent)
		text = p->function + " > " + text;
	return text;
}

/* Where what happens in @n stands: in the nearest function around it that has a row. */
size_t function_trace::depth_under(const trace_node *n)
{
	while (n && !n->shown)
		n = n->parent;
	return n ? n->shown_depth + 1 : 0;
}

/* How much a row would be missed. */
int worth_of(const trace_row *r)
{
	if (r->keep)
		return 4;
	if (!r->text.empty() || r->at->contended)
		return 3;
	if (r->at->has_rows)
		return 2;
	return r->at->in == trace_room::own;
}

/* R4: of the rows that are worth least the deepest go, until few enough are left. */
void thin_out(std::vector<const trace_row *> *rows)
{
	for (int worth = 0; worth < 4 && rows->size() > STRETCH_ROWS;) {
		size_t deepest = 0;
		bool some = false;

		for (const trace_row *r : *rows) {
			if (worth_of(r) != worth)
				continue;
			deepest = std::max(deepest, r->at->depth);
			some = true;
		}
		if (!some) {
			worth++;
			continue;
		}
		std::erase_if(*rows, [&](const trace_row *r) {
			return worth_of(r) == worth && r->at->depth == deepest;
		});
	}
}

void function_trace::put_stretch(size_t from, size_t to, trace_columns *table)
{
	std::vector<const trace_row *> rows;

	for (size_t i = from; i < to; i++) {
		const trace_row &r = tree_.rows[i];

		if (!r.text.empty() || (!r.at->hidden && !r.at->merges()))
			rows.push_back(&r);
	}
	thin_out(&rows);
	if (rows.empty())
		return;
	table->blank();
	for (const trace_row *r : rows) {
		size_t depth = depth_under(r->text.empty() ? r->at->parent : r->at);

		if (r->text.empty()) {
			r->at->shown = true;
			r->at->shown_depth = depth;
		}
		table->row(r->step + 1, r->at->thread, 2 * depth,
			   r->text.empty() ? title(r->at) : r->text);
	}
}

std::string function_trace::text()
{
	std::vector<bool> used(t_.threads.size());

	for (const trace_row &r : tree_.rows) {
		if (r.at && !r.at->hidden)
			used[r.at->thread] = true;
	}

	trace_columns table(t_, used);

	for (size_t i = 0; i < tree_.rows.size();) {
		size_t end = i + 1;

		if (!tree_.rows[i].at) {
			if (t_.lines[tree_.rows[i].step].kind == trace_kind::deviation)
				table.rule(tree_.rows[i].text);
			else
				table.wide(tree_.rows[i].text);
			i = end;
			continue;
		}
		while (end < tree_.rows.size() && tree_.rows[end].at &&
		       tree_.rows[end].at->thread == tree_.rows[i].at->thread)
			end++;
		put_stretch(i, end, &table);
		i = end;
	}
	return table.finish(t_.violation);
}

} // namespace

std::string trace_by_functions(const trace &t)
{
	return function_trace(t).text();
}
