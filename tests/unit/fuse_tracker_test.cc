/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuse_tracker_test.cc - the tracker on a model of the host kernel's page cache
 *
 * The model keeps the facts the table of track_policy.h stands on: a page is absent, clean
 * (protected) or dirty; the first store into an absent page is a READ, into a clean page marks it;
 * a pull sends the marked pages and protects them; an invalidation sends and drops. No kernel, no
 * time: the test decides when a harvest happens, so every order can be had.
 */
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "memory_sink.h"
#include "tracker.h"

using namespace fuse_fb;

namespace
{

constexpr std::size_t pages = 128;
constexpr std::size_t file_bytes = pages * page_bytes;

class model_kernel : public tracked_file
{
public:
	model_kernel()
		: bytes(std::make_unique<memory_sink>(file_bytes), file_bytes, {file_bytes, true}),
		  cache(file_bytes), state(pages, absent)
	{
	}

	/* ---- programs ---- */
	void store(std::size_t offset, char value)
	{
		const std::size_t p = offset / page_bytes;

		if (state[p] == absent) {
			read_page(p);
			tracker_->note_access();
		}
		state[p] = dirty;
		cache[offset] = value;
	}
	void store_everywhere(char value)
	{
		for (std::size_t p = 0; p < pages; p++)
			store(p * page_bytes + static_cast<unsigned char>(value), value);
	}
	/* Pages pushed out by the kernel's own writeback, and dropped by reclaim. */
	void write_back(std::size_t p)
	{
		if (state[p] != dirty)
			return;
		state[p] = clean;
		bytes.write(++tickets, p * page_bytes, &cache[p * page_bytes], page_bytes, true);
		tracker_->note_access();
	}
	void reclaim(std::size_t p)
	{
		write_back(p);
		state[p] = absent;
	}

	/* ---- tracked_file ---- */
	int store(std::size_t offset, const void *from, std::size_t len) override
	{
		for (std::size_t i = 0; i < len; i++)
			if (state[(offset + i) / page_bytes] != absent)
				cache[offset + i] = static_cast<const char *>(from)[i];
		bytes.write(++tickets, offset, from, len, false);
		tracker_->note_access();
		return 0;
	}
	int open() override
	{
		opened = true;
		return open_error;
	}
	bool close_unused() override
	{
		if (nr_users)
			return false;
		opened = mapped = false;
		return true;
	}
	bool is_open() const override { return opened; }
	int pull(std::size_t, bool) override
	{
		pulls++;
		for (std::size_t p = 0; p < pages; p++) {
			if (state[p] != dirty)
				continue;
			state[p] = clean;
			bytes.write(++tickets, p * page_bytes, &cache[p * page_bytes], page_bytes,
				    true);
			tracker_->note_access();
		}
		return 0;
	}
	const std::byte *map(std::size_t) override
	{
		if (map_fails)
			return nullptr;
		mapped = true;
		return reinterpret_cast<const std::byte *>(cache.data());
	}
	bool guarded(const std::function<void()> &touch) override
	{
		looks++;
		for (std::size_t p = 0; p < pages; p++)
			if (state[p] == absent) {
				read_page(p);
				tracker_->note_access();
			}
		touch();
		return !torn;
	}
	int invalidate() override
	{
		for (std::size_t p = 0; p < pages; p++)
			reclaim(p);
		if (on_invalidate)
			on_invalidate();
		return 0;
	}
	void wait_for_writers() override
	{
		if (on_wait)
			on_wait();
	}
	unsigned users() const override { return nr_users; }

	void read_page(std::size_t p)
	{
		bytes.read(p * page_bytes, page_bytes, [&](const std::byte *b, std::size_t n) {
			std::memcpy(&cache[p * page_bytes], b, n);
		});
		state[p] = clean;
	}
	bool storage_is_what_was_stored()
	{
		return std::memcmp(bytes.peek(), cache.data(), file_bytes) == 0;
	}
	bool anything_cached() const
	{
		return std::any_of(state.begin(), state.end(), [](auto s) { return s != absent; });
	}

