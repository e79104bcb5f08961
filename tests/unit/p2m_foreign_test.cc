// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Foreign mappings that can be revoked, with real loads and stores through them.
 *
 *      gfn 1 --> frame A            mapping: | A | B |
 *      gfn 2 --> frame B            after an update of gfn 1: | scratch | B |
 */
#include "p2m_fixture.h"

#include <atomic>
#include <random>

namespace
{

class p2m_foreign : public p2m_world
{
};

xen_foreign_config kind(bool writable, bool redirect = false)
{
	xen_foreign_config config;

	config.writable = writable;
	config.redirect = redirect;
	return config;
}

struct xen_foreign *map(struct p2m *p2m, std::vector<u64> gfns, const xen_foreign_config &config)
{
	return p2m_foreign_map(p2m, gfns.data(), (unsigned int)gfns.size(), &config);
}

volatile u32 *word_of(struct xen_foreign *f, unsigned int page)
{
	return static_cast<volatile u32 *>(xen_foreign_addr(f)) + page * PAGE_SIZE / 4;
}

struct p2m_stats stats_of(struct p2m *p2m)
{
	struct p2m_stats stats;

	p2m_stats(p2m, &stats);
	return stats;
}

TEST_F(p2m_foreign, maps_what_is_there_and_refuses_what_is_not)
{
	p2m_owner p2m(make_p2m(32));

	for (unsigned long gfn = 1; gfn < 20; gfn++)
		fill_gfn(p2m, gfn, (u32)gfn, gfn == 7 ? p2m_ram_ro : p2m_ram_rw);
	EXPECT_EQ(PTR_ERR(map(p2m, {}, kind(false))), -EINVAL);
	EXPECT_EQ(PTR_ERR(map(p2m, {1, 2, 25}, kind(false))), -EINVAL) << "a hole";
	EXPECT_EQ(PTR_ERR(map(p2m, {1, 2, 32}, kind(false))), -EINVAL) << "behind the last";
	EXPECT_EQ(PTR_ERR(map(p2m, {1, ~0ull}, kind(false))), -EINVAL);
	EXPECT_EQ(PTR_ERR(map(p2m, {6, 7}, kind(true))), -EINVAL) << "read-only";
	EXPECT_EQ(stats_of(p2m).foreign_maps, 0u);
	EXPECT_EQ(stats_of(p2m).foreign_frames, 0u);
	/* In any order, and one several times. */
	struct xen_foreign *f = map(p2m, {19, 3, 4, 5, 7, 3, 1}, kind(false));

	ASSERT_FALSE(IS_ERR(f));
	const u32 expected[] = {19, 3, 4, 5, 7, 3, 1};

	for (unsigned int i = 0; i < std::size(expected); i++)
		EXPECT_EQ(*word_of(f, i), expected[i]);
	EXPECT_FALSE(guest_stores((unsigned long)word_of(f, 0), 5)) << "it is read-only";
	EXPECT_EQ(stats_of(p2m).foreign_frames, std::size(expected));
	xen_foreign_unmap(f);
	EXPECT_EQ(p2m_remove(p2m, _gfn(3), P2M_TRY), 0) << "something still holds it";
}

struct told {
	std::atomic<int> revoked{0}, redirected{0};
	std::atomic<unsigned int> last{~0u};

