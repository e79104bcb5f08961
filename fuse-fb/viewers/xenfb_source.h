/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/xenfb_source.h - a back end's copy of the screen, as viewers see it
 *
 *      event thread --update, resize--> sink --> listeners
 *      viewer       --lock-----------> the copy (xenfb_back_lock_copy)
 *
 * The back end knows how many bits a pixel has, not what they mean: that comes from who made the
 * screen, and holds while the number of bits does.
 * Whoever calls anything here is bound to the machine, and the back end outlives the source.
 * Locks: the back end's sink_lock -> listeners_lock_ -> the listener's own.
 */
#pragma once

#include <mutex>
#include <vector>

#include <backend/xenfb_back.h>

#include "viewers/frame_source.h"

namespace fuse_fb
{

class xenfb_source : public frame_source
{
public:
	xenfb_source(xenfb_back *back, const pixel_format &format);
	~xenfb_source() override;
	xenfb_source(const xenfb_source &) = delete;
	xenfb_source &operator=(const xenfb_source &) = delete;

	bool lock(frame *out) override;
	void unlock() override;
	void add_listener(listener *l) override;
	void remove_listener(listener *l) override;

private:
	struct sink {
		xenfb_sink base; /* first: ops get a pointer to it */
		xenfb_source *owner;
	};
	static void update(xenfb_sink *s, const fb_rect *rects, unsigned int n);
	static void resize(xenfb_sink *s, const xenfb_geometry *geometry);
	static const xenfb_sink_ops ops;

	xenfb_back *const back_;
	const pixel_format format_;
	sink sink_{};
	std::mutex listeners_lock_;
	std::vector<listener *> listeners_; /* under listeners_lock_ */
};

} // namespace fuse_fb
