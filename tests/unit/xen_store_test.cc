/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The store: tree, transactions and watches. */
#include <atomic>
#include <map>
#include <random>

#include "unit/xen_test.h"

#include <linux/slab.h>

using xen_test::machine;
using xen_test::read_node;
using xen_test::watched;

namespace
{

std::vector<std::string> children(const char *path, int *err = nullptr)
{
	unsigned int n = 0;
	char **names = xenbus_directory(XBT_NIL, path, "", &n);
	std::vector<std::string> result;

	if (IS_ERR(names)) {
		if (err)
			*err = (int)PTR_ERR(names);
		return result;
	}
	result.assign(names, names + n);
	EXPECT_EQ(names[n], nullptr);
	kfree(names);
	return result;
}

struct counting_watch : xenbus_watch {
	watched<int> calls{0};
	std::function<void()> act;

	counting_watch(const char *path, domid_t domid) : xenbus_watch{}
	{
		node = path;
		domain = xen_domain(domid);
		callback = [](xenbus_watch *watch, const char *) {
			auto *self = static_cast<counting_watch *>(watch);

			if (self->act)
				self->act();
			self->calls.update([](int &n) { n++; });
		};
	}
};

} // namespace

TEST(xen_store, values_come_back_and_parents_are_made)
{
	machine m({&xen_initcall});
	int err = 0, a = 0, b = 0;

	EXPECT_EQ(xenbus_write(XBT_NIL, "/a/b", "c", "hello"), 0);
	EXPECT_EQ(read_node("/a/b/c"), "hello");
	EXPECT_EQ(read_node("/a/b"), "");
	EXPECT_EQ(xenbus_printf(XBT_NIL, "/a", "n", "%d-%d", 12, 34), 0);
	EXPECT_EQ(xenbus_scanf(XBT_NIL, "/a", "n", "%d-%d", &a, &b), 2);
	EXPECT_EQ(a * 100 + b, 1234);
	EXPECT_EQ(xenbus_scanf(XBT_NIL, "/a", "b", "%d", &a), -ERANGE);
	EXPECT_EQ(xenbus_scanf(XBT_NIL, "/a", "x", "%d", &a), -ENOENT);
	EXPECT_EQ(children("/a"), (std::vector<std::string>{"b", "n"}));
	EXPECT_EQ(xenbus_mkdir(XBT_NIL, "/a", "b"), 0);
	EXPECT_EQ(read_node("/a/b/c"), "hello") << "mkdir of what exists changes nothing";
	EXPECT_EQ(xenbus_rm(XBT_NIL, "/a/b", ""), 0);
	EXPECT_EQ(xenbus_exists(XBT_NIL, "/a/b", "c"), 0);
	EXPECT_EQ(xenbus_rm(XBT_NIL, "/a/b", ""), -ENOENT);
	EXPECT_EQ(xenbus_rm(XBT_NIL, "/", ""), -EINVAL);
	children("/none", &err);
	EXPECT_EQ(err, -ENOENT);
}

TEST(xen_store, bad_paths_and_values_are_refused)
{
	machine m({&xen_initcall});
	std::string long_path(4000, 'a'), long_value(4097, 'v');

	for (const char *path : {"", "a", "//", "/a/", "/a//b", "/a b", "/a*", "/\x80"})
		EXPECT_EQ(xenbus_write(XBT_NIL, path, "", "x"), -EINVAL) << path;
	EXPECT_EQ(xenbus_write(XBT_NIL, ("/" + long_path).c_str(), "", "x"), -EINVAL);
	EXPECT_EQ(xenbus_write(XBT_NIL, "/a", "", long_value.c_str()), -E2BIG);
	EXPECT_EQ(xenbus_printf(XBT_NIL, "/a", "", "%s", long_value.c_str()), -E2BIG);
	EXPECT_EQ(children("/").size(), 0u);
}

TEST(xen_store, numbers_are_the_whole_value_or_the_default)
{
	machine m({&xen_initcall});
	const std::map<std::string, u64> cases = {
		{"12", 12},
		{"0x1f", 31},
		{"010", 10},
		{"-1", 7},
		{" 1", 7},
		{"1 ", 7},
		{"", 7},
		{"0x", 7},
		{"12a", 7},
		{"99999999999999999999", 7},
		{"18446744073709551615", ~0ull},
	};

	for (const auto &[text, value] : cases) {
		ASSERT_EQ(xenbus_write(XBT_NIL, "/n", "", text.c_str()), 0);
		EXPECT_EQ(xenbus_read_unsigned("/n", "", 7), value) << '"' << text << '"';
	}
	EXPECT_EQ(xenbus_read_unsigned("/none", "", 7), 7u);
}

