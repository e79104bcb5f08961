/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/x11_input.h - what viewers type and point at, given to an X server
 *
 *      clients' threads --key, pointer--> queue --> thread --XTEST--> the server of DISPLAY
 *
 * For a screen that an X server draws: it takes input from nobody but its devices and clients, so
 * this is one of its clients. The server may come later than we and go before us: events are
 * dropped while it cannot be reached, and it is tried again with the next one, not more often than
 * once a second.
 * X1: nobody waits for the server but the thread. The queue is bounded: of pointer positions only
 *     the newest is kept, keys beyond the limit are dropped.
 * X2: a symbol that the keyboard does not have is put on a key that has none.
 * Locks: lock_ (the queue).
 */
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

struct xcb_connection_t;

namespace fuse_fb
{

class x11_input
{
public:
	static constexpr std::size_t most = 1024;

	/* @display: ":7"; need not exist yet. */
	explicit x11_input(std::string display);
	~x11_input();
	x11_input(const x11_input &) = delete;
	x11_input &operator=(const x11_input &) = delete;

	/* Any thread; never waits. @symbol: X's number of it, which is also VNC's. */
	void key(bool down, std::uint32_t symbol);
	/* Bit 0 of @buttons: the left one. */
	void pointer(unsigned buttons, unsigned x, unsigned y);

private:
	struct event {
		bool is_key;
		bool down;            /* of a key */
		std::uint32_t symbol; /* of a key; else the buttons */
		unsigned x, y;
	};

	void queue(const event &e);
	void run();
	bool reach();
	void leave();
	void read_keyboard();
	void press(const event &e);
	void point(const event &e);
	void fake(unsigned type, unsigned detail, unsigned x = 0, unsigned y = 0);
	unsigned key_of(std::uint32_t symbol, bool *shifted);

	const std::string display_;
	std::mutex lock_;
	std::condition_variable changed_;
	std::deque<event> events_; /* under lock_, as is the next */
	bool stop_ = false;

	/* Of the thread. */
	xcb_connection_t *server_ = nullptr;
	std::uint32_t root_ = 0;
	unsigned first_key_ = 0, symbols_per_key_ = 0;
	std::vector<std::uint32_t> keyboard_;
	unsigned buttons_ = 0;
	bool shift_ = false;
	std::chrono::steady_clock::time_point tried_{};
	std::thread thread_;
};

} // namespace fuse_fb
