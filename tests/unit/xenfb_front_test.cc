/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The front end against back ends that lie, stop, come late or leave in the middle. */
#include <atomic>

#include <linux/jiffies.h>

#include "unit/xenfb_test.h"

using namespace xen_test;

namespace
{

constexpr xenfb_config CONFIG = {.width = 64, .height = 64, .depth = 32, .mem_length = 65536};

struct front_ref {
	front_ref() : info(xenfb_front_find(FRONT_DIR))
	{
		if (IS_ERR(info))
			throw std::runtime_error("no front end at " + std::string(FRONT_DIR));
	}
	~front_ref() { put_fb_info(info); }

	struct xenfb_front_stats stats() const
	{
		struct xenfb_front_stats s;

		xenfb_front_stats(info, &s);
		return s;
	}

	fb_info *info;
};

void draw_pixel(fb_info *info, u32 x, u32 y, u32 value)
{
	fb_damage_absorb(info, (y * 64 + x) * 4, &value, 4);
}

/* Marks what UPDATE events cover; fails on events that are not within 64x64. */
struct coverage {
	bool covered[64][64] = {};
	int resizes = 0, updates = 0;

	void add(const std::vector<xenfb_out_private> &events)
	{
		for (const auto &e : events) {
			if (e.event.type == XENFB_TYPE_RESIZE) {
				resizes++;
				continue;
			}
			ASSERT_EQ(e.event.type, XENFB_TYPE_UPDATE);
			const xenfb_update &u = e.event.update;

			updates++;
			ASSERT_TRUE(u.x >= 0 && u.y >= 0 && u.width > 0 && u.height > 0);
			ASSERT_TRUE(u.x + u.width <= 64 && u.y + u.height <= 64);
			for (s32 y = u.y; y < u.y + u.height; y++) {
				for (s32 x = u.x; x < u.x + u.width; x++)
					covered[y][x] = true;
			}
		}
	}
};

} // namespace

TEST(xenfb_front, publishes_what_the_abi_says)
{
	xenfb_machine m(ends::FRONT);
	raw_back back(CONFIG);
	front_ref front;

	EXPECT_EQ(xenbus_read_driver_state(FRONT_DIR), XenbusStateInitialised);
	EXPECT_EQ(read_node("/local/domain/1/device/vfb/7/protocol"), XEN_IO_PROTO_ABI_NATIVE);
	EXPECT_EQ(xenbus_read_unsigned(FRONT_DIR, "feature-update", 0), 1u);
	back.attach();
	EXPECT_EQ(back.page->width, 64);
	EXPECT_EQ(back.page->height, 64);
	EXPECT_EQ(back.page->line_length, 256u);
	EXPECT_EQ(back.page->mem_length, 65536u);
	EXPECT_EQ(back.page->depth, 32);
	/* The directory leads to the very pages of the frame. */
	u64 dir_frame = back.page->pd[0];
	struct xen_foreign *dir_map = xen_foreign_map(&dir_frame, 1, nullptr);

	ASSERT_FALSE(IS_ERR(dir_map));
	auto *dir = static_cast<unsigned long *>(xen_foreign_addr(dir_map));

	for (int i = 0; i < 16; i++) {
		u64 frame = dir[i];
		struct xen_foreign *frame_map = xen_foreign_map(&frame, 1, nullptr);

		ASSERT_FALSE(IS_ERR(frame_map));
		auto *mapped = static_cast<char *>(xen_foreign_addr(frame_map));

		front.info->screen_buffer[i * 4096 + 5] = (char)(i + 1);
		EXPECT_EQ(mapped[5], (char)(i + 1));
		xen_foreign_unmap(frame_map);
	}
	EXPECT_EQ(dir[16], 0u);
	xen_foreign_unmap(dir_map);
	back.detach();
}

TEST(xenfb_front, first_picture_is_sent_when_connected_and_not_before)
{
	xenfb_machine m(ends::FRONT);
	raw_back back(CONFIG);
	front_ref front;
	coverage all;

	back.attach();
	/* The call at the beginning, so that the next one is an event of the front end. */
	ASSERT_TRUE(back.events.wait([](int n) { return n == 1; }));
	draw_pixel(front.info, 1, 1, 1);
	EXPECT_EQ(fb_defio_flush(front.info), 0);
	EXPECT_EQ(back.page->out_prod, 0u);
	back.set_state(XenbusStateInitWait);
	EXPECT_EQ(xenbus_read_driver_state(FRONT_DIR), XenbusStateConnected);
	EXPECT_EQ(back.page->out_prod, 0u);
	back.set_state(XenbusStateConnected);
	EXPECT_TRUE(back.events.wait([](int n) { return n >= 2; }));
	all.add(back.consume());
	EXPECT_TRUE(all.covered[63][63] && all.covered[0][0]);
	EXPECT_EQ(all.resizes, 0);
}