TEST(xen_store, transaction_is_isolated_until_its_end)
{
	machine m({&xen_initcall});
	xenbus_transaction t;

	ASSERT_EQ(xenbus_write(XBT_NIL, "/a", "x", "1"), 0);
	ASSERT_EQ(xenbus_transaction_start(&t), 0);
	EXPECT_EQ(xenbus_write(t, "/a", "x", "2"), 0);
	EXPECT_EQ(xenbus_write(t, "/a", "y", "3"), 0);
	EXPECT_EQ(xenbus_exists(t, "/a", "y"), 1);
	EXPECT_EQ(read_node("/a/x"), "1");
	EXPECT_EQ(xenbus_exists(XBT_NIL, "/a", "y"), 0);
	EXPECT_EQ(xenbus_transaction_end(t, false), 0);
	EXPECT_EQ(read_node("/a/x"), "2");
	EXPECT_EQ(read_node("/a/y"), "3");
	EXPECT_EQ(xenbus_transaction_end(t, false), -EINVAL) << "it is gone";
	EXPECT_EQ(xenbus_write(t, "/a", "x", "4"), -EINVAL);

	ASSERT_EQ(xenbus_transaction_start(&t), 0);
	EXPECT_EQ(xenbus_rm(t, "/a", ""), 0);
	EXPECT_EQ(xenbus_transaction_end(t, true), 0);
	EXPECT_EQ(read_node("/a/x"), "2") << "aborted";
}

/* What the other does between start and end, and whether that is a conflict. */
TEST(xen_store, conflicts_are_eagain_and_change_nothing)
{
	struct {
		const char *name;
		std::function<void()> other;
		std::function<void(xenbus_transaction)> mine;
		int result;
	} const cases[] = {
		{"write what I wrote", [] { (void)xenbus_write(XBT_NIL, "/d", "a", "o"); },
		 [](auto t) { (void)xenbus_write(t, "/d", "a", "m"); }, -EAGAIN},
		{"write what I read", [] { (void)xenbus_write(XBT_NIL, "/d", "a", "o"); },
		 [](auto t) { xenbus_exists(t, "/d", "a"); }, -EAGAIN},
		{"create what I missed", [] { (void)xenbus_write(XBT_NIL, "/d", "new", "o"); },
		 [](auto t) { xenbus_exists(t, "/d", "new"); }, -EAGAIN},
		{"remove what I read", [] { xenbus_rm(XBT_NIL, "/d", ""); },
		 [](auto t) { xenbus_exists(t, "/d", "a"); }, -EAGAIN},
		{"remove and make again what I read",
		 [] {
			 xenbus_rm(XBT_NIL, "/d", "a");
			 (void)xenbus_write(XBT_NIL, "/d", "a", "1");
		 },
		 [](auto t) { xenbus_exists(t, "/d", "a"); }, -EAGAIN},
		{"a child in what I listed", [] { (void)xenbus_write(XBT_NIL, "/d", "new", "o"); },
		 [](auto t) {
			 unsigned int n;
			 kfree(xenbus_directory(t, "/d", "", &n));
		 },
		 -EAGAIN},
		{"remove above what I removed", [] { xenbus_rm(XBT_NIL, "/d", ""); },
		 [](auto t) { xenbus_rm(t, "/d", "a"); }, -EAGAIN},
		{"another node beside mine", [] { (void)xenbus_write(XBT_NIL, "/d", "b", "o"); },
		 [](auto t) { (void)xenbus_write(t, "/d", "a", "m"); }, 0},
		{"another new node beside my new node",
		 [] { (void)xenbus_write(XBT_NIL, "/d", "n1", "o"); },
		 [](auto t) { (void)xenbus_write(t, "/d", "n2", "m"); }, 0},
	};

	for (const auto &c : cases) {
		SCOPED_TRACE(c.name);
		machine m({&xen_initcall});
		xenbus_transaction t;

		ASSERT_EQ(xenbus_write(XBT_NIL, "/d", "a", "1"), 0);
		ASSERT_EQ(xenbus_transaction_start(&t), 0);
		c.mine(t);
		(void)xenbus_write(t, "/mark", "", "x");
		c.other();
		EXPECT_EQ(xenbus_transaction_end(t, false), c.result);
		EXPECT_EQ(xenbus_exists(XBT_NIL, "/mark", ""), c.result == 0);
	}
}

