/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The back end against front ends that lie: nothing is believed, nothing is read out of bounds. */
#include <array>
#include <atomic>

#include "unit/xenfb_test.h"

using namespace xen_test;

namespace
{

struct xenfb_back_stats stats_of(xenfb_back *back)
{
	struct xenfb_back_stats stats;

	xenfb_back_stats(back, &stats);
	return stats;
}

void expect_nothing_mapped()
{
	struct xen_foreign_stats foreign;

	xen_foreign_stats(&foreign);
	EXPECT_EQ(foreign.mappings, 0u);
}

/* Counts what a sink is told, and checks it. */
struct checking_sink : xenfb_sink {
	std::atomic<u64> rects{0};
	std::atomic<bool> outside{false};
	xenfb_geometry geometry{};

	checking_sink() : xenfb_sink{}
	{
		static const xenfb_sink_ops sink_ops = {
			[](xenfb_sink *s, const fb_rect *r, unsigned int n) {
				auto *self = static_cast<checking_sink *>(s);

				self->rects += n;
				for (unsigned int i = 0; i < n; i++) {
					if (!r[i].width || !r[i].height ||
					    (u64)r[i].x + r[i].width > self->geometry.width ||
					    (u64)r[i].y + r[i].height > self->geometry.height)
						self->outside = true;
				}
			},
			[](xenfb_sink *s, const xenfb_geometry *g) {
				static_cast<checking_sink *>(s)->geometry = *g;
			},
		};
		ops = &sink_ops;
	}
};

} // namespace

TEST(xenfb_back, honest_front_end_connects_and_is_shown)
{
	xenfb_machine m(ends::BACK);
	raw_front front(64, 16, 32, 1);

	front.publish();
	ASSERT_TRUE(front.connected());
	EXPECT_EQ(xenbus_read_unsigned(BACK_DIR, "request-update", 0), 1u);
	EXPECT_EQ(xenbus_read_unsigned(BACK_DIR, "feature-resize", 0), 1u);
	back_ref ref;
	xenfb_geometry g;

	memset(front.pixel_memory(0), 0x11, 4096);
	EXPECT_EQ(copy_of(ref.back, &g), std::vector<unsigned char>(4096, 0x11))
		<< "all of it at first";
	memset(front.pixel_memory(0), 0x22, 4096);
	front.put(xenfb_out_update(3, 2, 5, 1));
	front.send();
	auto copy = copy_of(ref.back, &g);

	for (u32 i = 0; i < 4096; i++) {
		bool inside = i / 256 == 2 && i % 256 / 4 >= 3 && i % 256 / 4 < 8;

		ASSERT_EQ(copy[i], inside ? 0x22 : 0x11) << i;
	}
}

/* The frame is mapped for reading only: a store through the mapping faults. */
TEST(xenfb_back, frame_is_mapped_read_only)
{
	xenfb_machine m(ends::BACK);
	raw_front front(64, 16, 32, 1);

	front.publish();
	back_ref ref;
	char *frame;

	mutex_lock(&ref.back->copy_lock);
	frame = static_cast<char *>(xen_foreign_addr(ref.back->frame));
	mutex_unlock(&ref.back->copy_lock);
	ASSERT_NE(frame, nullptr);
	EXPECT_TRUE(kshim_try([](void *p) { (void)*static_cast<volatile char *>(p); }, frame));
	EXPECT_FALSE(kshim_try([](void *p) { *static_cast<volatile char *>(p) = 1; }, frame));
	EXPECT_FALSE(kshim_try([](void *p) { (void)static_cast<volatile char *>(p)[4096]; }, frame))
		<< "a page that is not there follows";
}

