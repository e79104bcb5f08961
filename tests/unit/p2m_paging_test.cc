// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Paging: the table of operations and states, the event ring, and a pager with a real swap file.
 */
#include "p2m_fixture.h"

#include <kshim/swap.h>
#include <xen/paging.h>

#include <atomic>
#include <fcntl.h>
#include <map>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

namespace
{

constexpr u32 CONTENT = 0xc0ffee;

struct p2m_stats stats_of(struct p2m *p2m)
{
	struct p2m_stats stats;

	p2m_stats(p2m, &stats);
	return stats;
}

unsigned int state_of(struct p2m *p2m, unsigned long gfn)
{
	held_gfn held(p2m, _gfn(gfn));

	return held.type() == p2m_ram_paging_in && held.page() ? PAGING_IN_WITH_FRAME
							       : (unsigned int)held.type();
}

/* ---- the table ---- */

class p2m_paging : public p2m_world
{
};

/* What the facts say; everything else fails with the first number, and stays. */
struct expected {
	int otherwise;
	std::map<unsigned int, std::pair<int, unsigned int>> states;
};

const std::map<paging_op, expected> EXPECTED = {
	{PAGING_NOMINATE,
	 {-EBUSY,
	  {{p2m_ram_rw, {0, p2m_ram_paging_out}}, {p2m_ram_logdirty, {0, p2m_ram_paging_out}}}}},
	{PAGING_EVICT, {-EBUSY, {{p2m_ram_paging_out, {0, p2m_ram_paged}}}}},
	{PAGING_POPULATE,
	 {-ENOENT,
	  {{p2m_ram_paging_out, {0, PAGING_IN_WITH_FRAME}},
	   {p2m_ram_paged, {0, p2m_ram_paging_in}},
	   {p2m_ram_paging_in, {0, p2m_ram_paging_in}},
	   {PAGING_IN_WITH_FRAME, {0, PAGING_IN_WITH_FRAME}}}}},
	{PAGING_POPULATE_FOREIGN,
	 {-ENOENT,
	  {{p2m_ram_paging_out, {0, PAGING_IN_WITH_FRAME}},
	   {p2m_ram_paged, {0, p2m_ram_paging_in}}}}},
	{PAGING_PREP,
	 {-ENOENT,
	  {{p2m_ram_paged, {0, p2m_ram_rw}},
	   {p2m_ram_paging_in, {0, p2m_ram_rw}},
	   {PAGING_IN_WITH_FRAME, {0, p2m_ram_rw}}}}},
	{PAGING_PREP_EMPTY,
	 {-ENOENT,
	  {{p2m_ram_paged, {-EINVAL, p2m_ram_paged}},
	   {p2m_ram_paging_in, {-EINVAL, p2m_ram_paging_in}},
	   {PAGING_IN_WITH_FRAME, {0, p2m_ram_rw}}}}},
	{PAGING_RESUME, {0, {{PAGING_IN_WITH_FRAME, {0, p2m_ram_rw}}}}},
	{PAGING_DROP,
	 {-EINVAL,
	  {{p2m_ram_paging_out, {0, p2m_invalid}},
	   {p2m_ram_paged, {0, p2m_invalid}},
	   {p2m_ram_paging_in, {0, p2m_invalid}},
	   {PAGING_IN_WITH_FRAME, {0, p2m_invalid}}}}},
	{PAGING_BREAK,
	 {-ENOENT,
	  {{p2m_ram_paged, {0, p2m_ram_broken}}, {p2m_ram_paging_in, {0, p2m_ram_broken}}}}},
};

TEST_F(p2m_paging, every_operation_is_defined_on_every_state)
{
	ASSERT_EQ(EXPECTED.size(), (size_t)PAGING_OPS);
	for (const auto &[op, expected] : EXPECTED) {
		for (unsigned int state = 0; state < PAGING_STATES; state++) {
			const auto it = expected.states.find(state);
			const struct paging_rule rule = paging_rule(op, state);

			EXPECT_EQ(rule.err, it == expected.states.end() ? expected.otherwise
									: it->second.first)
				<< paging_op_name(op) << " on " << state;
			EXPECT_EQ(rule.next,
				  it == expected.states.end() ? state : it->second.second)
				<< paging_op_name(op) << " on " << state;
		}
	}
}

/* Brings gfn 1 into @state by operations; false: no operation makes this one. */
bool make_state(struct p2m *p2m, unsigned int state)
{
	paging_event event;

	switch (state) {
	case p2m_invalid:
		return true;
	case p2m_ram_rw:
		fill_gfn(p2m, 1, CONTENT);
		return true;
	case p2m_ram_ro:
	case p2m_ram_shared:
		fill_gfn(p2m, 1, CONTENT, (p2m_type)state);
		return true;
	case p2m_ram_logdirty:
		EXPECT_EQ(p2m_logdirty_start(p2m), 0);
		fill_gfn(p2m, 1, CONTENT);
		return true;
	case p2m_ram_paging_out:
		fill_gfn(p2m, 1, CONTENT);
		EXPECT_EQ(p2m_paging_nominate(p2m, _gfn(1)), 0);
		return true;
	case p2m_ram_paged:
		make_state(p2m, p2m_ram_paging_out);
		EXPECT_EQ(p2m_paging_evict(p2m, _gfn(1)), 0);
		return true;
	case p2m_ram_paging_in:
		make_state(p2m, p2m_ram_paged);
		EXPECT_EQ(p2m_paging_populate(p2m, _gfn(1)), 0);
		EXPECT_TRUE(p2m_paging_next_event(p2m, &event));
		EXPECT_FALSE(event.evict_fail || event.drop || event.paused);
		EXPECT_EQ(event.gfn.val, 1u);
		return true;
	case PAGING_IN_WITH_FRAME:
		make_state(p2m, p2m_ram_paging_out);
		EXPECT_EQ(p2m_paging_populate(p2m, _gfn(1)), 0);
		EXPECT_TRUE(p2m_paging_next_event(p2m, &event));
		EXPECT_TRUE(event.evict_fail);
		return true;
	case p2m_ram_broken:
		make_state(p2m, p2m_ram_paged);
		EXPECT_EQ(p2m_paging_break(p2m, _gfn(1)), 0);
		return true;
	default:
		return false;
	}
}

int do_operation(struct p2m *p2m, paging_op op, const void *buffer)
{
	const paging_event answer = {
		.gfn = _gfn(1), .vcpu = 0, .paused = false, .drop = false, .evict_fail = false};

	switch (op) {
	case PAGING_NOMINATE:
		return p2m_paging_nominate(p2m, _gfn(1));
	case PAGING_EVICT:
		return p2m_paging_evict(p2m, _gfn(1));
	case PAGING_POPULATE_FOREIGN:
		return p2m_paging_populate(p2m, _gfn(1));
	case PAGING_PREP:
		return p2m_paging_prep(p2m, _gfn(1), buffer);
	case PAGING_PREP_EMPTY:
		return p2m_paging_prep(p2m, _gfn(1), nullptr);
	case PAGING_RESUME:
		p2m_paging_respond(p2m, &answer);
		return 0;
	case PAGING_DROP:
		return p2m_paging_drop(p2m, _gfn(1), P2M_TRY);
	case PAGING_BREAK:
		return p2m_paging_break(p2m, _gfn(1));
	default:
		return 1;
	}
}

/* On real entries: what the table says happens, the count is exact, the content stays. */
TEST_F(p2m_paging, every_operation_does_on_every_state_what_the_table_says)
{
	std::vector<u32> buffer(PAGE_SIZE / 4, CONTENT);
	unsigned int done = 0;

	for (const auto &[op, expected] : EXPECTED) {
		for (unsigned int state = 0; state < PAGING_STATES; state++) {
			p2m_owner p2m(make_p2m(4));
			const p2m_paging_config config;

			/* That one needs a vcpu that waits: the pager's tests. */
			if (op == PAGING_POPULATE)
				continue;
			ASSERT_EQ(p2m_paging_enable(p2m, &config), 0);
			if (make_state(p2m, state)) {
				const auto it = expected.states.find(state);
				const int err = do_operation(p2m, op, buffer.data());
				unsigned int next =
					it == expected.states.end() ? state : it->second.second;

				SCOPED_TRACE(std::string(paging_op_name(op)) + " on " +
					     std::to_string(state));
				EXPECT_EQ(err, it == expected.states.end() ? expected.otherwise
									   : it->second.first);
				EXPECT_EQ(state_of(p2m, 1), next);
				EXPECT_EQ(stats_of(p2m).paged,
					  next == p2m_ram_paged || next == p2m_ram_paging_in);
				held_gfn held(p2m, _gfn(1));

				for (u32 i = 0; held.page() && i < PAGE_SIZE / 4; i++)
					ASSERT_EQ(static_cast<u32 *>(page_address(held.page()))[i],
						  CONTENT);
				done++;
			}
			p2m_paging_disable(p2m);
		}
	}
	EXPECT_EQ(done, (PAGING_OPS - 1) * 10u);
}

TEST_F(p2m_paging, a_frame_somebody_has_is_neither_nominated_nor_evicted)
{
	p2m_owner p2m(make_p2m(4));
	struct page *page = fill_gfn(p2m, 1, 1);

	get_page(page);
	EXPECT_EQ(p2m_paging_nominate(p2m, _gfn(1)), -EBUSY);
	put_page(page);
	{
		held_gfn held(p2m, _gfn(1));

		EXPECT_EQ(p2m_paging_nominate(p2m, _gfn(1)), -EBUSY);
	}
	EXPECT_EQ(p2m_paging_nominate(p2m, _gfn(1)), 0);
	get_page(page);
	EXPECT_EQ(p2m_paging_evict(p2m, _gfn(1)), -EBUSY);
	EXPECT_EQ(stats_of(p2m).paged, 0u);
	put_page(page);
	EXPECT_EQ(p2m_paging_evict(p2m, _gfn(1)), 0);
	EXPECT_EQ(p2m_paging_prep(p2m, _gfn(1), reinterpret_cast<void *>(0x1000)), -EFAULT);
	EXPECT_EQ(state_of(p2m, 1), p2m_ram_paged);
	std::vector<u32> buffer(PAGE_SIZE / 4, 5);

	pv_machine_fail_alloc(machine, 1);
	EXPECT_EQ(p2m_paging_prep(p2m, _gfn(1), buffer.data()), -ENOMEM);
	EXPECT_EQ(state_of(p2m, 1), p2m_ram_paged);
	EXPECT_EQ(p2m_paging_prep(p2m, _gfn(1), buffer.data()), 0);
	EXPECT_EQ(stats_of(p2m).paged, 0u);
	EXPECT_EQ(p2m_paging_nominate(p2m, _gfn(4)), -EINVAL);
	EXPECT_EQ(p2m_paging_evict(p2m, _gfn(~0ul)), -EINVAL);
}

TEST_F(p2m_paging, a_foreign_mapping_is_revoked_by_nomination_and_not_waited_for)
{
	p2m_owner p2m(make_p2m(4));
	const u64 gfn = 1;
	xen_foreign_config config;

	config.writable = true;
	fill_gfn(p2m, 1, 1);
	struct xen_foreign *f = p2m_foreign_map(p2m, &gfn, 1, &config);

	EXPECT_EQ(p2m_paging_nominate(p2m, _gfn(1)), 0);
	EXPECT_EQ(*static_cast<u32 *>(xen_foreign_addr(f)), 0u);
	xen_foreign_unmap(f);
}

/* ---- the ring ---- */

TEST_F(p2m_paging, a_full_ring_refuses_others_and_lets_vcpus_wait_in_turn)
{
	p2m_owner p2m(make_p2m(64));
	p2m_paging_config config;
	constexpr unsigned int guests = 20;
	std::atomic<unsigned int> done{0};
	paging_event event;

	ASSERT_EQ(p2m_paging_enable(p2m, &config), 0);
	EXPECT_EQ(p2m_paging_enable(p2m, &config), -EBUSY);
	for (unsigned long gfn = 0; gfn < 40; gfn++) {
		fill_gfn(p2m, gfn, (u32)gfn);
		ASSERT_EQ(p2m_paging_nominate(p2m, _gfn(gfn)), 0);
		ASSERT_EQ(p2m_paging_evict(p2m, _gfn(gfn)), 0);
	}
	for (unsigned long gfn = 0; gfn < 8; gfn++)
		ASSERT_EQ(p2m_paging_populate(p2m, _gfn(gfn)), 0);
	EXPECT_EQ(p2m_paging_populate(p2m, _gfn(8)), -EAGAIN) << "8 slots are in a page";
	EXPECT_EQ(state_of(p2m, 8), p2m_ram_paged) << "refused, but something changed";
	std::vector<std::unique_ptr<test_thread>> threads;

	for (unsigned int i = 0; i < guests; i++)
		threads.push_back(std::make_unique<test_thread>([&, i] {
			struct page *page = get_page_from_gfn(p2m, _gfn(10 + i), nullptr);

			ASSERT_TRUE(page);
			EXPECT_EQ(*static_cast<u32 *>(page_address(page)), 10 + i);
			put_page(page);
			done++;
		}));
	for (auto &thread : threads)
		thread->wait_until_it_sleeps();
	EXPECT_EQ(done, 0u);
	std::vector<u32> buffer(PAGE_SIZE / 4);

	for (unsigned int answered = 0; answered < 8 + guests;) {
		if (!p2m_paging_next_event(p2m, &event)) {
			p2m_paging_wait_event(p2m, deadline);
			continue;
		}
		std::fill(buffer.begin(), buffer.end(), (u32)event.gfn.val);
		EXPECT_EQ(p2m_paging_prep(p2m, event.gfn, buffer.data()), 0);
		p2m_paging_respond(p2m, &event);
		answered++;
	}
	for (auto &thread : threads)
		thread->join();
	EXPECT_EQ(done, guests);
	EXPECT_EQ(stats_of(p2m).paged, 40u - 8 - guests);
	p2m_paging_disable(p2m);
}

TEST_F(p2m_paging, who_waits_is_let_go_when_paging_ends)
{
	p2m_owner p2m(make_p2m(4));
	p2m_paging_config config;

	ASSERT_EQ(p2m_paging_enable(p2m, &config), 0);
	fill_gfn(p2m, 1, 1);
	ASSERT_EQ(p2m_paging_nominate(p2m, _gfn(1)), 0);
	ASSERT_EQ(p2m_paging_evict(p2m, _gfn(1)), 0);
	test_thread guest([&] { EXPECT_EQ(get_page_from_gfn(p2m, _gfn(1), nullptr), nullptr); });

	guest.wait_until_it_sleeps();
	p2m_paging_disable(p2m);
	guest.join();
	EXPECT_EQ(p2m_remove(p2m, _gfn(1), P2M_TRY), 0) << "dropping needs no ring";
	EXPECT_EQ(stats_of(p2m).paged, 0u);
}

/* ---- the pager ---- */

struct paged_guest {
	paged_guest(unsigned long nr, p2m_pager_config config, const char *path = nullptr)
		: p2m(make_p2m(nr)), swap(swap_file_open(path, nr))
	{
		const p2m_paging_config paging;

		EXPECT_FALSE(IS_ERR(swap));
		EXPECT_EQ(p2m_paging_enable(p2m, &paging), 0);
		config.swap = swap;
		pager = p2m_pager_start(p2m, &config);
		EXPECT_FALSE(IS_ERR(pager));
		view = p2m_view_create(p2m, _gfn(0), nr, MMU_DELIVER_INLINE);
		EXPECT_FALSE(IS_ERR(view));
	}
	~paged_guest()
	{
		p2m_view_destroy(view);
		p2m_pager_stop(pager);
		p2m_paging_disable(p2m);
		p2m_destroy(p2m);
		swap_file_close(swap);
	}
	unsigned long at(unsigned long gfn) const { return p2m_view_start(view) + gfn * PAGE_SIZE; }
	struct p2m_pager_stats stats() const
	{
		struct p2m_pager_stats stats;