TEST(xen_store, transactions_run_out_cleanly)
{
	machine m({&xen_initcall});
	std::vector<xenbus_transaction> open;
	xenbus_transaction t;
	int err;

	while (!(err = xenbus_transaction_start(&t)))
		open.push_back(t);
	EXPECT_EQ(err, -ENOSPC);
	EXPECT_EQ(open.size(), 10u);
	for (auto &o : open)
		EXPECT_EQ(xenbus_transaction_end(o, true), 0);
}

/* Threads move one unit between two counters; a third reads both: the sum never changes. */
TEST(xen_store, concurrent_transactions_are_serializable)
{
	machine m({&xen_initcall});
	constexpr int ROUNDS = 300;
	std::atomic<int> moved{0};
	std::atomic<bool> wrong{false};

	ASSERT_EQ(xenbus_write(XBT_NIL, "/sum", "a", "1000"), 0);
	ASSERT_EQ(xenbus_write(XBT_NIL, "/sum", "b", "0"), 0);
	auto body = [&] {
		machine_scope scope(m.get());

		for (int i = 0; i < ROUNDS;) {
			xenbus_transaction t;
			int a = 0, b = 0;

			if (xenbus_transaction_start(&t))
				continue;
			if (xenbus_scanf(t, "/sum", "a", "%d", &a) != 1 ||
			    xenbus_scanf(t, "/sum", "b", "%d", &b) != 1 || a + b != 1000)
				wrong = true;
			(void)xenbus_printf(t, "/sum", "a", "%d", a - 1);
			(void)xenbus_printf(t, "/sum", "b", "%d", b + 1);
			if (xenbus_transaction_end(t, false))
				continue;
			i++;
			moved++;
		}
	};
	std::thread one(body), two(body);

	one.join();
	two.join();
	EXPECT_FALSE(wrong);
	EXPECT_EQ(read_node("/sum/a"), std::to_string(1000 - moved));
	EXPECT_EQ(read_node("/sum/b"), std::to_string(moved.load()));
}

TEST(xen_store, watches_fire_at_once_below_and_for_removal_above)
{
	machine m({&xen_initcall});
	counting_watch w("/a/b", XEN_DOM_FRONT);
	int expected = 1;
	auto fires = [&](bool yes, int err) {
		EXPECT_EQ(err, 0);
		xenbus_watch_flush(xen_domain(XEN_DOM_FRONT));
		expected += yes;
		EXPECT_EQ(w.calls.get(), expected);
	};

	ASSERT_EQ(register_xenbus_watch(&w), 0);
	EXPECT_EQ(register_xenbus_watch(&w), -EEXIST);
	xenbus_watch_flush(xen_domain(XEN_DOM_FRONT));
	EXPECT_EQ(w.calls.get(), 1) << "at registration";
	fires(true, xenbus_write(XBT_NIL, "/a/b", "", "1"));
	fires(true, xenbus_write(XBT_NIL, "/a/b/c/d", "", "1"));
	fires(false, xenbus_write(XBT_NIL, "/a/bb", "", "1"));
	fires(false, xenbus_write(XBT_NIL, "/a", "", "1"));
	fires(true, xenbus_rm(XBT_NIL, "/a/b/c", ""));
	fires(true, xenbus_rm(XBT_NIL, "/a", ""));
	unregister_xenbus_watch(&w);
	fires(false, xenbus_write(XBT_NIL, "/a/b", "", "1"));
	unregister_xenbus_watch(&w);
}

TEST(xen_store, transaction_fires_watches_only_when_it_succeeds)
{
	machine m({&xen_initcall});
	counting_watch w("/a", XEN_DOM_BACK);
	xenbus_transaction t;

	ASSERT_EQ(register_xenbus_watch(&w), 0);
	for (bool abort : {true, false}) {
		ASSERT_EQ(xenbus_transaction_start(&t), 0);
		ASSERT_EQ(xenbus_write(t, "/a", "x", "1"), 0);
		xenbus_watch_flush(xen_domain(XEN_DOM_BACK));
		EXPECT_EQ(w.calls.get(), 1);
		ASSERT_EQ(xenbus_transaction_end(t, abort), 0);
	}
	xenbus_watch_flush(xen_domain(XEN_DOM_BACK));
	EXPECT_EQ(w.calls.get(), 2);
	unregister_xenbus_watch(&w);
}