/* 24 bits: three bytes a pixel, the last of them the last byte before the guard page. */
TEST(xenfb_back, last_pixel_at_the_end_of_the_mapping)
{
	for (u32 depth : {8u, 16u, 24u, 32u}) {
		SCOPED_TRACE(depth);
		xenfb_machine m(ends::BACK);
		const u32 bytes = depth / 8, width = 16, stride = 4096 - width * bytes;
		raw_front front(width, 2, depth, 1, stride);

		front.publish();
		ASSERT_TRUE(front.connected()) << m.log();
		back_ref ref;
		xenfb_geometry g;

		*front.pixel_memory(4095) = 0x77;
		auto copy = copy_of(ref.back, &g);

		ASSERT_EQ(copy.size(), 2 * width * bytes);
		EXPECT_EQ(copy.back(), 0x77);
	}
}

TEST(xenfb_back, hostile_pages_are_refused_with_one_line)
{
	struct {
		const char *name;
		std::function<void(raw_front &)> spoil;
	} const cases[] = {
		{"width 0", [](raw_front &f) { f.page->width = 0; }},
		{"width -1", [](raw_front &f) { f.page->width = -1; }},
		{"width too large", [](raw_front &f) { f.page->width = 65; }},
		{"width overflows", [](raw_front &f) { f.page->width = 0x40000001; }},
		{"height 0", [](raw_front &f) { f.page->height = 0; }},
		{"height too large", [](raw_front &f) { f.page->height = 17; }},
		{"height int min", [](raw_front &f) { f.page->height = (s32)0x80000000; }},
		{"stride 0", [](raw_front &f) { f.page->line_length = 0; }},
		{"stride 2^32-1", [](raw_front &f) { f.page->line_length = 0xffffffff; }},
		{"depth 0", [](raw_front &f) { f.page->depth = 0; }},
		{"depth 15", [](raw_front &f) { f.page->depth = 15; }},
		{"depth 255", [](raw_front &f) { f.page->depth = 255; }},
		{"memory 0", [](raw_front &f) { f.page->mem_length = 0; }},
		{"memory too small", [](raw_front &f) { f.page->mem_length = 4095; }},
		{"memory 4 GiB - 1", [](raw_front &f) { f.page->mem_length = 0xffffffff; }},
		{"memory of 124 directories",
		 [](raw_front &f) { f.page->mem_length = (246u << 20) + 1; }},
		{"second directory missing",
		 [](raw_front &f) {
			 f.page->mem_length = (2u << 20) + 1;
			 f.page->pd[1] = ~0ul;
		 }},
		{"directory no frame", [](raw_front &f) { f.page->pd[0] = 1ul << 40; }},
		{"directory -1", [](raw_front &f) { f.page->pd[0] = ~0ul; }},
		{"frame no frame", [](raw_front &f) { f.directory(0)[0] = 64ul << 20 >> 12; }},
		{"frame of nobody",
		 [](raw_front &f) {
			 struct page *pages[64];
			 unsigned long *number = &f.directory(0)[0];

			 /* The one that is given out last: binding the channel takes frames. */
			 for (struct page *&p : pages)
				 p = alloc_page(GFP_KERNEL);
			 for (struct page *p : pages)
				 *number = std::max<unsigned long>(*number, xen_frame_number(p));
			 for (struct page *p : pages)
				 __free_page(p);
		 }},
	};

	for (const auto &c : cases) {
		SCOPED_TRACE(c.name);
		xenfb_machine m(ends::BACK);
		raw_front front(64, 16, 32, 1);

		c.spoil(front);
		front.publish();
		EXPECT_FALSE(front.connected());
		EXPECT_LT(xenbus_read_error(BACK_DIR), 0);
		EXPECT_EQ(m.log_lines(), 1u) << m.log();
		expect_nothing_mapped();
	}
}

