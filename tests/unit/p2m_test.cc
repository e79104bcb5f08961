// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The p2m: lookups, updates, log-dirty, and the guest's own mapping, under each policy.
 */
#include "p2m_fixture.h"

#include <linux/bitmap.h>

#include <atomic>
#include <random>

namespace
{

constexpr p2m_policy POLICIES[] = {P2M_COUNTED, P2M_RWLOCK, P2M_PERCPU_RWLOCK};

class p2m_policies : public p2m_world, public testing::WithParamInterface<p2m_policy>
{
};

INSTANTIATE_TEST_SUITE_P(all, p2m_policies, testing::ValuesIn(POLICIES),
			 [](const auto &info) { return policy_name(info.param); });

TEST_P(p2m_policies, finds_what_was_populated_at_every_level_of_the_tree)
{
	constexpr unsigned long top = 1ul << 30;
	p2m_owner p2m(make_p2m(top, GetParam()));
	const unsigned long gfns[] = {0, 1, 511, 512, 513, 262143, 262144, 1ul << 27, top - 1};
	struct page *pages[std::size(gfns)];

	for (size_t i = 0; i < std::size(gfns); i++)
		pages[i] = fill_gfn(p2m, gfns[i], (u32)i);
	for (size_t i = 0; i < std::size(gfns); i++) {
		held_gfn held(p2m, _gfn(gfns[i]));

		ASSERT_EQ(held.error(), 0);
		EXPECT_EQ(held.page(), pages[i]);
		EXPECT_EQ(held.type(), p2m_ram_rw);
	}
	held_gfn hole(p2m, _gfn(2));

	EXPECT_EQ(hole.error(), 0);
	EXPECT_EQ(hole.page(), nullptr);
	EXPECT_EQ(hole.type(), p2m_invalid);
}

TEST_P(p2m_policies, gfns_end_where_they_end)
{
	p2m_owner p2m(make_p2m(700, GetParam()));
	struct page *page = alloc_page(GFP_KERNEL);

	EXPECT_EQ(held_gfn(p2m, _gfn(700)).error(), -EINVAL);
	EXPECT_EQ(held_gfn(p2m, _gfn(~0ul)).error(), -EINVAL);
	EXPECT_EQ(p2m_populate(p2m, _gfn(700), page, p2m_ram_rw, P2M_TRY), -EINVAL);
	EXPECT_EQ(p2m_populate(p2m, _gfn(699), page, p2m_ram_rw, P2M_TRY), 0);
	EXPECT_EQ(held_gfn(p2m, _gfn(699)).page(), page);
	EXPECT_EQ(p2m_remove(p2m, _gfn(700), P2M_TRY), -EINVAL);
}

TEST_P(p2m_policies, updates_say_what_is_in_their_way)
{
	p2m_owner p2m(make_p2m(16, GetParam()));
	struct page *page = fill_gfn(p2m, 3, 1), *other = alloc_page(GFP_KERNEL);

	EXPECT_EQ(p2m_populate(p2m, _gfn(3), other, p2m_ram_rw, P2M_TRY), -EEXIST);
	EXPECT_EQ(p2m_populate(p2m, _gfn(4), other, p2m_mmio_dm, P2M_TRY), -EINVAL);
	EXPECT_EQ(p2m_change_type(p2m, _gfn(3), p2m_ram_ro, p2m_ram_rw, P2M_TRY), -EBUSY);
	EXPECT_EQ(p2m_change_type(p2m, _gfn(4), p2m_ram_rw, p2m_ram_ro, P2M_TRY), -EBUSY);
	EXPECT_EQ(p2m_change_type(p2m, _gfn(3), p2m_ram_rw, p2m_ram_ro, P2M_TRY), 0);
	EXPECT_EQ(held_gfn(p2m, _gfn(3)).type(), p2m_ram_ro);
	EXPECT_EQ(p2m_change_frame(p2m, _gfn(4), other, P2M_TRY), -ENOENT);
	get_page(page);
	EXPECT_EQ(p2m_change_frame(p2m, _gfn(3), other, P2M_TRY), 0);
	EXPECT_EQ(page_ref_count(page), 1) << "the p2m keeps the old frame";
	put_page(page);
	EXPECT_EQ(held_gfn(p2m, _gfn(3)).page(), other);
	EXPECT_EQ(p2m_remove(p2m, _gfn(4), P2M_TRY), -ENOENT);
	EXPECT_EQ(p2m_remove(p2m, _gfn(3), P2M_TRY), 0);
	EXPECT_EQ(p2m_remove(p2m, _gfn(3), P2M_TRY), -ENOENT);
}

/* Whatever the policy: nobody gets a frame that is free before it is put. */
TEST_P(p2m_policies, no_lookup_returns_a_frame_that_is_freed_before_its_put)
{
	constexpr unsigned long nr = 8;
	p2m_owner p2m(make_p2m(nr, GetParam()));
	std::atomic<bool> stop{false};
	std::atomic<u64> found{0}, changes{0};

	for (unsigned long gfn = 0; gfn < nr; gfn++)
		fill_gfn(p2m, gfn, (u32)gfn + 1);
	run_together(4, [&](int who) {
		std::minstd_rand random((unsigned int)who + 1);

		if (who == 0) {
			for (int i = 0; i < 4000; i++) {
				const unsigned long gfn = random() % nr;
				struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);
				auto *word = static_cast<u32 *>(page_address(page));

				std::fill_n(word, PAGE_SIZE / 4, (u32)gfn + 1);
				if (p2m_change_frame(p2m, _gfn(gfn), page, P2M_WAIT))
					put_page(page);
				else
					changes++;
			}
			stop = true;
			return;
		}
		while (!stop || !found) {
			const unsigned long gfn = random() % nr;
			held_gfn held(p2m, _gfn(gfn));
			auto *word = static_cast<const volatile u32 *>(page_address(held.page()));

			for (size_t i = 0; i < PAGE_SIZE / 4; i += 64)
				ASSERT_EQ(word[i], gfn + 1);
			ASSERT_GE(page_ref_count(held.page()), 1);
			found++;
		}
	});
	EXPECT_GT(changes, 100u);
}

