/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * track_policy.cc - when to pull, when to look, when to sleep; the table is in track_policy.h
 */
#include "track_policy.h"

namespace fuse_fb
{

const char *track_state_name(track_state state)
{
	switch (state) {
	case track_state::idle:
		return "idle";
	case track_state::sparse:
		return "sparse";
	case track_state::dense:
		return "dense";
	}
	return "?";
}

track_state track_policy::next(track_state state, const track_observation &seen)
{
	if (state == track_state::idle) {
		/* Whoever harvests an idle file was kicked, or flushes; only a request wakes it. */
		dense_votes_ = 0;
		sparse_votes_ = 0;
		quiet_ = 0;
		return seen.accessed || seen.pages > 0 ? track_state::sparse : track_state::idle;
	}

	if (state == track_state::dense) {
		const bool little = seen.pages * tunables_.dense_leave_divisor < seen.frame_pages;

		sparse_votes_ = little ? sparse_votes_ + 1 : 0;
		if (sparse_votes_ < tunables_.dense_leave_periods && seen.users && seen.can_look)
			return track_state::dense;
		sparse_votes_ = 0;
		dense_votes_ = 0;
		quiet_ = 0;
		return track_state::sparse;
	}

	const bool much = seen.frame_pages >= tunables_.dense_min_pages &&
			  seen.pages * tunables_.dense_enter_divisor >= seen.frame_pages;

	if (!seen.settling)
		dense_votes_ = much ? dense_votes_ + 1 : 0;
	if (dense_votes_ >= tunables_.dense_enter_periods && seen.can_look && seen.users) {
		dense_votes_ = 0;
		sparse_votes_ = 0;
		return track_state::dense;
	}
	if (seen.pages > 0 || seen.accessed) {
		quiet_ = 0;
		return track_state::sparse;
	}
	/* Nobody can store into a file that nobody has open: its pages came with the last close. */
	quiet_ = seen.users ? quiet_ + 1 : tunables_.quiet_periods;
	if (quiet_ < tunables_.quiet_periods)
		return track_state::sparse;
	quiet_ = 0;
	return track_state::idle;
}

} // namespace fuse_fb
