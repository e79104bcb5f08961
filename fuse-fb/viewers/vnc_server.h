/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/vnc_server.h - a screen shown to VNC clients
 *
 *      source --changed()--> pending rectangles --wake--> painter thread
 *                                                          | lock source, convert to 0x00RRGGBB
 *                                                          v
 *                                                        canvas, one for all clients
 *                                                          | rectangles, wake
 *               client <--socket-- client's thread <-------'    (vnc_client.h; libvncserver)
 *
 * I1: while nothing changes every thread sleeps without a deadline (but for a second at a time
 *     while a client waits and there is no descriptor for it); while nobody is connected nothing is
 *     converted, and there is no canvas.
 * I2: a client is served by a thread of its own: one that does not read stops that thread and
 *     nothing else. Neither painter nor source ever wait for a client.
 * I3: a canvas has one size for its whole life; a new size is a new canvas, and a client's thread
 *     keeps the old one until it has changed over.
 * I4: at most clients_most clients; one that has not shaken hands in time is dropped.
 * Clients look, and do what vnc_service lets them. A password travels as VNC has it, eight
 * characters under DES, so by default the server is given a loopback address.
 * Locks: source_lock_ (mutex: source_ and its use by the painter) -> clients_lock_ (the list, the
 * canvas)
 *     -> a client's own. pending_lock_ is innermost: what changed(), called by the source, adds to.
 */
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "viewers/frame_source.h"
#include "viewers/rect_set.h"
#include "viewers/vnc_screens.h"

namespace fuse_fb
{

class vnc_client;

/* Cannot listen. what() is one line: what, where, why, what to do. */
class vnc_error : public std::runtime_error
{
	using std::runtime_error::runtime_error;
};

/*
 * What clients may do but look. Each is called by the client's own thread and may wait: it is that
 * client who waits. What is empty is refused, or ignored.
 */
struct vnc_service {
	/* Another size, please. Return: false when it cannot be had. */
	std::function<bool(unsigned width, unsigned height)> resize;
	/* X's number of a key's symbol. What a client holds down is let go when it goes. */
	std::function<void(bool down, std::uint32_t symbol)> key;
	/* Bit 0 of @buttons: the left one. */
	std::function<void(unsigned buttons, unsigned x, unsigned y)> pointer;
	/* Clients must know it; the first eight characters count. Empty: let everybody in. */
	std::string password;
};

/* What clients are shown, 0x00RRGGBB; lines without padding. */
struct vnc_canvas {
	std::uint32_t width;
	std::uint32_t height;
	std::vector<std::uint32_t> pixels;
};

class vnc_server final : private frame_source::listener
{
public:
	static constexpr unsigned clients_most = 16;
	static constexpr int handshake_ms_default = 30000;
	static constexpr std::uint32_t side_most = 16384;

	/*
	 * Listens from now on; @host: an address or name, port 0: any that is free. @in_thread
	 * wraps what the painter does (it is the thread that locks the source). Throws vnc_error.
	 */
	vnc_server(const std::string &host, std::uint16_t port, std::string title,
		   std::function<void(const std::function<void()> &)> in_thread = {},
		   int handshake_ms = handshake_ms_default, vnc_service service = {});
	/* Hangs up on everybody. */
	~vnc_server();
	vnc_server(const vnc_server &) = delete;
	vnc_server &operator=(const vnc_server &) = delete;

	/* "127.0.0.1:5900", "[::1]:5900" */
	const std::string &address() const { return address_; }
	std::uint16_t port() const { return port_; }
	unsigned clients() const { return clients_count_; }

	/*
	 * Shows @source from now on; null: a black screen. When it returns the one before is not
	 * used.
	 */
	void show(frame_source *source);

private:
	void changed(std::span<const view_rect> rects) override;
	void resized(std::uint32_t width, std::uint32_t height) override;
	void all_is_new();

	void listen_on(const std::string &host, std::uint16_t port);
	void run();
	void wake();
	void accept_client();
	void reap(bool all);
	void paint();
	void paint_rects(const frame &f, const std::vector<view_rect> &rects);

	const std::string title_;
	const int handshake_ms_;
	const vnc_service service_;
	int listen_fd_ = -1;
	int wake_fd_ = -1;
	std::string address_;
	std::uint16_t port_ = 0;
	std::atomic<bool> stop_{false};
	std::atomic<unsigned> clients_count_{0};

	std::mutex source_lock_;
	frame_source *source_ = nullptr;

	std::mutex pending_lock_;
	rect_set pending_;        /* under pending_lock_ */
	bool pending_all_ = true; /* likewise: everything, maybe of another size */

	/* Of the painter alone. */
	std::shared_ptr<vnc_canvas> canvas_;
	std::unique_ptr<pixel_converter> converter_;
	vnc_screens screens_{clients_most};
	std::vector<std::unique_ptr<vnc_client>> list_; /* after the screens they have */
	bool crowded_ = false; /* the client that waits could not be accepted */

	std::thread painter_; /* last: everything it uses is made before */
};

} // namespace fuse_fb