TEST(xenfb_front, init_wait_may_be_missed)
{
	xenfb_machine m(ends::FRONT);
	raw_back back(CONFIG);
	front_ref front;

	back.connect();
	EXPECT_EQ(xenbus_read_driver_state(FRONT_DIR), XenbusStateConnected);
	EXPECT_TRUE(front.stats().connected);
}

TEST(xenfb_front, closing_may_be_missed_and_a_restart_is_followed)
{
	xenfb_machine m(ends::FRONT);
	raw_back back(CONFIG);
	front_ref front;

	for (xenbus_state gone : {XenbusStateClosing, XenbusStateClosed, XenbusStateUnknown}) {
		SCOPED_TRACE(xenbus_strstate(gone));
		back.cons = 0;
		back.connect();
		ASSERT_TRUE(front.stats().connected);
		back.consume();
		back.detach();
		if (gone == XenbusStateUnknown) {
			xenbus_rm(XBT_NIL, BACK_DIR, "state");
			settle();
		} else {
			back.set_state(gone);
		}
		EXPECT_EQ(xenbus_read_driver_state(FRONT_DIR), XenbusStateClosed);
		EXPECT_FALSE(front.stats().connected);
		/* Drawing goes on without a back end; flushing does not hang. */
		draw_pixel(front.info, 7, 7, (u32)gone);
		EXPECT_EQ(fb_defio_flush(front.info), 0);
		back.set_state(XenbusStateInitWait);
		EXPECT_EQ(xenbus_read_driver_state(FRONT_DIR), XenbusStateConnected);
	}
	back.cons = 0;
	back.connect();
	coverage all;

	all.add(back.consume());
	EXPECT_TRUE(all.covered[7][7]);
	EXPECT_TRUE(all.covered[0][0] && all.covered[63][63])
		<< "a new back end has no picture yet";
}

TEST(xenfb_front, no_resize_event_without_feature_resize)
{
	xenfb_machine m(ends::FRONT);
	raw_back back(CONFIG, false);
	front_ref front;
	fb_var_screeninfo var = front.info->var;
	const xenfb_front_geometry g = {32, 32, 32, 0, 0};

	back.connect();
	EXPECT_EQ(xenfb_front_set_geometry(front.info, &g), -EOPNOTSUPP);
	var.xres = 32;
	EXPECT_EQ(fb_set_var(front.info, &var), -EINVAL);
	draw_pixel(front.info, 1, 1, 1);
	EXPECT_EQ(fb_defio_flush(front.info), 0);
	coverage all;

	all.add(back.consume());
	EXPECT_EQ(all.resizes, 0);
	EXPECT_GE(all.updates, 1);
}

TEST(xenfb_front, offset_needs_feature_resize)
{
	xenfb_machine m(ends::FRONT);
	xenfb_config config = CONFIG;

	config.offset = 100;
	raw_back back(config, false);

	back.connect();
	EXPECT_EQ(xenbus_read_error(FRONT_DIR), -EOPNOTSUPP);
	EXPECT_EQ(xenbus_read_driver_state(FRONT_DIR), XenbusStateClosing);
	EXPECT_EQ(back.page->out_prod, 0u);
	EXPECT_EQ(m.log_lines(), 1u) << m.log();
}

TEST(xenfb_front, resize_event_carries_the_offset_and_comes_first)
{
	xenfb_machine m(ends::FRONT);
	xenfb_config config = CONFIG;

	config.offset = 3232;
	config.line_length = 300;
	raw_back back(config);

	back.connect();
	auto events = back.consume();

	ASSERT_GE(events.size(), 2u);
	EXPECT_EQ(events[0].event.type, XENFB_TYPE_RESIZE);
	const xenfb_resize &r = events[0].event.resize;

	EXPECT_EQ(r.width, 64);
	EXPECT_EQ(r.height, 64);
	EXPECT_EQ(r.stride, 300);
	EXPECT_EQ(r.depth, 32);
	EXPECT_EQ(r.offset, 3232);
	EXPECT_EQ(events[1].event.type, XENFB_TYPE_UPDATE);
}