class p2m_counted : public p2m_world
{
};

TEST_F(p2m_counted, a_held_entry_does_not_change_and_the_updater_gives_up_in_time)
{
	p2m_owner p2m(make_p2m(4));
	struct page *page = fill_gfn(p2m, 1, 7);
	struct gfn_ref ref;

	ASSERT_EQ(get_gfn(p2m, _gfn(1), &ref), 0);
	EXPECT_EQ(p2m_remove(p2m, _gfn(1), P2M_TRY), -EAGAIN);
	const u64 begin = kshim_now_ns();

	EXPECT_EQ(p2m_remove(p2m, _gfn(1), P2M_WAIT), -EAGAIN);
	EXPECT_GE(kshim_now_ns() - begin, 500u * 1000);
	EXPECT_EQ(p2m_change_type(p2m, _gfn(1), p2m_ram_rw, p2m_ram_ro, P2M_REVOKE), -EAGAIN);
	EXPECT_EQ(ref.page, page);
	EXPECT_EQ(held_gfn(p2m, _gfn(1)).page(), page) << "an update that failed left its intent";
	struct p2m_stats stats;

	p2m_stats(p2m, &stats);
	EXPECT_EQ(stats.timeouts, 2u);
	put_gfn(&ref);
	EXPECT_EQ(p2m_remove(p2m, _gfn(1), P2M_TRY), 0);
}