TEST(xen_store, change_during_a_callback_calls_again)
{
	machine m({&xen_initcall});
	counting_watch w("/a", XEN_DOM_FRONT);
	watched<int> gate{0};

	w.act = [&] {
		gate.update([](int &n) { n++; });
		gate.wait([](int n) { return n != 1; });
	};
	ASSERT_EQ(register_xenbus_watch(&w), 0);
	ASSERT_TRUE(gate.wait([](int n) { return n == 1; }));
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(xenbus_write(XBT_NIL, "/a", "", "1"), 0);
	gate.update([](int &n) { n = 10; });
	xenbus_watch_flush(xen_domain(XEN_DOM_FRONT));
	EXPECT_EQ(w.calls.get(), 2);
	unregister_xenbus_watch(&w);
}

TEST(xen_store, unregister_waits_for_the_callback)
{
	machine m({&xen_initcall});
	counting_watch w("/a", XEN_DOM_FRONT);
	watched<int> gate{0};
	std::atomic<bool> unregistered{false};

	w.act = [&] {
		gate.update([](int &n) { n = 1; });
		gate.wait([](int n) { return n == 2; });
		EXPECT_FALSE(unregistered.load());
	};
	ASSERT_EQ(register_xenbus_watch(&w), 0);
	ASSERT_TRUE(gate.wait([](int n) { return n == 1; }));
	std::thread other([&] {
		machine_scope scope(m.get());

		unregister_xenbus_watch(&w);
		unregistered = true;
	});
	gate.update([](int &n) { n = 2; });
	other.join();
	EXPECT_EQ(w.calls.get(), 1);
}

TEST(xen_store, callback_may_unregister_its_own_watch)
{
	machine m({&xen_initcall});
	counting_watch w("/a", XEN_DOM_FRONT);

	w.act = [&] { unregister_xenbus_watch(&w); };
	ASSERT_EQ(register_xenbus_watch(&w), 0);
	ASSERT_TRUE(w.calls.wait([](int n) { return n == 1; }));
	ASSERT_EQ(xenbus_write(XBT_NIL, "/a", "", "1"), 0);
	xenbus_watch_flush(xen_domain(XEN_DOM_FRONT));
	EXPECT_EQ(w.calls.get(), 1);
}

/* Random operations against a std::map: the tree is what the map says. */
TEST(xen_store, random_operations_agree_with_a_map)
{
	machine m({&xen_initcall});
	const unsigned int seed = 20;
	std::mt19937 random(seed);
	std::map<std::string, std::string> model;
	const std::vector<std::string> names = {"a", "b", "ab", "0"};
	auto path = [&] {
		std::string p;

		for (unsigned int depth = 1 + random() % 3; depth; depth--)
			p += "/" + names[random() % names.size()];
		return p;
	};

	RecordProperty("seed", (int)seed);
	for (int i = 0; i < 3000; i++) {
		std::string p = path();

		if (random() % 4) {
			std::string value = std::to_string(random());

			ASSERT_EQ(xenbus_write(XBT_NIL, p.c_str(), "", value.c_str()), 0);
			for (size_t at = p.find('/', 1); at != std::string::npos;
			     at = p.find('/', at + 1))
				model.emplace(p.substr(0, at), "");
			model[p] = value;
		} else {
			bool there = model.count(p);

			ASSERT_EQ(xenbus_rm(XBT_NIL, p.c_str(), ""), there ? 0 : -ENOENT) << p;
			for (auto it = model.begin(); it != model.end();) {
				bool below = it->first == p || it->first.rfind(p + "/", 0) == 0;

				it = below ? model.erase(it) : std::next(it);
			}
		}
		p = path();
		auto found = model.find(p);

		if (found == model.end())
			ASSERT_EQ(xenbus_exists(XBT_NIL, p.c_str(), ""), 0)
				<< p << " seed " << seed;
		else
			ASSERT_EQ(read_node(p.c_str()), found->second) << p << " seed " << seed;
	}
}
