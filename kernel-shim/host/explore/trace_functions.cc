// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A schedule as a person tells it: which function called which, what it did to which object.
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
 * R4. A thread that runs for long is told with fewer details: first go calls of the API, then
 *     functions that only call others, the innermost first. Notes stay, and so do sleeping
 *     and waking, and the locks that somebody slept on.
 */
#include "source.h"
#include "trace_columns.h"

#include <algorithm>
#include <map>
#include <set>

namespace
{

/* Rows of one thread without a break; more are thinned out. */
constexpr size_t STRETCH_ROWS = 16;

/* Whose code a function is. */
enum class room : u8 {
	engine,  /* and what is no code of ours */
	headers, /* inlined accessors */
	api,     /* what kernel code calls and does not look into */
	own,     /* kernel code, scenarios */
};

room room_of(const source_frame &f)
{
	static const struct {
		const char *part;
		room is;
	} rooms[] = {
		{"kernel-shim/host/", room::engine},
		{"kernel-shim/include/", room::headers},
		{"kernel-shim/core/", room::api},
		{"kernel-shim/mmu/", room::api},
		{"kernel-shim/", room::own},
		{"mm/page_lock.cc", room::api},
		{"mm/page_alloc.cc", room::api},
		{"mm/", room::own},
		{"drivers/", room::own},
		{"tests/", room::own},
		{"bench/", room::own},
	};

	if (f.file.compare(0, 5, "/usr/") == 0)
		return room::engine;
	for (const auto &r : rooms) {
		if (f.file.find(r.part) != std::string::npos)
			return r.is;
	}
	return room::engine;
}

/* Names that say nothing: lambdas, constructors of guards, what each kthread begins with. */
bool is_nameless(const std::string &function)
{
	return function.empty() || function == "?" || function[0] == '_' ||
	       function.starts_with("operator") || function == "kthread_main";
}

/* Something that a scenario is about, other than the kernel API itself. */
bool is_of_a_system(const source_frame &f, room in)
{
	return in == room::own && f.file.find("tests/") == std::string::npos &&
	       f.file.find("bench/") == std::string::npos;
}

/*
 * Is it what a call of the API was for? What has no name is not, and neither are core's own
 * objects, by the names that core has for its states: each call goes through these.
 */
bool is_telling(const std::string &object)
{
	static const char *const others[] = {"block ", "0x", "state->", "base->", "rcu->"};

	return std::none_of(std::begin(others), std::end(others),
			    [&](const char *prefix) { return object.starts_with(prefix); });
}

bool releases(const std::string &function)
{
	static const char *const names[] = {"mutex_unlock", "spin_unlock",     "up_read",
					    "up_write",     "rcu_read_unlock", "unlock_page"};

	return std::find(std::begin(names), std::end(names), function) != std::end(names);
}

struct node {
	std::string function, object;
	int call_line; /* in the caller: two calls are two nodes */
	room in;
	node *parent;
	unsigned int thread;
	size_t depth = 0;
	std::vector<std::unique_ptr<node>> children;
	node *last_child = nullptr; /* that the thread was in */
	bool has_rows = false;      /* other than its children */
	bool contended = false;     /* somebody slept on its object */
	bool noticed = false;       /* it did something that another thread could notice */
	bool hidden = false, shown = false;
	size_t shown_depth = 0;
};

/* A row, before it is known how much of it is shown. */
struct row {
	size_t step;
	node *at; /* the function that is entered, or that the text is about; null: nobody's */
	std::string text; /* empty: the function's name */
	bool keep;        /* whatever happens */
};

/* A frame that is to be a node. */
struct call {
	const source_frame *frame;
	int line;
	room in;
};

/* What a line of the trace was made in, from the thread's first function inwards. */
struct call_path {
	std::vector<call> calls;
	std::string accessor;  /* the header's function that was called last */
	bool own = false;      /* there is code in it that is not core's own */
	bool a_system = false; /* and not only the scenario's */
};

call_path path_of(const trace_line &line, source_map *sources)
{
	call_path path;
	int call_line = 0;

	for (size_t i = line.stack.size(); i-- > 0;) {
		const std::vector<source_frame> &frames = sources->at(line.stack[i]);

		for (size_t k = frames.size(); k-- > 0;) {
			const source_frame &f = frames[k];
			const room in = room_of(f);
			const int from = call_line;

			call_line = f.line;
			if (in == room::headers && path.accessor.empty() &&
			    !is_nameless(f.function))
				path.accessor = f.function;
			if ((in != room::api && in != room::own) || is_nameless(f.function))
				continue;
			path.accessor.clear();
			if (in == room::own && !path.own) {
				/* What called it is how a thread is made. */
				path.calls.clear();
				path.own = true;
			}
			path.a_system = path.a_system || is_of_a_system(f, in);
			if (in == room::api && !path.calls.empty() &&
			    path.calls.back().in == room::api &&
			    (path.own || path.calls.size() > 1))
				continue;
			path.calls.push_back({&f, from, in});
		}
	}
	return path;
}

class function_trace
{
public:
	explicit function_trace(const trace &t);