	static void tell(void *ctx, enum xen_foreign_event event, unsigned int index)
	{
		auto *t = static_cast<told *>(ctx);

		(event == XEN_FOREIGN_REVOKED ? t->revoked : t->redirected)++;
		t->last = index;
	}
};

TEST_F(p2m_foreign, an_update_replaces_the_page_and_the_holder_finds_out)
{
	p2m_owner p2m(make_p2m(8));
	told told;
	xen_foreign_config config = kind(true);

	config.told = told::tell;
	config.ctx = &told;
	fill_gfn(p2m, 1, 11);
	struct page *two = fill_gfn(p2m, 2, 22);
	struct xen_foreign *f = map(p2m, {1, 2}, config);

	ASSERT_FALSE(IS_ERR(f));
	const long sequence = xen_foreign_begin(f);

	ASSERT_GE(sequence, 0);
	EXPECT_FALSE(xen_foreign_retry(f, sequence));
	EXPECT_EQ(p2m_change_type(p2m, _gfn(2), p2m_ram_rw, p2m_ram_ro, P2M_WAIT), -EAGAIN)
		<< "the mapping holds the entry when nobody may revoke it";
	EXPECT_EQ(p2m_change_type(p2m, _gfn(2), p2m_ram_rw, p2m_ram_ro, P2M_REVOKE), 0);
	EXPECT_TRUE(xen_foreign_retry(f, sequence));
	EXPECT_EQ(xen_foreign_begin(f), -EAGAIN);
	EXPECT_EQ(told.revoked, 1);
	EXPECT_EQ(told.last, 1u);
	/* Nothing faults, nothing of the frame is there, and nothing gets there. */
	EXPECT_EQ(*word_of(f, 0), 11u);
	EXPECT_EQ(*word_of(f, 1), 0u);
	*word_of(f, 1) = 99;
	EXPECT_EQ(*static_cast<u32 *>(page_address(two)), 22u);
	EXPECT_EQ(xen_foreign_renew(f), -EINVAL) << "a frame that is read-only now";
	EXPECT_EQ(*word_of(f, 0), 11u);
	EXPECT_EQ(p2m_change_type(p2m, _gfn(2), p2m_ram_ro, p2m_ram_rw, P2M_WAIT), 0);
	EXPECT_EQ(xen_foreign_renew(f), 0);
	EXPECT_GE(xen_foreign_begin(f), 0);
	EXPECT_EQ(*word_of(f, 1), 22u);
	*word_of(f, 1) = 23;
	EXPECT_EQ(*static_cast<u32 *>(page_address(two)), 23u);
	EXPECT_EQ(p2m_remove(p2m, _gfn(2), P2M_REVOKE), 0);
	EXPECT_EQ(*word_of(f, 1), 0u) << "the second scratch page is not the first one's";
	EXPECT_EQ(xen_foreign_renew(f), -EINVAL);
	u32 value;

	EXPECT_EQ(xen_foreign_read(f, 0, &value, sizeof(value)), -EINVAL);
	xen_foreign_unmap(f);
}

TEST_F(p2m_foreign, what_the_update_still_allows_is_left_alone)
{
	p2m_owner p2m(make_p2m(8));

	fill_gfn(p2m, 1, 11);
	struct xen_foreign *reads = map(p2m, {1}, kind(false)), *writes = map(p2m, {1}, kind(true));

	EXPECT_EQ(p2m_change_type(p2m, _gfn(1), p2m_ram_rw, p2m_ram_ro, P2M_REVOKE), 0);
	EXPECT_GE(xen_foreign_begin(reads), 0);
	EXPECT_EQ(xen_foreign_begin(writes), -EAGAIN);
	EXPECT_EQ(stats_of(p2m).revocations, 1u);
	xen_foreign_unmap(writes);
	xen_foreign_unmap(reads);
}

TEST_F(p2m_foreign, a_mapping_that_wants_it_follows_to_the_new_frame)
{
	p2m_owner p2m(make_p2m(8));
	told told;
	xen_foreign_config config = kind(true, true);

	config.told = told::tell;
	config.ctx = &told;
	fill_gfn(p2m, 1, 11);
	struct xen_foreign *f = map(p2m, {1}, config), *stays = map(p2m, {1}, kind(false));
	const long sequence = xen_foreign_begin(f);
	struct page *fresh = alloc_page(GFP_KERNEL | __GFP_ZERO);

	*static_cast<u32 *>(page_address(fresh)) = 44;
	EXPECT_EQ(p2m_change_frame(p2m, _gfn(1), fresh, P2M_REVOKE), 0);
	EXPECT_TRUE(xen_foreign_retry(f, sequence));
	EXPECT_GE(xen_foreign_begin(f), 0) << "it needs no renewal";
	EXPECT_EQ(*word_of(f, 0), 44u);
	*word_of(f, 0) = 45;
	EXPECT_EQ(*static_cast<u32 *>(page_address(fresh)), 45u);
	EXPECT_EQ(told.redirected, 1);
	EXPECT_EQ(*word_of(stays, 0), 0u);
	EXPECT_EQ(xen_foreign_begin(stays), -EAGAIN);
	EXPECT_EQ(stats_of(p2m).redirections, 1u);
	xen_foreign_unmap(f);
	xen_foreign_unmap(stays);
	EXPECT_EQ(p2m_remove(p2m, _gfn(1), P2M_TRY), 0);
}

/* Without revocation it is as Tim Deegan says: for as long as the holder likes. */
TEST_F(p2m_foreign, without_revocation_an_update_waits_and_gives_up)
{
	p2m_owner p2m(make_p2m(8, P2M_COUNTED, false));

	fill_gfn(p2m, 1, 11);
	struct xen_foreign *f = map(p2m, {1}, kind(false));

	EXPECT_EQ(p2m_remove(p2m, _gfn(1), P2M_REVOKE), -EAGAIN);
	EXPECT_EQ(*word_of(f, 0), 11u);
	xen_foreign_unmap(f);
	EXPECT_EQ(p2m_remove(p2m, _gfn(1), P2M_REVOKE), 0);
}

/* The host has no mapping left for a hole in the middle: all of it becomes scratch memory. */
TEST_F(p2m_foreign, a_host_without_mappings_revokes_more_and_never_less)
{
	p2m_owner p2m(make_p2m(16));
	std::vector<u64> gfns;

	for (unsigned long gfn = 0; gfn < 8; gfn++) {
		fill_gfn(p2m, gfn, (u32)gfn + 1);
		gfns.push_back(gfn);
	}
	struct xen_foreign *f = map(p2m, gfns, kind(false));

	mmu_fail_call(machine, 1);
	EXPECT_EQ(p2m_remove(p2m, _gfn(3), P2M_REVOKE), 0);
	EXPECT_EQ(mmu_fail_call(machine, 0), 0);
	for (unsigned int i = 0; i < 8; i++)
		EXPECT_EQ(*word_of(f, i), 0u) << i;
	EXPECT_EQ(stats_of(p2m).foreign_frames, 0u);
	EXPECT_EQ(xen_foreign_begin(f), -EAGAIN);
	fill_gfn(p2m, 3, 44);
	EXPECT_EQ(xen_foreign_renew(f), 0);
	for (unsigned int i = 0; i < 8; i++)
		EXPECT_EQ(*word_of(f, i), i == 3 ? 44u : i + 1);
	xen_foreign_unmap(f);
}

/* gfns 1 and 257 are found in one list; what goes out of it meanwhile must not end the walk. */
TEST_F(p2m_foreign, a_mapping_that_is_lost_whole_hides_no_other_one)
{
	for (const p2m_policy policy : {P2M_COUNTED, P2M_RWLOCK, P2M_PERCPU_RWLOCK}) {
		p2m_owner p2m(make_p2m(512, policy));

		fill_gfn(p2m, 1, 11);
		fill_gfn(p2m, 257, 22);
		struct xen_foreign *other = map(p2m, {1}, kind(false));
		struct xen_foreign *lost = map(p2m, {257, 1}, kind(false));

		ASSERT_FALSE(IS_ERR(other) || IS_ERR(lost));
		mmu_fail_call(machine, 1);
		EXPECT_EQ(p2m_remove(p2m, _gfn(1), P2M_REVOKE), 0);
		EXPECT_EQ(mmu_fail_call(machine, 0), 0);
		EXPECT_EQ(*word_of(lost, 0), 0u);
		EXPECT_EQ(*word_of(lost, 1), 0u);
		EXPECT_EQ(*word_of(other, 0), 0u) << "the frame is gone, and it can be read";
		EXPECT_EQ(stats_of(p2m).foreign_frames, 0u);
		xen_foreign_unmap(lost);
		xen_foreign_unmap(other);
	}
}

TEST_F(p2m_foreign, every_failing_allocation_and_call_leaves_nothing)
{
	p2m_owner p2m(make_p2m(2048));

	for (unsigned long gfn : {1ul, 3ul, 2000ul})
		fill_gfn(p2m, gfn, (u32)gfn);
	for (int what = 0; what < 2; what++) {
		int failures = 0;

		for (long nth = 1;; nth++) {
			if (what)
				mmu_fail_call(machine, nth);
			else
				pv_machine_fail_alloc(machine, nth);
			struct xen_foreign *f = map(p2m, {1, 3, 2000}, kind(true));
			const bool done = what ? mmu_fail_call(machine, 0) != 0
					       : pv_machine_fail_alloc(machine, 0) != 0;

			if (!IS_ERR(f))
				xen_foreign_unmap(f);
			else
				failures++;
			EXPECT_EQ(stats_of(p2m).foreign_maps, 0u);
			EXPECT_EQ(stats_of(p2m).foreign_frames, 0u);
			if (done)
				break;
		}
		EXPECT_GE(failures, 2);
	}
	for (unsigned long gfn : {1ul, 3ul, 2000ul})
		EXPECT_EQ(p2m_remove(p2m, _gfn(gfn), P2M_TRY), 0) << gfn;
}

/*
 * A holder that reads all the time while frames change under it: what it accepts is never scratch
 * memory, nor a frame of another time.
 */
TEST_F(p2m_foreign, what_a_holder_accepts_was_in_the_frame)
{
	constexpr unsigned int nr = 4;
	p2m_owner p2m(make_p2m(nr));
	std::atomic<u32> newest[nr];
	std::atomic<bool> stop{false};
	std::atomic<u64> accepted{0}, changes{0};

	for (unsigned long gfn = 0; gfn < nr; gfn++) {
		newest[gfn] = 1;
		fill_gfn(p2m, gfn, 1);
	}
	struct xen_foreign *f = map(p2m, {0, 1, 2, 3}, kind(false));

	run_together(2, [&](int who) {
		std::minstd_rand random((unsigned int)who + 1);

		while (who == 0 && !stop) {
			const unsigned int gfn = (unsigned int)random() % nr;
			const u32 at_least = newest[gfn];
			u32 words[8];

			ASSERT_EQ(xen_foreign_read(f, gfn * PAGE_SIZE, words, sizeof(words)), 0);
			for (u32 word : words)
				ASSERT_EQ(word, words[0]) << "two frames in one read";
			ASSERT_GE(words[0], at_least) << "a frame that was replaced before";
			accepted++;
		}
		while (who == 1 && (accepted < 100 || stats_of(p2m).revocations < 200)) {
			const unsigned int gfn = (unsigned int)random() % nr;
			struct page *page = alloc_page(GFP_KERNEL);
			const u32 value = newest[gfn] + 1;

			std::fill_n(static_cast<u32 *>(page_address(page)), PAGE_SIZE / 4, value);
			if (p2m_change_frame(p2m, _gfn(gfn), page, P2M_REVOKE)) {
				put_page(page);
			} else {
				newest[gfn] = value;
				changes++;
			}
		}
		stop = true;
	});
	EXPECT_GE(changes, 200u);
	/* A holder that loses its processor while it maps keeps an update waiting, not for long. */
	EXPECT_LE(stats_of(p2m).timeouts, changes / 4) << "updates wait for a foreign holder";
	xen_foreign_unmap(f);
}

} // namespace