TEST(xenfb_back, hostile_nodes_are_refused_with_one_line)
{
	const std::pair<const char *, const char *> cases[] = {
		{"page-ref", "-1"},       {"page-ref", ""},       {"page-ref", "99999999999"},
		{"page-ref", "0x"},       {"event-channel", "0"}, {"event-channel", "4294967297"},
		{"event-channel", "200"}, {"event-channel", "x"}, {"protocol", "x86_32-abi"},
		{"protocol", ""},
	};

	for (const auto &[node, value] : cases) {
		SCOPED_TRACE(std::string(node) + " = \"" + value + "\"");
		xenfb_machine m(ends::BACK);
		raw_front front(64, 16, 32, 1);

		front.publish();
		ASSERT_TRUE(front.connected());
		/* Closes, spoils a node, and begins again. */
		write_number(FRONT_DIR, "state", XenbusStateClosed);
		settle();
		ASSERT_EQ(xenbus_read_driver_state(BACK_DIR), XenbusStateInitWait);
		expect_nothing_mapped();
		write_number(FRONT_DIR, "state", XenbusStateInitialising);
		settle();
		ASSERT_EQ(xenbus_read_driver_state(BACK_DIR), XenbusStateInitWait);
		ASSERT_EQ(xenbus_write(XBT_NIL, FRONT_DIR, node, value), 0);
		write_number(FRONT_DIR, "state", XenbusStateInitialised);
		settle();
		EXPECT_FALSE(front.connected());
		EXPECT_EQ(m.log_lines(), 1u) << m.log();
		expect_nothing_mapped();
	}
}

/* The toolstack's limit is read from the back end's own directory, not from the front end's. */
TEST(xenfb_back, videoram_limits_the_frame)
{
	xenfb_machine m(ends::BACK);
	raw_front front(64, 16, 32, 2);

	write_number(BACK_DIR, "videoram", 4);
	write_number(FRONT_DIR, "videoram", 1 << 20);
	front.publish();
	EXPECT_FALSE(front.connected());
	EXPECT_EQ(xenbus_read_error(BACK_DIR), -E2BIG);
}

TEST(xenfb_back, updates_are_clipped_or_refused)
{
	constexpr s32 MIN = (s32)0x80000000, MAX = 0x7fffffff;
	struct {
		s32 x, y, w, h;
		u64 pixels; /* 0: a bad event */
	} const cases[] = {
		{0, 0, 64, 16, 1024},     {-5, -5, 6, 6, 1},      {63, 15, 100, 100, 1},
		{65, 0, 1, 1, 0},         {64, 0, 1, 1, 0},       {0, 16, 1, 1, 0},
		{0, 0, 0, 5, 0},          {0, 0, 5, 0, 0},        {0, 0, -1, 5, 0},
		{-1, 0, 1, 1, 0},         {0, 0, MAX, MAX, 1024}, {MIN, MIN, MAX, MAX, 0},
		{MAX, MAX, MAX, MAX, 0},  {MIN, 0, MIN, 1, 0},    {1, 1, MAX, MAX, 63 * 15},
		{-1, -1, MAX, MAX, 1024}, {10, 5, MIN, MIN, 0},
	};
	xenfb_machine m(ends::BACK);
	raw_front front(64, 16, 32, 1);

	front.publish();
	back_ref ref;
	checking_sink sink;

	xenfb_back_add_sink(ref.back, &sink);
	for (const auto &c : cases) {
		SCOPED_TRACE(testing::Message() << c.x << "," << c.y << " " << c.w << "x" << c.h);
		auto before = stats_of(ref.back);

		front.put(xenfb_out_update((u32)c.x, (u32)c.y, (u32)c.w, (u32)c.h));
		front.send();
		auto after = stats_of(ref.back);

		EXPECT_EQ(after.pixels - before.pixels, c.pixels);
		EXPECT_EQ(after.bad_events - before.bad_events, c.pixels == 0);
		EXPECT_EQ(after.rects - before.rects, c.pixels != 0);
	}
	EXPECT_FALSE(sink.outside);
	EXPECT_LE(m.log_lines(), 3u) << "rate limited";
	EXPECT_GE(m.log_lines(), 1u);
	xenfb_back_remove_sink(ref.back, &sink);
}