	std::string text();

private:
	struct users {
		u64 readers = 0, writers = 0;
	};

	void find_shared();
	bool is_shared(const step_access &a) const;
	void add_step(size_t i, node *at);
	void find_scenery();
	node *enter(size_t step, const std::vector<call> &calls);
	void add(size_t i);
	static bool hide_what_nobody_notices(node *n);
	static bool merges(const node *n);
	static void set_depths(node *n, size_t depth);
	static std::string title(const node *n);
	static size_t depth_under(const node *n);
	void put_stretch(size_t from, size_t to, trace_columns *table);

	const trace &t_;
	source_map sources_;
	std::vector<call_path> paths_; /* of each line */
	std::vector<bool> scenery_;    /* of each thread: it runs nothing but core (R3) */
	bool a_system_ = false;
	std::map<u64, users> words_;
	std::set<const void *> contended_; /* words that somebody slept on */
	std::vector<node> roots_;          /* one a thread; no row */
	std::vector<row> rows_;
};

function_trace::function_trace(const trace &t)
	: t_(t), scenery_(t.threads.size(), true), roots_(t.threads.size())
{
	for (size_t i = 0; i < roots_.size(); i++) {
		roots_[i].thread = (unsigned int)i;
		roots_[i].in = room::engine;
		roots_[i].parent = nullptr;
	}
	for (const trace_line &line : t.lines)
		paths_.push_back(path_of(line, &sources_));
	find_shared();
	find_scenery();
	for (size_t i = 0; i < t.lines.size(); i++)
		add(i);
	for (node &root : roots_) {
		(void)hide_what_nobody_notices(&root);
		for (auto &child : root.children)
			set_depths(child.get(), 0);
	}
}

/* The smallest words that an access touches; of big ones (blocks that are freed) the first few. */
std::vector<u64> words_of(const step_access &a)
{
	constexpr u64 word = 4, most = 16;
	const u64 first = (u64)a.object / word;
	const u64 last = ((u64)a.object + (a.size ? a.size - 1 : 0)) / word;
	std::vector<u64> words;

	for (u64 w = first; w <= last && w < first + most; w++)
		words.push_back(w);
	return words;
}

void function_trace::find_shared()
{
	for (const trace_line &line : t_.lines) {
		if (!line.access.object)
			continue;
		if (line.kind == trace_kind::event)
			contended_.insert(line.access.object);
		if (line.kind != trace_kind::step)
			continue;
		for (u64 word : words_of(line.access)) {
			users &u = words_[word];

			(line.access.kind == KSHIM_LOAD ? u.readers : u.writers) |= 1ull
										    << line.thread;
		}
	}
}

bool function_trace::is_shared(const step_access &a) const
{
	if (!a.object)
		return false;
	for (u64 word : words_of(a)) {
		const users &u = words_.at(word);
		const u64 all = u.readers | u.writers;

		if (u.writers && (all & (all - 1)))
			return true;
	}
	return false;
}

void function_trace::find_scenery()
{
	for (size_t i = 0; i < t_.lines.size(); i++) {
		a_system_ = a_system_ || paths_[i].a_system;
		if (paths_[i].own)
			scenery_[t_.lines[i].thread] = false;
	}
	if (!a_system_)
		scenery_.assign(scenery_.size(), false);
}

node *function_trace::enter(size_t step, const std::vector<call> &calls)
{
	node *at = &roots_[t_.lines[step].thread];
	bool inside = true; /* still where the thread was before */

	for (const call &c : calls) {
		node *child = inside ? at->last_child : nullptr;

		if (!child || child->function != c.frame->function || child->call_line != c.line) {
			inside = false;
			at->children.push_back(std::make_unique<node>());
			child = at->children.back().get();
			child->function = c.frame->function;
			child->call_line = c.line;
			child->in = c.in;
			child->parent = at;
			child->thread = at->thread;
			at->last_child = child;
			rows_.push_back({step, child, "", false});
		}
		at = child;
	}
	/* What was called from here before has returned. */
	at->last_child = nullptr;
	return at;
}

void function_trace::add_step(size_t i, node *at)
{
	const trace_line &line = t_.lines[i];
	const std::string &accessor = paths_[i].accessor;
	std::string text;

	if (!is_shared(line.access))
		return;
	at->noticed = true;
	if (at->in == room::api) {
		/* The API's first access is to what it was called for. */
		if (at->object.empty() && is_telling(line.text))
			at->object = line.text.substr(0, line.text.find('+'));
		at->contended |= contended_.contains(line.access.object);
		return;
	}
	if (at->in != room::own)
		return;
	if (accessor.empty() || accessor == "kshim_load" || accessor == "kshim_store")
		text = (line.access.kind == KSHIM_LOAD ? "reads " : "writes ") + line.text;
	else
		text = accessor + "(" + line.text + ")";
	at->has_rows = true;
	rows_.push_back({i, at, text, false});
}

void function_trace::add(size_t i)
{
	const trace_line &line = t_.lines[i];
	const call_path &path = paths_[i];

	if (line.kind == trace_kind::deviation || line.kind == trace_kind::outside ||
	    line.kind == trace_kind::time) {
		rows_.push_back({i, nullptr, line.text, true});
		return;
	}
	if ((a_system_ && !path.own && line.kind != trace_kind::note) ||
	    (line.woken >= 0 && scenery_[(size_t)line.woken]))
		return;

	node *at = enter(i, path.calls);

	if (line.kind == trace_kind::step) {
		add_step(i, at);
		return;
	}
	at->noticed = true;
	at->has_rows = true;
	rows_.push_back({i, at, line.text, true});
}

/* R2. Return: whether there is something left to show. */
bool function_trace::hide_what_nobody_notices(node *n)
{
	bool noticed = n->noticed && !(releases(n->function) && !n->has_rows);

	for (auto &child : n->children)
		noticed |= hide_what_nobody_notices(child.get());
	n->hidden = !noticed;
	return noticed;
}

/* A function that does nothing but call another is told in one row with it. */
bool function_trace::merges(const node *n)
{
	size_t visible = 0;

	for (auto &child : n->children)
		visible += !child->hidden;
	return n->parent && !n->has_rows && visible == 1;
}

void function_trace::set_depths(node *n, size_t depth)
{
	n->depth = depth;
	for (auto &child : n->children)
		set_depths(child.get(), merges(n) ? depth : depth + 1);
}

std::string function_trace::title(const node *n)
{
	std::string text = n->function + "(" + n->object + ")";

	for (const node *p = n->parent; merges(p); p = p->parent)
		text = p->function + " > " + text;
	return text;
}

/* Where what happens in @n stands: in the nearest function around it that has a row. */
size_t function_trace::depth_under(const node *n)
{
	while (n && !n->shown)
		n = n->parent;
	return n ? n->shown_depth + 1 : 0;
}

/* How much a row would be missed. */
int worth_of(const row *r)
{
	if (r->keep)
		return 4;
	if (!r->text.empty() || r->at->contended)
		return 3;
	if (r->at->has_rows)
		return 2;
	return r->at->in == room::own;
}

/* R4: of the rows that are worth least the deepest go, until few enough are left. */
void thin_out(std::vector<const row *> *rows)
{
	for (int worth = 0; worth < 4 && rows->size() > STRETCH_ROWS;) {
		size_t deepest = 0;
		bool some = false;

		for (const row *r : *rows) {
			if (worth_of(r) != worth)
				continue;
			deepest = std::max(deepest, r->at->depth);
			some = true;
		}
		if (!some) {
			worth++;
			continue;
		}
		std::erase_if(*rows, [&](const row *r) {
			return worth_of(r) == worth && r->at->depth == deepest;
		});
	}
}

void function_trace::put_stretch(size_t from, size_t to, trace_columns *table)
{
	std::vector<const row *> rows;

	for (size_t i = from; i < to; i++) {
		const row &r = rows_[i];

		if (!r.text.empty() || (!r.at->hidden && !merges(r.at)))
			rows.push_back(&r);
	}
	thin_out(&rows);
	if (rows.empty())
		return;
	table->blank();
	for (const row *r : rows) {
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

	for (const row &r : rows_) {
		if (r.at && !r.at->hidden)
			used[r.at->thread] = true;
	}

	trace_columns table(t_, used);

	for (size_t i = 0; i < rows_.size();) {
		size_t end = i + 1;

		if (!rows_[i].at) {
			if (t_.lines[rows_[i].step].kind == trace_kind::deviation)
				table.rule(rows_[i].text);
			else
				table.wide(rows_[i].text);
			i = end;
			continue;
		}
		while (end < rows_.size() && rows_[end].at &&
		       rows_[end].at->thread == rows_[i].at->thread)
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
