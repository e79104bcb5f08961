/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The buses: who is probed and removed when, states, errors. */
#include <algorithm>
#include <utility>

#include "unit/xen_test.h"

using xen_test::machine;
using xen_test::read_node;

namespace
{

constexpr const char *FRONT = "/local/domain/1/device/test/0";
constexpr const char *BACK = "/local/domain/0/backend/test/1/0";

/* A driver that writes down what happens to it. The id leads back to it from probe(). */
struct test_driver {
	xenbus_device_id ids[2] = {{"test"}, {""}};
	xenbus_driver driver = {"test", ids, probe, changed, remove};
	int probe_error = 0;
	xenbus_state probe_state = XenbusStateUnknown;
	std::mutex mutex;
	std::vector<std::string> history;
	xenbus_device *dev = nullptr;

	void note(const std::string &what)
	{
		std::lock_guard<std::mutex> lock(mutex);
		history.push_back(what);
	}

	std::vector<std::string> take()
	{
		std::lock_guard<std::mutex> lock(mutex);
		return std::exchange(history, {});
	}

	static test_driver *of(xenbus_device *dev)
	{
		return static_cast<test_driver *>(dev_get_drvdata(dev));
	}

	static int probe(xenbus_device *dev, const xenbus_device_id *id)
	{
		auto *self = reinterpret_cast<test_driver *>(const_cast<xenbus_device_id *>(id));

		dev_set_drvdata(dev, self);
		self->note("probe");
		if (self->probe_error)
			return self->probe_error;
		self->dev = dev;
		if (self->probe_state)
			xenbus_switch_state(dev, self->probe_state);
		return 0;
	}

	static void changed(xenbus_device *dev, xenbus_state state)
	{
		of(dev)->note(xenbus_strstate(state));
	}

	static void remove(xenbus_device *dev)
	{
		of(dev)->note("remove");
		of(dev)->dev = nullptr;
	}
};

void write_device(bool front = true, bool back = true)
{
	xenbus_transaction t;

	ASSERT_EQ(xenbus_transaction_start(&t), 0);
	if (front) {
		ASSERT_EQ(xenbus_write(t, FRONT, "backend", BACK), 0);
		ASSERT_EQ(xenbus_write(t, FRONT, "backend-id", "0"), 0);
		ASSERT_EQ(xenbus_write(t, FRONT, "state", "1"), 0);
	}
	if (back) {
		ASSERT_EQ(xenbus_write(t, BACK, "frontend", FRONT), 0);
		ASSERT_EQ(xenbus_write(t, BACK, "frontend-id", "1"), 0);
		ASSERT_EQ(xenbus_write(t, BACK, "state", "1"), 0);
	}
	ASSERT_EQ(xenbus_transaction_end(t, false), 0);
}

void settle()
{
	for (int i = 0; i < 3; i++) {
		xenbus_watch_flush(xen_domain(XEN_DOM_FRONT));
		xenbus_watch_flush(xen_domain(XEN_DOM_BACK));
	}
}

/* Without repetitions: one state may be reported twice. */
std::vector<std::string> unique(std::vector<std::string> v)
{
	v.erase(std::unique(v.begin(), v.end()), v.end());
	return v;
}

using names = std::vector<std::string>;

} // namespace

TEST(xen_xenbus, both_ends_are_probed_told_and_removed_once)
{
	machine m({&xen_initcall, &xenbus_initcall});
	test_driver front, back;

	front.probe_state = XenbusStateInitialised;
	ASSERT_EQ(xenbus_register_frontend(&front.driver), 0);
	EXPECT_EQ(xenbus_register_frontend(&front.driver), -EBUSY);
	ASSERT_EQ(xenbus_register_backend(&back.driver), 0);
	write_device();
	settle();
	EXPECT_EQ(front.take(), (names{"probe", "Initialising"}));
	names told = unique(back.take());
	ASSERT_FALSE(told.empty());
	EXPECT_EQ(told.front(), "probe");
	EXPECT_EQ(told.back(), "Initialised");
	EXPECT_STREQ(front.dev->nodename, FRONT);
	EXPECT_STREQ(front.dev->otherend, BACK);
	EXPECT_EQ(front.dev->otherend_id, XEN_DOM_BACK);
	EXPECT_EQ(back.dev->otherend_id, XEN_DOM_FRONT);

	ASSERT_EQ(xenbus_write(XBT_NIL, BACK, "state", "5"), 0);
	settle();
	EXPECT_EQ(unique(front.take()), (names{"Closing"}));
	xenbus_rm(XBT_NIL, FRONT, "");
	settle();
	EXPECT_EQ(front.take(), (names{"remove"}));
	EXPECT_EQ(unique(back.take()), (names{"Unknown"}));
	xenbus_rm(XBT_NIL, BACK, "");
	settle();
	EXPECT_EQ(unique(back.take()).back(), "remove");
	xenbus_unregister_driver(&front.driver);
	xenbus_unregister_driver(&back.driver);
	EXPECT_TRUE(front.take().empty());
	EXPECT_TRUE(back.take().empty());
}