TEST(xenfb_front, full_ring_keeps_the_rectangles_until_there_is_room)
{
	xenfb_machine m(ends::FRONT);
	raw_back back(CONFIG);
	front_ref front;
	coverage all;
	u32 end;

	back.connect();
	back.consume();
	/* Single pixels, far apart, one event each: more than the ring holds. */
	for (u32 round = 0; round < 3; round++) {
		for (u32 i = 0; i < 64; i++) {
			draw_pixel(front.info, (i * 37) % 64, (i * 29 + round) % 64, round + 1);
			ASSERT_EQ(fb_defio_flush(front.info), 0);
			ASSERT_LE(READ_ONCE(back.page->out_prod) - back.cons, XENFB_OUT_LEN);
		}
	}
	EXPECT_EQ(READ_ONCE(back.page->out_prod) - back.cons, XENFB_OUT_LEN);
	EXPECT_GE(front.stats().ring_full, 1u);
	EXPECT_EQ(xenfb_front_wait_sent(front.info, &end, 1000), -ETIMEDOUT);
	/* The back end's event is what sends the rest. */
	while (xenfb_front_wait_sent(front.info, &end, 1000) || end != back.cons) {
		all.add(back.consume());
		if (HasFatalFailure())
			return;
	}
	for (u32 round = 0; round < 3; round++) {
		for (u32 i = 0; i < 64; i++)
			ASSERT_TRUE(all.covered[(i * 29 + round) % 64][(i * 37) % 64]);
	}
}

TEST(xenfb_front, nonsense_indexes_stop_sending_and_nothing_else)
{
	xenfb_machine m(ends::FRONT);
	raw_back back(CONFIG);
	front_ref front;
	coverage all;
	u32 end;

	back.connect();
	back.consume();
	const u32 good = back.cons;

	for (u32 bad : {good + 1, good + 1000, good - 52, good + 0x80000000u}) {
		const u32 prod = back.page->out_prod;

		WRITE_ONCE(back.page->out_cons, bad);
		WRITE_ONCE(back.page->in_prod, bad);
		notify_remote_via_irq(back.irq);
		draw_pixel(front.info, bad % 64, 3, bad);
		EXPECT_EQ(fb_defio_flush(front.info), 0);
		EXPECT_EQ(READ_ONCE(back.page->out_prod), prod) << bad;
	}
	EXPECT_GE(front.stats().bad_indexes, 4u);
	EXPECT_LE(m.log_lines(), 3u) << m.log();
	EXPECT_GE(m.log_lines(), 1u);
	/* It comes to its senses: all that waited is sent. */
	WRITE_ONCE(back.page->out_cons, good);
	notify_remote_via_irq(back.irq);
	EXPECT_EQ(xenfb_front_wait_sent(front.info, &end, 60 * HZ), 0);
	all.add(back.consume());
	EXPECT_TRUE(all.covered[3][(good + 1) % 64]);
}

TEST(xenfb_front, refresh_period_and_unknown_in_events_are_ignored)
{
	xenfb_machine m(ends::FRONT);
	raw_back back(CONFIG);
	front_ref front;

	back.connect();
	back.consume();
	for (u32 i = 0; i < 25; i++) {
		xenfb_in_event &e = XENFB_IN_RING_REF(back.page, i);

		e.type = i % 2 ? XENFB_TYPE_REFRESH_PERIOD : 99;
		e.refresh_period.period = i % 3 ? i : XENFB_NO_REFRESH;
	}
	WRITE_ONCE(back.page->in_prod, 25);
	notify_remote_via_irq(back.irq);
	EXPECT_TRUE(eventually([&] { return READ_ONCE(back.page->in_cons) == 25; }));
	EXPECT_EQ(front.stats().in_events, 25u);
	draw_pixel(front.info, 9, 9, 9);
	EXPECT_EQ(fb_defio_flush(front.info), 0);
	coverage all;

	all.add(back.consume());
	EXPECT_TRUE(all.covered[9][9]);
}

TEST(xenfb_front, back_end_without_request_update_gets_no_updates)
{
	xenfb_machine m(ends::FRONT);
	raw_back back(CONFIG);
	front_ref front;
	u32 end;

	write_number(BACK_DIR, "request-update", 0);
	back.connect();
	draw_pixel(front.info, 9, 9, 9);
	EXPECT_EQ(fb_defio_flush(front.info), 0);
	EXPECT_EQ(back.page->out_prod, 0u);
	EXPECT_EQ(xenfb_front_wait_sent(front.info, &end, HZ), 0);
}

TEST(xenfb_front, hostile_limits_are_refused_with_one_line)
{
	for (const char *value : {"0", "63", "1"}) {
		xenfb_machine m(ends::FRONT);

		ASSERT_EQ(xenbus_write(XBT_NIL, BACK_DIR, "width", value), 0);
		raw_back back(CONFIG);

		EXPECT_EQ(xenbus_read_error(FRONT_DIR), -EINVAL) << value;
		EXPECT_EQ(m.log_lines(), 1u) << m.log();
	}
	for (const char *value : {"-1", "99999999999999999999999", "x", "64"}) {
		xenfb_machine m(ends::FRONT);

		ASSERT_EQ(xenbus_write(XBT_NIL, BACK_DIR, "width", value), 0);
		raw_back back(CONFIG);

		EXPECT_EQ(xenbus_read_error(FRONT_DIR), 0) << value;
	}
}