TEST(xenfb_back, resizes_are_checked_and_unknown_events_counted)
{
	xenfb_machine m(ends::BACK);
	raw_front front(64, 16, 32, 1);
	xenfb_geometry g;

	front.publish();
	back_ref ref;
	const std::array<u32, 5> bad[] = {
		{65, 16, 256, 32, 0},    {64, 16, 257, 32, 0}, {64, 16, 256, 32, 1},
		{64, 16, 256, 32, ~0u},  {0, 16, 256, 32, 0},  {64, 0, 256, 32, 0},
		{~0u, ~0u, ~0u, 32, 0},  {64, 16, 0, 32, 0},   {64, 16, 256, 33, 0},
		{64, 16, 256, 0x120, 0}, {1, 1, 4, 32, 4093},  {1, 1, 4, 32, 0x80000000},
		{32767, 1, 32767, 8, 0},
	};

	for (const auto &b : bad)
		front.put(xenfb_out_resize(b[0], b[1], b[2], b[3], b[4]));
	for (u8 type : {0, 1, 4, 255}) {
		xenfb_out_private event = {};

		event.event.type = type;
		front.put(event);
	}
	front.send();
	auto stats = stats_of(ref.back);

	EXPECT_EQ(stats.bad_events, std::size(bad) + 4);
	EXPECT_EQ(stats.resizes, 0u);
	xenfb_back_geometry(ref.back, &g);
	EXPECT_EQ(g.width, 64u);
	/* And a good one, with an offset; then the old size is out of the picture. */
	*front.pixel_memory(100) = 0x33;
	front.put(xenfb_out_resize(10, 20, 100, 24, 100));
	front.put(xenfb_out_update(10, 0, 1, 1));
	front.send();
	auto copy = copy_of(ref.back, &g);

	EXPECT_EQ(g.width * 1000 + g.height, 10020u);
	EXPECT_EQ(g.line_length, 30u);
	EXPECT_EQ(copy.size(), 600u);
	EXPECT_EQ(copy[0], 0x33);
	EXPECT_EQ(stats_of(ref.back).bad_events, std::size(bad) + 5);
}

TEST(xenfb_back, full_ring_is_legal_and_one_more_changes_nothing)
{
	for (u32 start : {0u, 1000u, 0xfffffff0u}) {
		SCOPED_TRACE(start);
		xenfb_machine m(ends::BACK);
		raw_front front(64, 16, 32, 1);

		front.prod = start;
		front.page->out_cons = front.page->out_prod = start;
		front.publish();
		back_ref ref;

		for (u32 ahead : {52u, 53u, 0x7fffffffu, 0x80000000u, 0xfffffff0u}) {
			auto before = stats_of(ref.back);

			front.page->out_prod = start + ahead;
			notify_remote_via_irq(front.irq);
			ASSERT_TRUE(eventually([&] {
				return stats_of(ref.back).bad_indexes == before.bad_indexes + 1;
			}));
			EXPECT_EQ(stats_of(ref.back).events, before.events);
			EXPECT_EQ(READ_ONCE(front.page->out_cons), start);
		}
		/*
		 * The consumer has no opinion on slots: 51 events are 51 events, also across the
		 * wrap.
		 */
		for (u32 i = 0; i < 51; i++)
			front.put(xenfb_out_update(i, 0, 1, 1));
		front.send();
		EXPECT_EQ(stats_of(ref.back).events, 51u);
		EXPECT_EQ(READ_ONCE(front.page->out_cons), start + 51);
		EXPECT_TRUE(front.events.wait([](int n) { return n >= 1; })) << "it was full";
	}
}

/* Sixty events through a ring that starts just before the wrap, put as far as there is room. */
TEST(xenfb_back, index_wrap_loses_nothing)
{
	xenfb_machine m(ends::BACK);
	raw_front front(64, 16, 32, 1);

	front.prod = 0xfffffff0;
	front.page->out_cons = front.page->out_prod = front.prod;
	front.publish();
	back_ref ref;
	xenfb_geometry g;

	copy_of(ref.back, &g);
	memset(front.pixel_memory(0), 0x44, 4096);
	for (u32 sent = 0; sent < 60;) {
		u32 room = xenfb_out_room(front.prod, READ_ONCE(front.page->out_cons));

		for (; room && sent < 60; room--, sent++)
			front.put(xenfb_out_update(sent, sent % 16, 1, 1));
		front.send();
	}
	EXPECT_EQ(stats_of(ref.back).rects, 60u);
	EXPECT_EQ(stats_of(ref.back).pixels, 60u);
	auto copy = copy_of(ref.back, &g);

	for (u32 i = 0; i < 60; i++)
		EXPECT_EQ(copy[(i % 16) * 256 + i * 4], 0x44) << i;
}

