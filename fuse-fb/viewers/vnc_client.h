/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/vnc_client.h - one VNC client, its thread and its libvncserver
 *
 * libvncserver keeps a screen with a list of clients and may wait for any of them. Here every
 * client has a screen of its own which only its thread touches: so nothing in there needs locks,
 * and waiting for a client hurts that client only. The screens share the canvas, which the painter
 * may change while it is being sent; the rectangle that follows such a change brings the pixels
 * again.
 *
 * Life: the painter makes it; the thread ends when the client goes, breaks the protocol, stays
 * silent at the handshake, or after hang_up(); the painter sees done() and destroys it, which
 * joins.
 * Locks: lock_ (what the painter left for the thread: rectangles, the canvas to change to).
 */
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "viewers/rect_set.h"
#include "viewers/vnc_server.h"

struct _rfbScreenInfo;
struct _rfbClientRec;
struct rfbExtDesktopScreen;

namespace fuse_fb
{

class vnc_screens;

class vnc_client
{
public:
	/*
	 * Takes @fd over, also when it throws, and one of @screens for its life. @gone is called at
	 * the end of the thread. Painter only.
	 */
	vnc_client(int fd, vnc_screens &screens, const std::string &title,
		   const vnc_service &service, std::shared_ptr<vnc_canvas> canvas, int handshake_ms,
		   std::function<void()> gone);
	~vnc_client();
	vnc_client(const vnc_client &) = delete;
	vnc_client &operator=(const vnc_client &) = delete;

	/* These parts of the canvas have changed. Any thread; never waits for the client. */
	void changed(std::span<const view_rect> rects);
	void change_canvas(std::shared_ptr<vnc_canvas> canvas);
	void hang_up();
	bool done() const { return done_; }

private:
	void run();
	void serve();
	bool take_over();
	static int wants_size(int width, int height, int screens, rfbExtDesktopScreen *,
			      _rfbClientRec *client);
	static void types(signed char down, std::uint32_t symbol, _rfbClientRec *client);
	static void points(int buttons, int x, int y, _rfbClientRec *client);
	void let_go();

	int fd_;      /* libvncserver's from run() on */
	int own_fd_;  /* the same connection, for hang_up() */
	int wake_fd_; /* something is under lock_, or hang_up() */
	const std::string title_;
	const vnc_service &service_;
	/* As libvncserver wants it: a list of one, and its end. */
	std::string password_;
	char *passwords_[2];
	const int handshake_ms_;
	std::function<void()> gone_;
	std::atomic<bool> done_{false};
	std::atomic<bool> stop_{false};

	vnc_screens &screens_;

	/* Of the thread. */
	_rfbScreenInfo *screen_ = nullptr;
	_rfbClientRec *client_ = nullptr; /* null again once libvncserver has dropped it */
	std::shared_ptr<vnc_canvas> canvas_;
	std::set<std::uint32_t> held_; /* keys it holds down */
	unsigned buttons_ = 0, x_ = 0, y_ = 0;

	std::mutex lock_;
	rect_set changed_;                 /* under lock_ */
	std::shared_ptr<vnc_canvas> next_; /* under lock_; null: the same */

	std::thread thread_;
};

} // namespace fuse_fb