/*
 * Two senders, the event handler and a hostile consumer: each taken rectangle is in the ring once.
 */
TEST(xenfb_front, parallel_senders_share_the_ring_without_loss)
{
	xenfb_machine m(ends::FRONT);
	raw_back back(CONFIG);
	front_ref front;
	coverage all;
	std::atomic<int> running{3};
	std::vector<std::thread> threads;
	u32 end;

	back.connect();
	back.consume();
	for (u32 t = 0; t < 3; t++) {
		threads.emplace_back([&, t] {
			machine_scope scope(m.get());

			/* Every third pixel of every line, no two threads the same. */
			for (u32 i = t; i < 64 * 64; i += 3) {
				draw_pixel(front.info, i % 64, i / 64, i + 1);
				if (i % 5 == 0) {
					EXPECT_EQ(fb_defio_flush(front.info), 0);
				}
			}
			running--;
		});
	}
	while (running || xenfb_front_wait_sent(front.info, &end, 1000) || end != back.cons) {
		all.add(back.consume());
		if (!running) {
			EXPECT_EQ(fb_defio_flush(front.info), 0);
		}
	}
	for (auto &t : threads)
		t.join();
	for (auto &line : all.covered) {
		for (bool pixel : line)
			ASSERT_TRUE(pixel);
	}
	EXPECT_EQ(front.stats().updates, back.page->out_prod);
}

/*
 * Connects and leaves at random moments while programs draw and flush: no send to a dead irq, no
 * hang.
 */
TEST(xenfb_front, disconnects_in_the_middle_of_sends)
{
	const unsigned int seed = 13;
	std::mt19937 random(seed);
	xenfb_machine m(ends::FRONT);
	raw_back back(CONFIG);
	front_ref front;
	std::atomic<bool> stop{false};
	std::vector<std::thread> threads;

	RecordProperty("seed", (int)seed);
	for (u32 t = 0; t < 2; t++) {
		threads.emplace_back([&, t] {
			machine_scope scope(m.get());
			std::mt19937 r(t);

			while (!stop) {
				for (u32 i = r() % 60; i; i--)
					draw_pixel(front.info, r() % 64, r() % 64, r());
				EXPECT_EQ(fb_defio_flush(front.info), 0);
			}
		});
	}
	for (int round = 0; round < 100; round++) {
		back.cons = 0;
		back.connect();
		ASSERT_TRUE(front.stats().connected) << round;
		for (u32 i = random() % 5; i; i--)
			back.consume();
		if (random() % 2)
			back.detach();
		back.set_state(random() % 2 ? XenbusStateClosing : XenbusStateClosed);
		ASSERT_FALSE(front.stats().connected);
		back.detach();
		back.set_state(XenbusStateInitWait);
	}
	stop = true;
	for (auto &t : threads)
		t.join();
	/* And it still works. */
	draw_pixel(front.info, 5, 6, 77777);
	back.cons = 0;
	back.connect();
	coverage all;

	all.add(back.consume());
	EXPECT_TRUE(all.covered[6][5]);
}

/* The whole page, header and rings, rewritten by the back end all the time. */
TEST(xenfb_front, fuzzed_page_under_a_mutating_back_end)
{
	const unsigned int seed = 8;
	xenfb_machine m(ends::FRONT);
	raw_back back(CONFIG);
	front_ref front;
	std::atomic<bool> stop{false};
	std::atomic<u64> mutations{0};
	u32 end;

	RecordProperty("seed", (int)seed);
	back.connect();
	std::thread mutator([&] {
		machine_scope scope(m.get());
		std::mt19937 random(seed);
		auto *words = reinterpret_cast<u32 *>(back.page);

		while (!stop) {
			u32 at = random() % 4 ? random() % 10 : random() % 1024;

			WRITE_ONCE(words[at], random() % 2 ? random() : random() % 100);
			if (random() % 64 == 0)
				notify_remote_via_irq(back.irq);
			mutations++;
		}
	});
	std::mt19937 random(seed + 1);

	EXPECT_TRUE(eventually([&] {
		for (int i = 0; i < 200; i++) {
			draw_pixel(front.info, random() % 64, random() % 64, random());
			EXPECT_EQ(fb_defio_flush(front.info), 0);
		}
		return mutations > 100000 && front.stats().bad_indexes > 100;
	}));
	stop = true;
	mutator.join();
	auto stats = front.stats();

	EXPECT_LE(m.log_lines(), 200u);
	/* The front end's own index was never taken from the page. */
	WRITE_ONCE(back.page->out_cons, (u32)(stats.updates + stats.resizes));
	notify_remote_via_irq(back.irq);
	EXPECT_EQ(xenfb_front_wait_sent(front.info, &end, 60 * HZ), 0);
	stats = front.stats();
	EXPECT_EQ(end, (u32)(stats.updates + stats.resizes));
}