	enum page_state { absent, clean, dirty };
	content bytes;
	std::vector<char> cache; /* what programs see; of an absent page: what they saw last */
	std::vector<page_state> state;
	std::uint64_t tickets = 0;
	unsigned nr_users = 1;
	bool opened = false, mapped = false, torn = false, map_fails = false;
	int open_error = 0;
	int pulls = 0, looks = 0;
	std::function<void()> on_invalidate, on_wait;
	tracker *tracker_ = nullptr;
};

/* Calls harvest as deferred I/O would: once per tick when asked for. */
struct world {
	model_kernel kernel;
	track_mutant_switch mutant;
	tracker t{kernel.bytes, kernel, [this] { return kernel.tickets; }, {}, &mutant};
	bool due = false;

	world()
	{
		kernel.tracker_ = &t;
		t.set_kick([this] { due = true; });
	}
	bool tick()
	{
		if (!due)
			return false;
		due = false;
		if (t.harvest())
			due = true;
		return true;
	}
	void tick_until(track_state s)
	{
		for (int i = 0; i < 100 && t.state() != s; i++)
			ASSERT_TRUE(tick()) << "nobody harvests any more, in state "
					    << track_state_name(t.state());
		ASSERT_EQ(t.state(), s);
	}
	void go_dense()
	{
		for (int i = 1; i < 20 && t.state() != track_state::dense; i++) {
			kernel.store_everywhere(static_cast<char>(i));
			tick();
		}
		ASSERT_EQ(t.state(), track_state::dense);
	}
};

} // namespace

TEST(fuse_tracker, still_file_is_idle_closed_to_nobody_and_unpaced)
{
	world w;

	w.kernel.store(5, 'x');
	ASSERT_TRUE(w.tick());
	EXPECT_EQ(w.t.state(), track_state::sparse);
	EXPECT_TRUE(w.kernel.storage_is_what_was_stored());
	w.tick_until(track_state::idle);
	EXPECT_FALSE(w.due);
	EXPECT_FALSE(w.kernel.anything_cached()) << "the next access must be a request";
	EXPECT_TRUE(w.kernel.opened) << "somebody has the file, the mount is busy anyway";
	w.kernel.nr_users = 0;
	w.t.harvest();
	EXPECT_FALSE(w.kernel.opened) << "the last user's close is the only thing that tells";
}

TEST(fuse_tracker, file_that_nobody_has_open_does_not_keep_the_mount_busy)
{
	world w;

	w.kernel.store(5, 'x');
	w.tick();
	w.kernel.store(7, 'y');
	w.kernel.nr_users = 0;
	EXPECT_FALSE(w.t.harvest()) << "one harvest is enough, whatever was left";
	EXPECT_EQ(w.t.state(), track_state::idle);
	EXPECT_TRUE(w.kernel.storage_is_what_was_stored());
	EXPECT_FALSE(w.kernel.anything_cached());
	EXPECT_FALSE(w.kernel.opened);
	EXPECT_FALSE(w.kernel.mapped);
}

TEST(fuse_tracker, every_harvest_brings_all_stores_made_before_it)
{
	for (const unsigned seed : {1u, 2u, 3u, 4u}) {
		world w;
		std::mt19937 random(seed);
		int seen[3] = {};

		for (int round = 0; round < 3000; round++) {
			/* Busy, sparse and still stretches, so that all states come. */
			const int load = round / 40 % 3;

			if (load == 0)
				w.kernel.store_everywhere(static_cast<char>(random()));
			else if (load == 1)
				w.kernel.store(random() % file_bytes, static_cast<char>(random()));
			if (random() % 7 == 0)
				w.kernel.write_back(random() % pages);
			if (random() % 11 == 0)
				w.kernel.reclaim(random() % pages);
			if (random() % 5 == 0) {
				/* A flush: any time, also when idle. */
				if (w.t.harvest())
					w.due = true;
			} else if (!w.tick()) {
				ASSERT_EQ(w.t.state(), track_state::idle);
			}
			ASSERT_TRUE(w.kernel.storage_is_what_was_stored())
				<< "seed " << seed << ", round " << round << ", "
				<< track_state_name(w.t.state());
			seen[static_cast<int>(w.t.state())]++;
		}
		for (const int n : seen)
			EXPECT_GT(n, 100);
	}
}

