/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ring's arithmetic, against a consumer that knows only the ABI's macros. */
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "video/xenfb_ring.h"

namespace
{

struct alignas(4096) shared_page {
	xenfb_page page;
	char rest[4096 - sizeof(xenfb_page)];
};

} // namespace

TEST(xenfb_ring, room_is_what_can_be_put_without_overwriting)
{
	/*
	 * Brute force around the wrap: index i may be put while [cons, prod) holds no equal slot.
	 */
	for (u32 start : {0xffffffffu - 120, 0u, 1000u}) {
		for (u32 cons_offset = 0; cons_offset < 200; cons_offset++) {
			u32 cons = start + cons_offset;

			for (u32 used = 0; used <= XENFB_OUT_LEN; used++) {
				u32 prod = cons + used, room = xenfb_out_room(prod, cons);
				std::vector<bool> taken(XENFB_OUT_LEN);
				bool legal = true;

				for (u32 i = cons; i != prod; i++) {
					legal = legal && !taken[i % XENFB_OUT_LEN];
					taken[i % XENFB_OUT_LEN] = true;
				}
				if (!legal)
					continue; /* no producer of ours gets there */
				u32 possible = 0;

				for (u32 i = prod; !taken[i % XENFB_OUT_LEN]; i++, possible++)
					taken[i % XENFB_OUT_LEN] = true;
				ASSERT_EQ(room, possible) << "prod " << prod << " cons " << cons;
			}
		}
	}
}

TEST(xenfb_ring, nonsense_indexes_leave_no_room)
{
	for (u32 d : {52u, 53u, 1000u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
		EXPECT_EQ(xenfb_out_room(100 + d, 100), 0u) << d;
		EXPECT_EQ(xenfb_out_room(d, 0), 0u) << d;
	}
}

TEST(xenfb_ring, sixty_events_across_the_wrap_arrive_in_order)
{
	shared_page shared = {};
	xenfb_page *page = &shared.page;
	u32 prod = 0xfffffff0, cons = 0xfffffff0;
	u32 sent = 0, received = 0;
	std::mt19937 random(1);

	while (received < 60) {
		for (u32 room = xenfb_out_room(prod, cons); room && sent < 60; room--) {
			auto e = xenfb_out_update(sent, sent + 1, sent + 2, sent + 3);

			xenfb_out_put(page, prod++, &e);
			sent++;
		}
		xenfb_out_publish(page, prod);
		ASSERT_NE(READ_ONCE(page->out_prod), cons) << "stuck";
		for (u32 n = 1 + random() % 60; n && cons != page->out_prod; n--) {
			auto e = xenfb_out_get(page, cons++);

			ASSERT_EQ(e.event.type, XENFB_TYPE_UPDATE);
			ASSERT_EQ(e.event.update.x, (s32)received);
			ASSERT_EQ(e.event.update.height, (s32)received + 3);
			received++;
		}
	}
	EXPECT_EQ(prod, 0xfffffff0u + 60);
}

TEST(xenfb_ring, accessors_stay_in_their_slot)
{
	for (u32 index = 0; index < XENFB_OUT_LEN; index++) {
		shared_page shared;
		auto e = xenfb_out_resize(1, 2, 3, 4, 5);

		memset(&shared, 0xee, sizeof(shared));
		xenfb_out_put(&shared.page, index + 7 * XENFB_OUT_LEN, &e);
		auto *bytes = reinterpret_cast<unsigned char *>(&shared);

		for (u32 i = 0; i < 4096; i++) {
			bool inside = i >= 2048 + index * 40 && i < 2048 + (index + 1) * 40;

			if (!inside) {
				ASSERT_EQ(bytes[i], 0xee) << "byte " << i << " slot " << index;
			}
		}
		auto back = xenfb_out_get(&shared.page, index);

		EXPECT_EQ(memcmp(&back, &e, sizeof(e)), 0);
	}
}

TEST(xenfb_ring, layouts_at_the_limits)
{
	auto valid = [](u32 w, u32 h, u32 stride, u32 depth, u32 offset, u64 mem) {
		return xenfb_layout_valid({w, h, stride, depth, offset}, mem);
	};

	EXPECT_TRUE(valid(10, 10, 40, 32, 0, 400));
	EXPECT_FALSE(valid(10, 10, 40, 32, 0, 399));
	EXPECT_FALSE(valid(10, 10, 40, 32, 1, 400));
	EXPECT_TRUE(valid(10, 10, 50, 32, 7, 9 * 50 + 40 + 7)) << "no padding needed at the end";
	EXPECT_FALSE(valid(10, 10, 50, 32, 7, 9 * 50 + 40 + 6));
	EXPECT_FALSE(valid(10, 10, 39, 32, 0, 10000));
	for (u32 bad : {0u, 32768u, 0x80000000u, 0xffffffffu}) {
		EXPECT_FALSE(valid(bad, 10, 0x7fffffff, 8, 0, ~0ull));
		EXPECT_FALSE(valid(10, bad, 100, 8, 0, ~0ull));
	}
	for (u32 depth : {0u, 1u, 15u, 31u, 64u, 0xffffffffu, 0x100u})
		EXPECT_FALSE(valid(10, 10, 1000, depth, 0, 1 << 20)) << depth;
	/* The largest sums do not overflow. */
	EXPECT_FALSE(valid(32767, 32767, 0x7fffffff, 32, 0x7fffffff, 246ull << 20));
	EXPECT_TRUE(valid(32767, 32767, 0x7fffffff, 32, 0x7fffffff, ~0ull));
	EXPECT_FALSE(valid(10, 10, 0x80000000, 32, 0, ~0ull));
	EXPECT_FALSE(valid(10, 10, 40, 32, 0x80000000, ~0ull));
}