TEST_F(p2m_counted, a_hole_that_is_held_stays_a_hole)
{
	p2m_owner p2m(make_p2m(4));
	struct page *page = alloc_page(GFP_KERNEL);

	{
		held_gfn hole(p2m, _gfn(2));

		EXPECT_EQ(p2m_populate(p2m, _gfn(2), page, p2m_ram_rw, P2M_TRY), -EAGAIN);
	}
	EXPECT_EQ(p2m_populate(p2m, _gfn(2), page, p2m_ram_rw, P2M_TRY), 0);
}

TEST_F(p2m_counted, an_updater_wakes_when_the_holder_puts)
{
	p2m_config config;

	config.nr_gfns = 4;
	config.bound_us = 60 * 1000000;
	p2m_owner p2m(p2m_create(&config));
	struct gfn_ref ref;

	fill_gfn(p2m, 1, 7);
	ASSERT_EQ(get_gfn(p2m, _gfn(1), &ref), 0);
	test_thread updater([&] { EXPECT_EQ(p2m_remove(p2m, _gfn(1), P2M_WAIT), 0); });

	updater.wait_until_it_sleeps();
	EXPECT_FALSE(updater.done());
	/* Whoever comes now waits for the updater, and finds what it made. */
	test_thread late([&] { EXPECT_EQ(held_gfn(p2m, _gfn(1)).type(), p2m_invalid); });

	late.wait_until_it_sleeps();
	EXPECT_FALSE(late.done());
	put_gfn(&ref);
	updater.join();
	late.join();
}

TEST_F(p2m_counted, two_gfns_are_held_lower_first_and_one_twice)
{
	p2m_owner p2m(make_p2m(4));
	struct page *one = fill_gfn(p2m, 1, 1), *two = fill_gfn(p2m, 2, 2);
	struct gfn_ref a, b;

	ASSERT_EQ(get_two_gfns(p2m, _gfn(2), _gfn(1), &a, &b), 0);
	EXPECT_EQ(a.page, two);
	EXPECT_EQ(b.page, one);
	put_gfn(&a);
	put_gfn(&b);
	ASSERT_EQ(get_two_gfns(p2m, _gfn(2), _gfn(2), &a, &b), 0);
	put_gfn(&a);
	EXPECT_EQ(p2m_remove(p2m, _gfn(2), P2M_TRY), -EAGAIN) << "b holds it too";
	put_gfn(&b);
	EXPECT_EQ(get_two_gfns(p2m, _gfn(4), _gfn(1), &a, &b), -EINVAL);
	EXPECT_EQ(p2m_remove(p2m, _gfn(1), P2M_TRY), 0) << "the first one is left held";
	EXPECT_EQ(p2m_remove(p2m, _gfn(2), P2M_TRY), 0);
}

/* Tim Deegan: "I think that would deadlock if two cpus tried it at once." */
TEST_F(p2m_counted, of_two_who_promote_one_is_refused_and_none_waits_for_ever)
{
	p2m_owner p2m(make_p2m(4));

	fill_gfn(p2m, 1, 1);
	for (int round = 0; round < 200; round++) {
		const p2m_type from = round % 2 ? p2m_ram_ro : p2m_ram_rw;
		const p2m_type to = round % 2 ? p2m_ram_rw : p2m_ram_ro;
		std::atomic<int> promoted{0};

		run_together(2, [&](int) {
			struct gfn_ref ref;

			ASSERT_EQ(get_gfn(p2m, _gfn(1), &ref), 0);
			const int err = ref.type == from ? p2m_promote(&ref, to, P2M_WAIT) : -EBUSY;

			EXPECT_TRUE(!err || err == -EAGAIN || err == -EBUSY) << err;
			promoted += !err;
			put_gfn(&ref);
		});
		/* Both held it and both gave up: then a lookup alone does it. */
		if (!promoted) {
			EXPECT_EQ(p2m_change_type(p2m, _gfn(1), from, to, P2M_WAIT), 0);
		}
		EXPECT_LE(promoted, 1);
		EXPECT_EQ(held_gfn(p2m, _gfn(1)).type(), to);
	}
}