TEST(fuse_tracker, dense_looks_and_does_not_protect)
{
	world w;

	w.go_dense();
	const int pulls = w.kernel.pulls;
	w.kernel.store_everywhere('q');
	w.tick();
	EXPECT_EQ(w.kernel.pulls, pulls);
	EXPECT_TRUE(w.kernel.storage_is_what_was_stored());
	for (const auto s : w.kernel.state)
		EXPECT_EQ(s, model_kernel::dirty) << "writers pay no fault";
	w.tick_until(track_state::sparse);
	EXPECT_TRUE(w.kernel.mapped) << "it cannot be unmapped while pages may be dirty";
	for (const auto s : w.kernel.state)
		EXPECT_NE(s, model_kernel::dirty) << "the pull that leaves DENSE protects again";
}

TEST(fuse_tracker, store_between_the_last_pull_and_the_invalidation_is_kept)
{
	world w;

	w.kernel.store(7, 'a');
	w.tick();
	bool stored = false;
	/* As the kernel does it: the page was dirtied after the pull, is sent, then dropped. */
	w.kernel.on_wait = [&] {
		if (!std::exchange(stored, true))
			w.kernel.store(9000, 'b');
	};
	for (int i = 0; i < 50 && w.tick(); i++)
		;
	EXPECT_TRUE(stored);
	EXPECT_EQ(w.t.state(), track_state::idle);
	EXPECT_EQ(static_cast<char>(w.kernel.bytes.peek()[9000]), 'b');
}

TEST(fuse_tracker, write_under_way_during_the_invalidation_sets_off_another)
{
	world w;
	int invalidations = 0;

	w.kernel.store(0, 'a');
	w.tick();
	/*
	 * write(2) has put "W" into the page cache and waits; the pages are dropped, somebody reads
	 * the page back (old), and only then the WRITE is served.
	 */
	w.kernel.on_invalidate = [&] { invalidations++; };
	bool once = false;
	w.kernel.on_wait = [&] {
		if (std::exchange(once, true))
			return;
		w.kernel.read_page(3);
		w.t.note_access();
		w.kernel.bytes.write(++w.kernel.tickets, 3 * page_bytes, "W", 1, false);
		w.t.note_access();
	};
	w.tick_until(track_state::idle);
	EXPECT_EQ(invalidations, 2);
	EXPECT_EQ(w.kernel.state[3], model_kernel::absent)
		<< "the page that was read back too early is gone";
	w.kernel.read_page(3);
	EXPECT_EQ(w.kernel.cache[3 * page_bytes], 'W');
}

TEST(fuse_tracker, file_that_cannot_be_mapped_or_looked_at_is_pulled)
{
	world w;

	w.kernel.map_fails = true;
	for (int i = 1; i < 30; i++) {
		w.kernel.store_everywhere(static_cast<char>(i));
		w.tick();
		EXPECT_TRUE(w.kernel.storage_is_what_was_stored());
		EXPECT_EQ(w.t.state(), track_state::sparse);
	}

	world v;
	v.go_dense();
	v.kernel.torn = true;
	v.kernel.store_everywhere('t');
	v.tick();
	v.kernel.store_everywhere('u');
	v.tick();
	EXPECT_EQ(v.t.state(), track_state::sparse);
	EXPECT_TRUE(v.kernel.storage_is_what_was_stored());
}

TEST(fuse_tracker, removed_file_ends_the_harvests_and_a_failing_open_is_tried_again)
{
	world w;

	w.kernel.store(1, 'x');
	w.kernel.open_error = -EMFILE;
	EXPECT_TRUE(w.tick());
	EXPECT_TRUE(w.due) << "descriptors may be had again in a period";
	w.kernel.open_error = 0;
	w.tick();
	EXPECT_TRUE(w.kernel.storage_is_what_was_stored());

	world v;
	v.kernel.store(1, 'x');
	v.kernel.open_error = -ENOENT;
	v.tick();
	EXPECT_FALSE(v.due);
	EXPECT_EQ(v.t.state(), track_state::idle);
}

TEST(fuse_tracker, shut_down_lets_go_of_everything)
{
	world w;

	w.go_dense();
	w.t.shut_down();
	EXPECT_TRUE(w.kernel.mapped) << "a program still has it";
	EXPECT_EQ(w.t.state(), track_state::idle);
	EXPECT_FALSE(w.kernel.anything_cached());
	w.kernel.nr_users = 0;
	w.t.shut_down();
	EXPECT_FALSE(w.kernel.opened);
	EXPECT_FALSE(w.kernel.mapped);
	EXPECT_EQ(w.t.state(), track_state::idle);
	w.due = false;
	w.t.note_access();
	EXPECT_FALSE(w.due) << "no kick reaches anybody";
}
