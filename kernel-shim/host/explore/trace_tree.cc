// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From steps and their stacks to trees of calls: trace_tree.h says what for, and by which rules.
 *
 *	line's stack -- source_map --> path_of(): calls -- enter() --> nodes, rows
 */
#include "trace_tree.h"

#include "source.h"

#include <algorithm>
#include <map>
#include <set>

namespace
{

trace_room room_of(const source_frame &f)
{
	static const struct {
		const char *part;
		trace_room is;
	} rooms[] = {
		{"kernel-shim/host/", trace_room::engine},
		{"kernel-shim/include/", trace_room::headers},
		{"kernel-shim/core/", trace_room::api},
		{"kernel-shim/mmu/", trace_room::api},
		{"kernel-shim/", trace_room::own},
		{"mm/page_lock.cc", trace_room::api},
		{"mm/page_alloc.cc", trace_room::api},
		{"mm/", trace_room::own},
		{"drivers/", trace_room::own},
		{"tests/", trace_room::own},
		{"bench/", trace_room::own},
	};

	if (f.file.compare(0, 5, "/usr/") == 0)
		return trace_room::engine;
	for (const auto &r : rooms) {
		if (f.file.find(r.part) != std::string::npos)
			return r.is;
	}
	return trace_room::engine;
}

/* Names that say nothing: lambdas, constructors of guards, what each kthread begins with. */
bool is_nameless(const std::string &function)
{
	return function.empty() || function == "?" || function[0] == '_' ||
	       function.starts_with("operator") || function == "kthread_main";
}

/* Something that a scenario is about, other than the kernel API itself. */
bool is_of_a_system(const source_frame &f, trace_room in)
{
	return in == trace_room::own && f.file.find("tests/") == std::string::npos &&
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

/* A frame that is to be a node. */
struct call {
	const source_frame *frame;
	int line;
	trace_room in;
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
			const trace_room in = room_of(f);
			const int from = call_line;

			call_line = f.line;
			if (in == trace_room::headers && path.accessor.empty() &&
			    !is_nameless(f.function))
				path.accessor = f.function;
			if ((in != trace_room::api && in != trace_room::own) ||
			    is_nameless(f.function))
				continue;
			path.accessor.clear();
			if (in == trace_room::own && !path.own) {
				/* What called it is how a thread is made. */
				path.calls.clear();
				path.own = true;
			}
			path.a_system = path.a_system || is_of_a_system(f, in);
			if (in == trace_room::api && !path.calls.empty() &&
			    path.calls.back().in == trace_room::api &&
			    (path.own || path.calls.size() > 1))
				continue;
			path.calls.push_back({&f, from, in});
		}
	}
	return path;
}

class tree_builder
{
public:
	explicit tree_builder(const trace &t);

	trace_tree take() { return std::move(tree_); }

private:
	struct users {
		u64 readers = 0, writers = 0;
	};

	void find_shared();
	bool is_shared(const step_access &a) const;
	void add_step(size_t i, trace_node *at);
	void find_scenery();
	trace_node *enter(size_t step, const std::vector<call> &calls);
	void add(size_t i);
	static bool hide_what_nobody_notices(trace_node *n);
	static void set_depths(trace_node *n, size_t depth);

	const trace &t_;
	source_map sources_;
	std::vector<call_path> paths_; /* of each line */
	std::vector<bool> scenery_;    /* of each thread: it runs nothing but core (R3) */
	bool a_system_ = false;
	std::map<u64, users> words_;
	std::set<const void *> contended_; /* words that somebody slept on */
	trace_tree tree_;
};

