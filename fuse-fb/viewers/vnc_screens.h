/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/vnc_screens.h - the screens of libvncserver that clients are given
 *
 * rfbGetScreen() makes not only a screen: each call makes the mutex anew that guards the lists of
 * clients of all screens, whoever holds it or waits for it. So:
 * S1: all screens are made before the first client's thread runs, and used again.
 * The mutex is the program's: make a second set only while no client of a first is served.
 * Locks: none. Painter only.
 */
#pragma once

#include <vector>

struct _rfbScreenInfo;

namespace fuse_fb
{

class vnc_screens
{
public:
	/* Throws std::bad_alloc. */
	explicit vnc_screens(unsigned count);
	~vnc_screens();
	vnc_screens(const vnc_screens &) = delete;
	vnc_screens &operator=(const vnc_screens &) = delete;

	/* One that nobody has. At most @count are out at a time. */
	_rfbScreenInfo *take();
	/* Its client is gone, its thread has ended. */
	void give_back(_rfbScreenInfo *screen);

private:
	std::vector<_rfbScreenInfo *> free_;
};

} // namespace fuse_fb