TEST_F(p2m_counted, a_second_promoter_is_told_at_once_while_the_first_waits)
{
	p2m_config config;

	config.nr_gfns = 4;
	config.bound_us = 60 * 1000000;
	p2m_owner p2m(p2m_create(&config));
	struct gfn_ref first, second;

	fill_gfn(p2m, 1, 1);
	ASSERT_EQ(get_gfn(p2m, _gfn(1), &first), 0);
	ASSERT_EQ(get_gfn(p2m, _gfn(1), &second), 0);
	test_thread waits([&] { EXPECT_EQ(p2m_promote(&first, p2m_ram_ro, P2M_WAIT), 0); });

	waits.wait_until_it_sleeps();
	EXPECT_EQ(p2m_promote(&second, p2m_ram_ro, P2M_WAIT), -EAGAIN);
	put_gfn(&second);
	waits.join();
	EXPECT_EQ(first.type, p2m_ram_ro);
	put_gfn(&first);
}

TEST_F(p2m_counted, frames_of_the_guests_own_allocator_are_there_and_stay_its_own)
{
	p2m_config config;

	mmu_page_array(&config.nr_gfns);
	config.nr_identity = config.nr_gfns;
	p2m_owner p2m(p2m_create(&config));
	struct page *page = alloc_page(GFP_KERNEL);
	const gfn_t gfn = _gfn(page_to_pfn(page));

	EXPECT_EQ(held_gfn(p2m, gfn).page(), page);
	struct page *got = get_page_from_gfn(p2m, gfn, nullptr);

	EXPECT_EQ(got, page);
	put_page(got);
	EXPECT_EQ(p2m_change_frame(p2m, gfn, page, P2M_TRY), -ENOENT);
	put_page(page);
	EXPECT_EQ(get_page_from_gfn(p2m, gfn, nullptr), nullptr) << "it is free";
}

/* ---- the guest's own mapping ---- */

TEST_P(p2m_policies, the_guest_reaches_what_its_entries_allow)
{
	p2m_owner p2m(make_p2m(8, GetParam()));
	struct p2m_view *view = p2m_view_create(p2m, _gfn(0), 8, MMU_DELIVER_INLINE);
	const auto at = [&](unsigned long gfn) { return p2m_view_start(view) + gfn * PAGE_SIZE; };
	u32 value = 0;

	ASSERT_FALSE(IS_ERR(view));
	EXPECT_EQ(PTR_ERR(p2m_view_create(p2m, _gfn(7), 1, MMU_DELIVER_INLINE)), -EBUSY);
	fill_gfn(p2m, 1, 11);
	EXPECT_TRUE(guest_loads(at(1), &value));
	EXPECT_EQ(value, 11u);
	EXPECT_TRUE(guest_stores(at(1), 12));
	EXPECT_FALSE(guest_loads(at(2), &value)) << "nothing is there";
	EXPECT_EQ(p2m_change_type(p2m, _gfn(1), p2m_ram_rw, p2m_ram_ro, P2M_WAIT), 0);
	EXPECT_FALSE(guest_stores(at(1), 13));
	EXPECT_TRUE(guest_loads(at(1), &value));
	EXPECT_EQ(value, 12u);
	EXPECT_EQ(p2m_change_type(p2m, _gfn(1), p2m_ram_ro, p2m_ram_rw, P2M_WAIT), 0);
	EXPECT_TRUE(guest_stores(at(1), 14));
	EXPECT_EQ(p2m_change_frame(p2m, _gfn(1), alloc_page(GFP_KERNEL | __GFP_ZERO), P2M_WAIT), 0);
	EXPECT_TRUE(guest_loads(at(1), &value));
	EXPECT_EQ(value, 0u) << "the old frame is still mapped";
	EXPECT_EQ(p2m_remove(p2m, _gfn(1), P2M_WAIT), 0);
	EXPECT_FALSE(guest_loads(at(1), &value));
	p2m_view_destroy(view);
}

/* ---- log-dirty ---- */

