/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tracker.cc - notices what programs store into a file; states and table in track_policy.h
 */
#include "tracker.h"

#include <algorithm>
#include <cstring>

#include "message.h"

namespace fuse_fb
{

/* How often an invalidation is repeated because a write(2) was under way. */
static constexpr int invalidate_tries = 8;

static std::size_t index(track_state s)
{
	return static_cast<std::size_t>(s);
}

tracker::tracker(content &bytes, tracked_file &file, std::function<std::uint64_t()> newest_ticket,
		 track_tunables tunables, track_mutant_switch *mutant)
	: bytes_(bytes), file_(file), newest_ticket_(std::move(newest_ticket)), mutant_(mutant),
	  policy_(tunables)
{
	bytes_.set_mutant(mutant);
}

void tracker::set_kick(std::function<void()> kick)
{
	std::lock_guard hold(kick_lock_);
	kick_ = std::move(kick);
}

void tracker::note_access()
{
	/* First the note, then the kick: the harvest that the kick causes sees the note. */
	accesses_.fetch_add(1);
	if (mutated(mutant_, track_mutant::wake_without_kick) && state() == track_state::idle)
		return;
	std::lock_guard hold(kick_lock_);
	if (kick_)
		kick_();
}

void tracker::complain(const char *what, int error)
{
	if (errors_.fetch_add(1) == 0)
		message(message_kind::warning, "cannot %s: %s; changes of the screen may come late",
			what, std::strerror(-error));
}

void tracker::move_to(track_state to)
{
	const track_state from = state_.load(std::memory_order_relaxed);

	if (from == to)
		return;
	transitions_[index(from)][index(to)].fetch_add(1, std::memory_order_relaxed);
	state_.store(to, std::memory_order_release);
}

/* Return: pages that the page cache sent. */
std::size_t tracker::pull(std::size_t size)
{
	const auto &sent = bytes_.stats().cache_pages;
	const std::uint64_t before = sent.load();

	if (mutated(mutant_, track_mutant::sparse_without_pull) && state() == track_state::sparse)
		return 0;
	if (mutant_)
		mutant_->in_pull = true;
	const int error = file_.pull(size, !mutated(mutant_, track_mutant::pull_without_wait));
	if (mutant_)
		mutant_->in_pull = false;
	if (error)
		complain("fetch the stores", error);
	pulls_.fetch_add(1, std::memory_order_relaxed);
	return sent.load() - before;
}

/*
 * Compares the mapping with the storage, page by page. The mapping is read with no lock held: a
 * page which is not there becomes a READ that the request threads answer.
 * Return: pages that differed.
 */
std::size_t tracker::look(const std::byte *view, std::size_t size)
{
	std::size_t changed = 0;

	looks_.fetch_add(1, std::memory_order_relaxed);
	if (mutated(mutant_, track_mutant::dense_look_forgotten))
		return size / page_bytes; /* stay in DENSE */
	content::look look = bytes_.begin_look();
	/* One guard around all pages: a fault comes out of fetch(), which holds nothing. */
	const bool whole = file_.guarded([&] {
		for (std::size_t pos = 0; pos < size; pos += page_bytes) {
			const std::size_t len = std::min(page_bytes, size - pos);
			const std::uint64_t ticket = newest_ticket_();

			if (look.fetch(pos, view + pos, len) &&
			    bytes_.bring_in(look, ticket, pos, len))
				changed++;
		}
	});
	if (!whole) {
		complain("look at the file", -EFAULT);
		can_look_ = false;
	}
	return changed;
}

/*
 * The way into IDLE, see the table. Return: false if something moved; then the state stays SPARSE.
 */
bool tracker::go_idle(std::size_t size, track_observation &seen)
{
	seen.pages = pull(size);
	if (seen.pages > 0 || accesses_.load() != accesses_seen_)
		return false;

	for (int i = 0; i < invalidate_tries; i++) {
		const std::uint64_t writes = bytes_.stats().writes.load();

		if (mutated(mutant_, track_mutant::idle_without_invalidate))
			break;
		invalidations_.fetch_add(1, std::memory_order_relaxed);
		const int error = file_.invalidate();
		if (error) {
			complain("invalidate the file's pages", error);
			return false;
		}
		/*
		 * A write(2) puts its bytes into the page cache and then sends them. If the pages
		 * were dropped in between, somebody may have read them back from the storage before
		 * the bytes arrived there: the page would be older than the storage for good.
		 */
		file_.wait_for_writers();
		if (bytes_.stats().writes.load() == writes)
			break;
	}
	file_.close_unused();
	return true;
}

/*
 * As a write(2): the kernel puts the bytes into its pages and sends them, in order with what
 * programs store. Whether anything has to be watched afterwards its WRITE says, like any other.
 */
int tracker::store(std::size_t offset, const void *bytes, std::size_t len)
{
	std::lock_guard hold(harvest_lock_);

	if (const int error = file_.open())
		return error;
	return file_.store(offset, bytes, len);
}

bool tracker::harvest()
{
	std::lock_guard hold(harvest_lock_);
	const track_state from = state();
	const std::size_t size = bytes_.size();
	const std::uint64_t accesses = accesses_.load();
	track_observation seen;
	const std::byte *view = nullptr;

	harvests_.fetch_add(1, std::memory_order_relaxed);
	seen.frame_pages = page_round_up(size) / page_bytes;
	seen.accessed = accesses != accesses_seen_;
	accesses_seen_ = accesses;
	seen.users = file_.users() > 0;

	/* Kicked or flushed while IDLE: only a request means that pages are cached again. */
	if (from == track_state::idle && seen.accessed)
		wanted_ = track_state::sparse;

	if (wanted_ != track_state::idle || file_.is_open()) {
		if (const int error = file_.open()) {
			const bool gone = error == -ENOENT || error == -ENOTCONN;

			/*
			 * Removed, or unmounted: nobody new can get at it. Else (EMFILE, ...): try
			 * again.
			 */
			if (!gone)
				complain("open the own mount", error);
			move_to(gone ? track_state::idle : track_state::sparse);
			wanted_ = state();
			return !gone;
		}
	}

	/*
	 * Nobody can store any more: what is left is fetched, and no harvest is waited for. Who
	 * opens the file again by now is seen by what it asks for.
	 */
	if (!seen.users && from != track_state::idle && file_.is_open()) {
		pull(size);
		accesses_seen_ = accesses_.load();
		wanted_ = track_state::idle;
	}

	if (wanted_ == track_state::dense) {
		view = file_.map(size);
		if (!view) {
			can_look_ = false;
			wanted_ = track_state::sparse;
		}
	}

	switch (wanted_) {
	case track_state::idle:
		if (from == track_state::idle) {
			/*
			 * A flush: nothing is cached, unless a request is being served right now.
			 */
			if (file_.is_open()) {
				seen.pages = pull(size);
				file_.close_unused();
			}
			break;
		}
		if (go_idle(size, seen)) {
			move_to(track_state::idle);
			return false;
		}
		move_to(track_state::sparse);
		break;
	case track_state::sparse:
		move_to(track_state::sparse);
		seen.settling = from == track_state::dense;
		if (seen.settling && mutated(mutant_, track_mutant::leave_dense_without_pull))
			break;
		seen.pages = pull(size);
		break;
	case track_state::dense:
		move_to(track_state::dense);
		if (from == track_state::sparse &&
		    mutated(mutant_, track_mutant::enter_dense_without_look))
			seen.pages = seen.frame_pages;
		else
			seen.pages = look(view, size);
		break;
	}
	seen.can_look = can_look_;
	wanted_ = policy_.next(state(), seen);
	return state() != track_state::idle || wanted_ != track_state::idle;
}

void tracker::shut_down()
{
	set_kick({});
	std::lock_guard hold(harvest_lock_);

	if (file_.is_open()) {
		file_.invalidate();
		file_.close_unused();
	}
	move_to(track_state::idle);
	wanted_ = track_state::idle;
}

tracker_stats tracker::stats() const
{
	tracker_stats s{};

	s.state = state();
	s.harvests = harvests_;
	s.pulls = pulls_;
	s.looks = looks_;
	s.invalidations = invalidations_;
	s.errors = errors_;
	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 3; j++)
			s.transitions[i][j] = transitions_[i][j];
	return s;
}

} // namespace fuse_fb
