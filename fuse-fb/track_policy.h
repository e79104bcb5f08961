/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * track_policy.h - when to pull, when to look, when to sleep
 *
 * What is true without us: a store into a page of the mount's mapping is either noticed (the page
 * was protected: the store faulted, the kernel marked the page dirty) or falls into a page that is
 * marked dirty already. A page stays marked until its bytes were sent in a WRITE, and is protected
 * by the sending. A page that is not in the page cache is asked for by a READ before anything can
 * be stored into it. So the page cache knows every store; the three states differ in how it is
 * asked.
 *
 *   state   a harvest does                     a store costs its program    the daemon, per period
 *   IDLE    nothing (no timer is armed)        a READ, once                 nothing
 *   SPARSE  pull: protect, WRITE, wait         a fault per page and period  the dirty pages
 *   DENSE   look: compare mapping with frame   nothing                      a look at all pages
 *
 * Transitions. The state of the next harvest is chosen at the end of the one before; the first
 * thing in the new state IS that harvest, so no harvest is empty: each brings every store made
 * before it.
 *
 *   IDLE -> SPARSE     when  a READ or WRITE came (it kicks)
 *                      what  pull
 *                      safe  nothing was cached, so who stores must READ first; the kick comes
 *                            after the request was received, so a harvest begins after it
 *   SPARSE -> SPARSE   what  pull
 *                      safe  pull waits: what was dirty when it began is in the frame; later
 *                            stores fault and mark their page again
 *   SPARSE -> DENSE    when  the page cache sent >= 1/dense_enter_divisor of the frame,
 *                            dense_enter_periods times in a row
 *                      what  map the file, look
 *                      safe  what the last pull sent is in the frame; everything after it is in
 *                            the page cache, which the look reads
 *   DENSE -> DENSE     what  look
 *                      safe  the look reads what stores wrote, whether their page is marked or not
 *   DENSE -> SPARSE    when  < 1/dense_leave_divisor of the frame differed, dense_leave_periods
 *                            times
 *                      what  pull
 *                      safe  every page stored into since its last WRITE is still marked dirty:
 *                            the pull fetches all of them and protects them. A look here could
 *                            only find what the pull has brought, so there is none.
 *   SPARSE -> IDLE     when  quiet_periods without a page, a READ or a WRITE; or nobody has it
 *                            open (then the harvest that sees it does it all)
 *                      what  pull; if it brought nothing: invalidate all pages, wait for
 *                            write(2)s that are under way, invalidate once more if there was one
 *                      safe  a page dirtied after the pull is sent by the invalidation before it
 *                            is dropped. A page dropped under a write(2) could be read back before
 *                            its bytes arrived: hence once more.
 *
 * DENSE does not write-protect anything, so that a program drawing full frames runs at memory
 * speed. In IDLE the file has no page in the page cache: "a still screen costs no wakeup" and "the
 * next access is noticed" are the same fact.
 *
 * The class is pure: no clock, no I/O. Not thread-safe; the tracker calls it from one harvest at a
 * time.
 */
#pragma once

#include <cstddef>
#include <cstdint>

namespace fuse_fb
{

enum class track_state : std::uint8_t { idle, sparse, dense };

const char *track_state_name(track_state state);

/*
 * The thresholds. build/bench/fuse_fb/fuse_fb cpu prints what they were read from; times of a 2-CPU
 * guest, 1920x1080x32 = 2025 pages, harvested 60 times a second:
 *   a look costs the daemon 0.45 us per page of the frame (full motion: 5.7 % of a CPU), also where
 *   nothing differs;
 *   a pull of scattered pages costs it 3.5 us per dirty page (terminal scrolling: 640 pages 20
 *   times a second, 4.5 %), so a look is cheaper than pulling an eighth of the frame. Contiguous
 *   pages come in large WRITEs and cost less each: DENSE begins at twice that, and ends at it.
 * The program's side, a fault per page and period in SPARSE, is in fuse_fb bandwidth.
 */
struct track_tunables {
	/* SPARSE -> DENSE: frame/dense_enter_divisor pages or more came from the cache ... */
	unsigned dense_enter_divisor = 4;
	/* ... in each of this many periods in a row: one redraw of the screen is not a video. */
	unsigned dense_enter_periods = 3;
	/* DENSE -> SPARSE: fewer than frame/dense_leave_divisor pages differed in a look ... */
	unsigned dense_leave_divisor = 8;
	/* ... this often in a row. */
	unsigned dense_leave_periods = 8;
	/* SPARSE -> IDLE after this many harvests with nothing. */
	unsigned quiet_periods = 8;
	/* Frames smaller than this many pages are never worth a look. */
	std::size_t dense_min_pages = 64;
};

/* What one harvest saw. */
struct track_observation {
	std::size_t frame_pages = 0;
	std::size_t pages = 0; /* SPARSE: sent by the page cache; DENSE: found different */
	bool accessed = false; /* a READ or WRITE request came since the harvest before */
	bool users = true;     /* somebody else has the file open */
	bool can_look = true;  /* the file could be mapped when it was tried */
	bool settling = false; /* the pull that leaves DENSE: its pages are DENSE's */
};

class track_policy
{
public:
	explicit track_policy(const track_tunables &tunables = {}) : tunables_(tunables) {}

	/* Call after a harvest that ran in @state. Return: the state of the next one. */
	track_state next(track_state state, const track_observation &seen);

	const track_tunables &tunables() const { return tunables_; }

private:
	track_tunables tunables_;
	unsigned dense_votes_ = 0;
	unsigned sparse_votes_ = 0;
	unsigned quiet_ = 0;
};

} // namespace fuse_fb