		p2m_pager_stats(pager, &stats);
		return stats;
	}

	struct p2m *p2m;
	struct swap_file *swap;
	struct p2m_pager *pager;
	struct p2m_view *view;
};

TEST_F(p2m_paging, an_evicted_frame_is_the_hosts_and_comes_back_with_its_content)
{
	paged_guest g(16, {});

	fill_gfn(g.p2m, 3, 33);
	ASSERT_TRUE(guest_stores(g.at(3) + 100, 34));
	ASSERT_EQ(p2m_pager_evict(g.pager, _gfn(3)), 0);
	EXPECT_EQ(nr_free_pages() + 1, nr_free) << "the ring's page is in use";
	EXPECT_EQ(stats_of(g.p2m).paged, 1u);
	u32 value = 0;

	ASSERT_TRUE(guest_loads(g.at(3), &value));
	EXPECT_EQ(value, 33u);
	ASSERT_TRUE(guest_loads(g.at(3) + 100, &value));
	EXPECT_EQ(value, 34u);
	EXPECT_EQ(stats_of(g.p2m).paged, 0u);
	/* By a lookup, and by a foreign mapping. */
	ASSERT_EQ(p2m_pager_evict(g.pager, _gfn(3)), 0);
	struct page *page = get_page_from_gfn(g.p2m, _gfn(3), nullptr);

	ASSERT_TRUE(page);
	EXPECT_EQ(static_cast<u32 *>(page_address(page))[25], 34u);
	EXPECT_EQ(p2m_pager_evict(g.pager, _gfn(3)), -EBUSY);
	put_page(page);
	ASSERT_EQ(p2m_pager_evict(g.pager, _gfn(3)), 0);
	const u64 gfn = 3;
	const xen_foreign_config config;
	struct xen_foreign *f = p2m_foreign_map(g.p2m, &gfn, 1, &config);

	ASSERT_FALSE(IS_ERR(f));
	EXPECT_EQ(static_cast<u32 *>(xen_foreign_addr(f))[25], 34u);
	ASSERT_EQ(p2m_pager_evict(g.pager, _gfn(3)), 0) << "a foreign mapping is no reason not to";
	ASSERT_EQ(xen_foreign_read(f, 100, &value, sizeof(value)), 0);
	EXPECT_EQ(value, 34u);
	xen_foreign_unmap(f);
	EXPECT_EQ(g.stats().page_outs, 4u);
	EXPECT_EQ(g.stats().page_ins, 4u);
}

TEST_F(p2m_paging, a_dropped_page_gives_its_slot_back)
{
	paged_guest g(4, {});

	for (int round = 0; round < 20; round++) {
		fill_gfn(g.p2m, 1, (u32)round);
		/* Until the pager has heard of the last drop the gfn has its slot. */
		while (p2m_pager_evict(g.pager, _gfn(1)) == -EBUSY)
			yield();
		ASSERT_EQ(p2m_remove(g.p2m, _gfn(1), P2M_WAIT), 0);
		u32 value;

		EXPECT_FALSE(guest_loads(g.at(1), &value));
	}
	EXPECT_EQ(stats_of(g.p2m).paged, 0u);
}

/* A device without room: the frame stays, and the guest with it. */
TEST_F(p2m_paging, no_space_keeps_the_frame)
{
	paged_guest g(4, {}, "/dev/full");

	fill_gfn(g.p2m, 1, 7);
	EXPECT_EQ(p2m_pager_evict(g.pager, _gfn(1)), -ENOSPC);
	EXPECT_EQ(g.stats().write_errors, 1u);
	EXPECT_EQ(state_of(g.p2m, 1), p2m_ram_rw);
	EXPECT_TRUE(guest_stores(g.at(1), 8));
	EXPECT_EQ(stats_of(g.p2m).paged, 0u);
}

/* The file is cut behind our back: what is not there cannot be loaded, and is not made up. */
TEST_F(p2m_paging, a_short_read_fails_the_access_and_no_other)
{
	char path[] = "/tmp/pvshim-test-swap-XXXXXX";
	const int fd = mkstemp(path);

	ASSERT_GE(fd, 0);
	{
		paged_guest g(4, {}, path);
		u32 value = 0;

		fill_gfn(g.p2m, 1, 7);
		fill_gfn(g.p2m, 2, 8);
		ASSERT_EQ(p2m_pager_evict(g.pager, _gfn(1)), 0);
		ASSERT_EQ(p2m_pager_evict(g.pager, _gfn(2)), 0);
		ASSERT_EQ(ftruncate(fd, PAGE_SIZE + 100), 0);
		EXPECT_FALSE(guest_loads(g.at(2), &value));
		EXPECT_EQ(state_of(g.p2m, 2), p2m_ram_broken);
		EXPECT_EQ(g.stats().broken, 1u);
		EXPECT_TRUE(guest_loads(g.at(1), &value));
		EXPECT_EQ(value, 7u);
		EXPECT_EQ(stats_of(g.p2m).paged, 0u);
		EXPECT_EQ(p2m_remove(g.p2m, _gfn(2), P2M_TRY), 0) << "the guest may give it away";
	}
	close(fd);
	unlink(path);
}

/* The guest works on more than may be resident; nothing is ever wrong, and memory is returned. */
TEST_F(p2m_paging, a_guest_works_on_more_than_may_be_resident)
{
	constexpr unsigned long nr = 512, limit = 64;
	p2m_pager_config config;

	config.limit = limit;
	paged_guest g(nr, config);
	std::vector<u32> last(nr);
	std::minstd_rand random(3);

	for (unsigned long gfn = 0; gfn < nr; gfn++) {
		last[gfn] = (u32)gfn;
		fill_gfn(g.p2m, gfn, (u32)gfn);
	}
	for (int i = 0; i < 4000; i++) {
		const unsigned long gfn = random() % nr;
		u32 value = 0;

		ASSERT_TRUE(guest_loads(g.at(gfn), &value));
		ASSERT_EQ(value, last[gfn]) << "gfn " << gfn;
		if (i % 2) {
			ASSERT_TRUE(guest_stores(g.at(gfn), ++last[gfn]));
		}
	}
	EXPECT_GT(g.stats().page_ins, 1000u);
	/* The pager has caught up when it sleeps. */
	const u64 end = kshim_now_ns() + 60ull * 1000000000;

	while (nr_free - nr_free_pages() > limit + 1 && kshim_now_ns() < end)
		yield();
	EXPECT_LE(nr_free - nr_free_pages(), limit + 1);
	EXPECT_EQ(stats_of(g.p2m).paged, nr - limit);
	EXPECT_GT(swap_file_bytes(g.swap), (nr - limit) * PAGE_SIZE / 2);
}

TEST_F(p2m_paging, swap_errors_by_chance_break_no_content)
{
	constexpr unsigned long nr = 64;
	p2m_pager_config config;

	config.limit = 16;
	paged_guest g(nr, config);
	std::vector<u32> last(nr);
	std::minstd_rand random(3);

	for (unsigned long gfn = 0; gfn < nr; gfn++) {
		last[gfn] = (u32)gfn;
		fill_gfn(g.p2m, gfn, (u32)gfn);
	}
	swap_file_fail(g.swap, 150, 42);
	const u64 end = kshim_now_ns() + 60ull * 1000000000;

	for (int i = 0; (i < 3000 || g.stats().write_errors < 10 || g.stats().read_errors < 10) &&
			kshim_now_ns() < end;
	     i++) {
		const unsigned long gfn = random() % nr;
		u32 value = 0;

		if (!guest_loads(g.at(gfn), &value)) {
			ASSERT_EQ(state_of(g.p2m, gfn), p2m_ram_broken);
			continue;
		}
		ASSERT_EQ(value, last[gfn]) << "gfn " << gfn;
		(void)guest_stores(g.at(gfn), ++last[gfn]);
	}
	EXPECT_GE(g.stats().write_errors, 10u);
	EXPECT_GE(g.stats().read_errors, 10u);
	swap_file_fail(g.swap, 0, 0);
}

} // namespace