struct bitmap {
	explicit bitmap(unsigned int nr) : bits(bitmap_zalloc(nr, GFP_KERNEL)) {}
	~bitmap() { bitmap_free(bits); }
	unsigned long *bits;
};

TEST_P(p2m_policies, log_dirty_notes_exactly_what_was_stored_to)
{
	constexpr unsigned int nr = 64;
	p2m_owner p2m(make_p2m(nr, GetParam()));
	struct p2m_view *view = p2m_view_create(p2m, _gfn(0), nr, MMU_DELIVER_INLINE);
	const auto at = [&](unsigned long gfn) { return p2m_view_start(view) + gfn * PAGE_SIZE; };
	bitmap dirty(nr);
	u32 value;

	ASSERT_FALSE(IS_ERR(view));
	for (unsigned long gfn = 0; gfn < nr; gfn += 2) {
		fill_gfn(p2m, gfn, 1);
		EXPECT_TRUE(guest_stores(at(gfn), 2)) << "mapped writable before log-dirty begins";
	}
	EXPECT_EQ(p2m_logdirty_take(p2m, dirty.bits), -EINVAL);
	ASSERT_EQ(p2m_logdirty_start(p2m), 0);
	EXPECT_EQ(p2m_logdirty_start(p2m), -EBUSY);
	for (int round = 0; round < 3; round++) {
		EXPECT_TRUE(guest_loads(at(8), &value));
		EXPECT_TRUE(guest_stores(at(2), 3));
		EXPECT_TRUE(guest_stores(at(2) + 8, 3));
		EXPECT_TRUE(guest_stores(at(62), 3));
		EXPECT_EQ(p2m_logdirty_take(p2m, dirty.bits), 2);
		EXPECT_TRUE(test_bit(2, dirty.bits) && test_bit(62, dirty.bits));
		EXPECT_EQ(p2m_logdirty_take(p2m, dirty.bits), 0);
	}
	p2m_logdirty_stop(p2m);
	EXPECT_EQ(held_gfn(p2m, _gfn(2)).type(), p2m_ram_rw);
	EXPECT_TRUE(guest_stores(at(2), 4));
	p2m_view_destroy(view);
}

TEST_P(p2m_policies, log_dirty_misses_no_store_of_a_running_guest)
{
	constexpr unsigned int nr = 16;
	p2m_owner p2m(make_p2m(nr, GetParam()));
	struct p2m_view *view = p2m_view_create(p2m, _gfn(0), nr, MMU_DELIVER_INLINE);
	std::atomic<bool> stop{false};
	std::vector<u32> copy(nr);
	bitmap dirty(nr);

	ASSERT_FALSE(IS_ERR(view));
	for (unsigned long gfn = 0; gfn < nr; gfn++)
		fill_gfn(p2m, gfn, 0);
	ASSERT_EQ(p2m_logdirty_start(p2m), 0);
	const auto take = [&] {
		long taken = p2m_logdirty_take(p2m, dirty.bits);

		for (unsigned long gfn = 0; gfn < nr; gfn++)
			if (test_bit(gfn, dirty.bits))
				copy[gfn] = *static_cast<volatile u32 *>(
					page_address(held_gfn(p2m, _gfn(gfn)).page()));
		return taken;
	};

	{
		test_thread guest([&] {
			std::minstd_rand random(5);

			for (u32 i = 1; !stop; i++)
				ASSERT_TRUE(guest_stores(
					p2m_view_start(view) + random() % nr * PAGE_SIZE, i));
		});
		long taken = 0;

		while (taken < 300)
			taken += take();
		stop = true;
	}
	take();
	for (unsigned long gfn = 0; gfn < nr; gfn++)
		EXPECT_EQ(copy[gfn],
			  *static_cast<u32 *>(page_address(held_gfn(p2m, _gfn(gfn)).page())))
			<< "gfn " << gfn;
	p2m_view_destroy(view);
}

} // namespace