tree_builder::tree_builder(const trace &t) : t_(t), scenery_(t.threads.size(), true)
{
	tree_.roots = std::vector<trace_node>(t.threads.size());
	for (size_t i = 0; i < tree_.roots.size(); i++) {
		tree_.roots[i].thread = (unsigned int)i;
		tree_.roots[i].in = trace_room::engine;
		tree_.roots[i].parent = nullptr;
	}
	for (const trace_line &line : t.lines)
		paths_.push_back(path_of(line, &sources_));
	find_shared();
	find_scenery();
	for (size_t i = 0; i < t.lines.size(); i++)
		add(i);
	for (trace_node &root : tree_.roots) {
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

void tree_builder::find_shared()
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

bool tree_builder::is_shared(const step_access &a) const
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

void tree_builder::find_scenery()
{
	for (size_t i = 0; i < t_.lines.size(); i++) {
		a_system_ = a_system_ || paths_[i].a_system;
		if (paths_[i].own)
			scenery_[t_.lines[i].thread] = false;
	}
	if (!a_system_)
		scenery_.assign(scenery_.size(), false);
}

trace_node *tree_builder::enter(size_t step, const std::vector<call> &calls)
{
	trace_node *at = &tree_.roots[t_.lines[step].thread];
	bool inside = true; /* still where the thread was before */

	for (const call &c : calls) {
		trace_node *child = inside ? at->last_child : nullptr;

		if (!child || child->function != c.frame->function || child->call_line != c.line) {
			inside = false;
			at->children.push_back(std::make_unique<trace_node>());
			child = at->children.back().get();
			child->function = c.frame->function;
			child->call_line = c.line;
			child->in = c.in;
			child->parent = at;
			child->thread = at->thread;
			at->last_child = child;
			tree_.rows.push_back({step, child, "", false});
		}
		at = child;
	}
	/* What was called from here before has returned. */
	at->last_child = nullptr;
	return at;
}

void tree_builder::add_step(size_t i, trace_node *at)
{
	const trace_line &line = t_.lines[i];
	const std::string &accessor = paths_[i].accessor;
	std::string text;

	if (!is_shared(line.access))
		return;
	at->noticed = true;
	if (at->in == trace_room::api) {
		/* The API's first access is to what it was called for. */
		if (at->object.empty() && is_telling(line.text))
			at->object = line.text.substr(0, line.text.find('+'));
		at->contended |= contended_.contains(line.access.object);
		return;
	}
	if (at->in != trace_room::own)
		return;
	if (accessor.empty() || accessor == "kshim_load" || accessor == "kshim_store")
		text = (line.access.kind == KSHIM_LOAD ? "reads " : "writes ") + line.text;
	else
		text = accessor + "(" + line.text + ")";
	at->has_rows = true;
	tree_.rows.push_back({i, at, text, false});
}

void tree_builder::add(size_t i)
{
	const trace_line &line = t_.lines[i];
	const call_path &path = paths_[i];

	if (line.kind == trace_kind::deviation || line.kind == trace_kind::outside ||
	    line.kind == trace_kind::time) {
		tree_.rows.push_back({i, nullptr, line.text, true});
		return;
	}
	if ((a_system_ && !path.own && line.kind != trace_kind::note) ||
	    (line.woken >= 0 && scenery_[(size_t)line.woken]))
		return;

	trace_node *at = enter(i, path.calls);

	if (line.kind == trace_kind::step) {
		add_step(i, at);
		return;
	}
	at->noticed = true;
	at->has_rows = true;
	tree_.rows.push_back({i, at, line.text, true});
}

/* R2. Return: whether there is something left to show. */
bool tree_builder::hide_what_nobody_notices(trace_node *n)
{
	bool noticed = n->noticed && !(releases(n->function) && !n->has_rows);

	for (auto &child : n->children)
		noticed |= hide_what_nobody_notices(child.get());
	n->hidden = !noticed;
	return noticed;
}

void tree_builder::set_depths(trace_node *n, size_t depth)
{
	n->depth = depth;
	for (auto &child : n->children)
		set_depths(child.get(), n->merges() ? depth : depth + 1);
}

} // namespace

bool trace_node::merges() const
{
	size_t visible = 0;

	for (auto &child : children)
		visible += !child->hidden;
	return parent && !has_rows && visible == 1;
}

trace_tree make_trace_tree(const trace &t)
{
	return tree_builder(t).take();
}