TEST(xenfb_back, without_feature_update_every_look_copies_all)
{
	xenfb_machine m(ends::BACK);
	raw_front front(64, 16, 32, 1);
	xenfb_geometry g;

	front.publish();
	write_number(FRONT_DIR, "state", XenbusStateClosed);
	settle();
	write_number(FRONT_DIR, "state", XenbusStateInitialising);
	settle();
	xenbus_rm(XBT_NIL, FRONT_DIR, "feature-update");
	write_number(FRONT_DIR, "state", XenbusStateInitialised);
	settle();
	ASSERT_TRUE(front.connected());
	back_ref ref;

	for (unsigned char value : {1, 2, 3}) {
		memset(front.pixel_memory(0), value, 4096);
		EXPECT_EQ(copy_of(ref.back, &g), std::vector<unsigned char>(4096, value));
	}
}

/* Closing is missed, Closed is missed, the directory goes: the back end lets go each time. */
TEST(xenfb_back, any_end_of_the_front_end_unmaps_everything)
{
	for (int state : {(int)XenbusStateClosing, (int)XenbusStateClosed, 0}) {
		SCOPED_TRACE(state);
		xenfb_machine m(ends::BACK);
		raw_front front(64, 16, 32, 1);

		front.publish();
		ASSERT_TRUE(front.connected());
		if (state)
			write_number(FRONT_DIR, "state", state);
		else
			xenbus_rm(XBT_NIL, FRONT_DIR, "");
		settle();
		expect_nothing_mapped();
		EXPECT_FALSE(front.connected());
		notify_remote_via_irq(front.irq);
	}
}

/* It begins again behind the back end's back: new port, new geometry, Closed never seen. */
TEST(xenfb_back, front_end_that_began_again_is_noticed)
{
	xenfb_machine m(ends::BACK);
	raw_front front(64, 16, 32, 1);
	xenfb_geometry g;

	front.publish();
	ASSERT_TRUE(front.connected());
	back_ref ref;

	unbind_from_irqhandler(front.irq, &front);
	ASSERT_EQ(evtchn_alloc_unbound(xen_domain(XEN_DOM_FRONT), XEN_DOM_BACK, &front.port), 0);
	front.page->width = 32;
	front.page->line_length = 128;
	front.page->out_cons = front.page->out_prod = 5;
	front.publish();
	EXPECT_EQ(stats_of(ref.back).connects, 2u);
	xenfb_back_geometry(ref.back, &g);
	EXPECT_EQ(g.width, 32u);
	/* The same state again without a new channel is nothing. */
	write_number(FRONT_DIR, "state", XenbusStateInitialised);
	write_number(FRONT_DIR, "state", XenbusStateConnected);
	settle();
	EXPECT_EQ(stats_of(ref.back).connects, 2u);
	EXPECT_EQ(evtchn_close(xen_domain(XEN_DOM_FRONT), front.port), 0);
}

/*
 * Random bytes all over the shared page, changed by another thread while the back end drains and
 * two others look. Oracle: sanitizers, the guard page, bounded work per notification, sinks in
 * bounds.
 */
