// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every step of a schedule: what was accessed, by which function, on which line.
 */
#include "source.h"
#include "trace_columns.h"

#include <unwind.h>

static constexpr size_t DEEPEST = 64;

std::vector<const void *> trace_stack()
{
	std::vector<const void *> stack;

	_Unwind_Backtrace(
		[](struct _Unwind_Context *context, void *arg) {
			auto *stack = (std::vector<const void *> *)arg;

			if (stack->size() == DEEPEST || !_Unwind_GetIP(context))
				return _URC_END_OF_STACK;
			stack->push_back((const void *)_Unwind_GetIP(context));
			return _URC_NO_REASON;
		},
		&stack);
	return stack;
}

static std::string kind_name(enum kshim_point_kind kind)
{
	switch (kind) {
	case KSHIM_LOAD:
		return "load";
	case KSHIM_STORE:
		return "store";
	case KSHIM_RMW:
		return "rmw";
	case KSHIM_CAS:
		return "cas";
	case KSHIM_FENCE:
		return "fence";
	case KSHIM_YIELD:
		break;
	}
	return "yield";
}

/* "harvest_page, fb_defio_vma.cc:141": the function that made the access, not the accessor. */
static std::string place_of(const trace_line &line, source_map *sources)
{
	for (const void *address : line.stack) {
		for (const source_frame &f : sources->at(address)) {
			if (f.file.empty() || f.file.find("/include/") != std::string::npos ||
			    f.file.find("host/explore/") != std::string::npos)
				continue;
			return f.function + ", " + f.file.substr(f.file.rfind('/') + 1) + ":" +
			       std::to_string(f.line);
		}
	}
	return "";
}

std::string trace_by_steps(const trace &t)
{
	std::vector<bool> used(t.threads.size());
	source_map sources;

	for (const trace_line &line : t.lines)
		used[line.thread] = used[line.thread] || line.kind != trace_kind::outside;

	trace_columns table(t, used);

	for (size_t i = 0; i < t.lines.size(); i++) {
		const trace_line &line = t.lines[i];

		if (i && line.thread != t.lines[i - 1].thread)
			table.blank();
		switch (line.kind) {
		case trace_kind::step:
			table.row(i + 1, line.thread, 0,
				  kind_name(line.access.kind) + " " + line.text + "  " +
					  place_of(line, &sources));
			break;
		case trace_kind::deviation:
			table.rule(line.text);
			break;
		case trace_kind::outside:
		case trace_kind::time:
			table.wide(line.text);
			break;
		case trace_kind::note:
		case trace_kind::event:
			table.row(i + 1, line.thread, 0, line.text);
			break;
		}
	}
	return table.finish(t.violation);
}
