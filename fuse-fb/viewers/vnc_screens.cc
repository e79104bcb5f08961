/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/vnc_screens.cc - the screens that clients are given; see vnc_screens.h
 */
#include "viewers/vnc_screens.h"

#include <cstdlib>
#include <new>

#include <sys/select.h>

#include <rfb/rfb.h>

namespace fuse_fb
{

/* Until a client brings a canvas. */
constexpr int any_side = 4;

vnc_screens::vnc_screens(unsigned count)
{
	free_.reserve(count);
	for (unsigned i = 0; i < count; i++) {
		rfbScreenInfoPtr screen =
			rfbGetScreen(nullptr, nullptr, any_side, any_side, 8, 3, 4);

		if (!screen) {
			for (rfbScreenInfoPtr made : free_)
				rfbScreenCleanup(made);
			throw std::bad_alloc();
		}
		screen->port = screen->ipv6port = 0; /* the server listens, not this screen */
		screen->alwaysShared = TRUE;
		screen->cursor = nullptr; /* or it would be drawn into the canvas */
		screen->deferUpdateTime = 0;
		rfbInitServer(screen);
		free_.push_back(screen);
	}
	/* Makes its mutex at the first use, which would be in several clients' threads at once. */
	rfbGetExtensionIterator();
	rfbReleaseExtensionIterator();
}

vnc_screens::~vnc_screens()
{
	for (rfbScreenInfoPtr screen : free_)
		rfbScreenCleanup(screen);
}

_rfbScreenInfo *vnc_screens::take()
{
	rfbScreenInfoPtr screen = free_.back();

	free_.pop_back();
	return screen;
}

void vnc_screens::give_back(_rfbScreenInfo *screen)
{
	/* The smaller pictures that its client asked for. */
	while (rfbScreenInfoPtr scaled = screen->scaledScreenNext) {
		screen->scaledScreenNext = scaled->scaledScreenNext;
		std::free(scaled->frameBuffer);
		std::free(scaled);
	}
	/* What a connection leaves that failed half way. */
	FD_ZERO(&screen->allFds);
	screen->maxFd = 0;
	screen->frameBuffer = nullptr; /* the canvas goes */
	screen->pointerClient = nullptr;
	free_.push_back(screen);
}

} // namespace fuse_fb