TEST(xenfb_back, fuzzed_page_under_a_mutating_front_end)
{
	const unsigned int seed = 155;
	xenfb_machine m(ends::BACK);
	raw_front front(640, 200, 32, 128);

	RecordProperty("seed", (int)seed);
	front.publish();
	back_ref ref;
	checking_sink sink;
	std::atomic<bool> stop{false};
	std::vector<std::thread> threads;

	xenfb_back_add_sink(ref.back, &sink);
	for (unsigned int n = 0; n < 2; n++) {
		threads.emplace_back([&, n] {
			machine_scope scope(m.get());
			std::mt19937 random(seed + n);
			auto *words = reinterpret_cast<u32 *>(front.page);

			while (!stop) {
				u32 at = random() % 1024, value = random();

				/*
				 * Small numbers, plausible types and negative ones are the
				 * interesting ones.
				 */
				switch (random() % 4) {
				case 0:
					value %= 1000;
					break;
				case 1:
					value = (u32) - (s32)(value % 1000);
					break;
				case 2:
					value = 2 + value % 2;
					at = 512 + at % 51 * 10;
					break;
				default:
					break;
				}
				if (at == 3) /* out_prod is moved by the test's own thread */
					continue;
				WRITE_ONCE(words[at], value);
			}
		});
	}
	threads.emplace_back([&] {
		machine_scope scope(m.get());
		xenfb_geometry g;

		while (!stop) {
			auto copy = copy_of(ref.back, &g);

			EXPECT_EQ(copy.size(), (size_t)g.line_length * g.height);
			EXPECT_EQ(g.line_length, g.width * (g.depth / 8));
		}
	});
	std::mt19937 random(seed + 7);

	auto enough = [&](int rounds) {
		auto stats = stats_of(ref.back);

		return rounds > 3000 && stats.bad_events > 100 && stats.bad_indexes > 100 &&
		       stats.rects > 100;
	};
	auto deadline = std::chrono::steady_clock::now() + DEADLINE;

	for (int i = 0; !enough(i) && std::chrono::steady_clock::now() < deadline; i++) {
		front.prod += random() % 60;
		if (random() % 50 == 0)
			front.prod = random();
		WRITE_ONCE(front.page->out_prod, front.prod);
		notify_remote_via_irq(front.irq);
		if (i % 16 == 0) {
			u64 seen = stats_of(ref.back).notifications;

			notify_remote_via_irq(front.irq);
			EXPECT_TRUE(eventually(
				[&] { return stats_of(ref.back).notifications > seen; }));
			/* So that some of the notifications are about a ring that makes sense. */
			guard(mutex)(&ref.back->ring_lock);
			front.prod = ref.back->out_cons + random() % 52;
		}
	}
	stop = true;
	for (auto &t : threads)
		t.join();
	auto stats = stats_of(ref.back);

	EXPECT_TRUE(enough(3001));
	EXPECT_LE(stats.events, stats.notifications * 51);
	EXPECT_FALSE(sink.outside);
	EXPECT_LE(m.log_lines(), 600u) << "rate limited";
	xenfb_back_remove_sink(ref.back, &sink);
}

/* Pages with random headers and directories: connect or refuse, never anything else. */
TEST(xenfb_back, fuzzed_headers_connect_or_are_refused)
{
	const unsigned int seed = 1943;
	std::mt19937 random(seed);
	xenfb_machine m(ends::BACK);
	int connected = 0, refused = 0;

	RecordProperty("seed", (int)seed);
	for (int i = 0; i < 300; i++) {
		raw_front front(64, 16, 32, 3);
		auto pick = [&](u32 good) -> u32 {
			const u32 values[] = {good - 1, good + 1,    0,
					      ~0u,      0x80000000u, (u32)random()};

			return random() % 2 ? good : values[random() % std::size(values)];
		};
		xenfb_geometry g;

		front.page->width = (s32)pick(64);
		front.page->height = (s32)pick(16);
		front.page->line_length = pick(256);
		front.page->mem_length = pick(3 * 4096);
		front.page->depth = (u8)pick(32);
		if (random() % 4 == 0)
			front.directory(0)[random() % 4] = random() % 20000;
		if (random() % 8 == 0)
			front.page->pd[0] = random() % 20000;
		front.publish();
		if (front.connected()) {
			connected++;
			back_ref ref;
			auto copy = copy_of(ref.back, &g);

			EXPECT_EQ(copy.size(), (size_t)g.line_length * g.height);
		} else {
			refused++;
			EXPECT_LT(xenbus_read_error(BACK_DIR), 0);
			expect_nothing_mapped();
		}
	}
	EXPECT_GT(connected, 5);
	EXPECT_GT(refused, 100);
}