TEST(xen_xenbus, driver_that_comes_later_finds_the_device_and_leaves_it)
{
	machine m({&xen_initcall, &xenbus_initcall});
	test_driver front;

	write_device();
	settle();
	for (int round = 0; round < 3; round++) {
		ASSERT_EQ(xenbus_register_frontend(&front.driver), 0);
		settle();
		EXPECT_EQ(front.take(), (names{"probe", "Initialising"})) << round;
		xenbus_unregister_driver(&front.driver);
		EXPECT_EQ(front.take(), (names{"remove"})) << round;
		EXPECT_EQ(front.dev, nullptr);
	}
}

TEST(xen_xenbus, failed_probe_is_reported_and_not_repeated)
{
	machine m({&xen_initcall, &xenbus_initcall});
	test_driver front;

	front.probe_error = -ENOMEM;
	ASSERT_EQ(xenbus_register_frontend(&front.driver), 0);
	write_device();
	settle();
	EXPECT_EQ(front.take(), (names{"probe"}));
	EXPECT_EQ(xenbus_read_error(FRONT), -ENOMEM);
	EXPECT_EQ(xenbus_read_driver_state(FRONT), XenbusStateClosed);
	EXPECT_EQ(m.log_lines(), 1u) << m.log();
	ASSERT_EQ(xenbus_write(XBT_NIL, FRONT, "other", "1"), 0);
	settle();
	EXPECT_TRUE(front.take().empty());
	/* A new device of the same name is a new chance. */
	xenbus_rm(XBT_NIL, FRONT, "");
	settle();
	front.probe_error = 0;
	write_device(true, false);
	settle();
	EXPECT_EQ(front.take(), (names{"probe", "Initialising"}));
	xenbus_unregister_driver(&front.driver);
}

TEST(xen_xenbus, nonsense_instead_of_the_other_end_is_one_line)
{
	const std::pair<const char *, const char *> cases[] = {
		{"backend", nullptr},    {"backend", ""},     {"backend", "/"},
		{"backend", "rel"},      {"backend-id", "9"}, {"backend-id", "-1"},
		{"backend-id", "65536"},
	};

	for (const auto &[node, value] : cases) {
		SCOPED_TRACE(std::string(node) + " = " + (value ? value : "(none)"));
		machine m({&xen_initcall, &xenbus_initcall});
		test_driver front;

		write_device();
		settle();
		if (value)
			ASSERT_EQ(xenbus_write(XBT_NIL, FRONT, node, value), 0);
		else
			xenbus_rm(XBT_NIL, FRONT, node);
		ASSERT_EQ(xenbus_register_frontend(&front.driver), 0);
		settle();
		EXPECT_TRUE(front.take().empty());
		EXPECT_LT(xenbus_read_error(FRONT), 0);
		EXPECT_EQ(m.log_lines(), 1u) << m.log();
		xenbus_unregister_driver(&front.driver);
	}
}

TEST(xen_xenbus, state_is_not_written_into_a_removed_directory)
{
	machine m({&xen_initcall, &xenbus_initcall});
	test_driver front;

	ASSERT_EQ(xenbus_register_frontend(&front.driver), 0);
	write_device();
	settle();
	ASSERT_NE(front.dev, nullptr);
	/* The driver writes while the directory is being removed, before it has heard of that. */
	xenbus_device copy = *front.dev;

	copy.nodename = FRONT; /* the device's own goes with the device */
	xenbus_rm(XBT_NIL, FRONT, "");
	EXPECT_EQ(xenbus_switch_state(&copy, XenbusStateConnected), 0);
	EXPECT_EQ(xenbus_exists(XBT_NIL, FRONT, ""), 0);
	settle();
	xenbus_unregister_driver(&front.driver);
}

TEST(xen_xenbus, states_of_others_are_read_as_states_only)
{
	machine m({&xen_initcall, &xenbus_initcall});

	for (const char *text : {"9", "-1", "4x", "", "Connected", "4294967300"}) {
		ASSERT_EQ(xenbus_write(XBT_NIL, "/x", "state", text), 0);
		EXPECT_EQ(xenbus_read_driver_state("/x"), XenbusStateUnknown) << text;
	}
	ASSERT_EQ(xenbus_write(XBT_NIL, "/x", "state", "4"), 0);
	EXPECT_EQ(xenbus_read_driver_state("/x"), XenbusStateConnected);
	EXPECT_EQ(xenbus_read_driver_state("/y"), XenbusStateUnknown);
	EXPECT_STREQ(xenbus_strstate((xenbus_state)42), "INVALID");
}

/* Devices that come and go in a hurry, with the driver itself: every probe has its remove. */
TEST(xen_xenbus, hurry_leaves_nothing_behind)
{
	machine m({&xen_initcall, &xenbus_initcall});
	test_driver front, back;

	ASSERT_EQ(xenbus_register_backend(&back.driver), 0);
	for (int round = 0; round < 100; round++) {
		ASSERT_EQ(xenbus_register_frontend(&front.driver), 0);
		write_device();
		if (round % 3 == 0)
			settle();
		xenbus_rm(XBT_NIL, FRONT, "");
		xenbus_rm(XBT_NIL, BACK, "");
		if (round % 2)
			settle();
		xenbus_unregister_driver(&front.driver);
	}
	settle();
	for (test_driver *d : {&front, &back}) {
		names all = d->take();

		EXPECT_EQ(std::count(all.begin(), all.end(), "probe"),
			  std::count(all.begin(), all.end(), "remove"));
		EXPECT_GE(std::count(all.begin(), all.end(), "probe"), 1);
	}
	xenbus_unregister_driver(&back.driver);
}
