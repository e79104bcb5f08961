/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/x11_input.cc - what viewers type and point at, given to an X server; see x11_input.h
 */
#include "viewers/x11_input.h"

#include <cstdlib>
#include <utility>

#include <pthread.h>
#include <xcb/xcb.h>
#include <xcb/xtest.h>

#include "message.h"

namespace fuse_fb
{

/* X's numbers of the two shift keys. */
constexpr std::uint32_t shift_left = 0xffe1, shift_right = 0xffe2;
constexpr unsigned nr_buttons = 8;

x11_input::x11_input(std::string display) : display_(std::move(display))
{
	thread_ = std::thread([this] {
		pthread_setname_np(pthread_self(), "x11-input");
		run();
	});
}

x11_input::~x11_input()
{
	{
		std::lock_guard hold(lock_);
		stop_ = true;
	}
	changed_.notify_one();
	thread_.join();
	leave();
}

void x11_input::queue(const event &e)
{
	{
		std::lock_guard hold(lock_);

		/* A position that nobody has seen yet, with the same buttons, is an old one. */
		if (!e.is_key && !events_.empty() && !events_.back().is_key &&
		    events_.back().symbol == e.symbol)
			events_.back() = e;
		else if (events_.size() < most)
			events_.push_back(e);
	}
	changed_.notify_one();
}

void x11_input::key(bool down, std::uint32_t symbol)
{
	queue({true, down, symbol, 0, 0});
}

void x11_input::pointer(unsigned buttons, unsigned x, unsigned y)
{
	queue({false, false, buttons, x, y});
}

void x11_input::run()
{
	std::unique_lock hold(lock_);

	for (;;) {
		changed_.wait(hold, [this] { return stop_ || !events_.empty(); });
		if (stop_)
			return;
		const event e = events_.front();

		events_.pop_front();
		const bool more = !events_.empty();
		hold.unlock();
		if (reach()) {
			if (e.is_key)
				press(e);
			else
				point(e);
			if (!more)
				xcb_flush(server_);
		}
		hold.lock();
	}
}

void x11_input::leave()
{
	if (server_)
		xcb_disconnect(std::exchange(server_, nullptr));
	buttons_ = 0;
	shift_ = false;
}

/* Return: false when there is no server, or none that lets input be made. */
bool x11_input::reach()
{
	const auto now = std::chrono::steady_clock::now();
	int number = 0;

	if (server_ && !xcb_connection_has_error(server_))
		return true;
	leave();
	if (now - tried_ < std::chrono::seconds(1))
		return false;
	tried_ = now;
	server_ = xcb_connect(display_.c_str(), &number);
	const bool there = !xcb_connection_has_error(server_);
	const xcb_query_extension_reply_t *test =
		there ? xcb_get_extension_data(server_, &xcb_test_id) : nullptr;
	if (!test || !test->present) {
		message(message_kind::warning,
			"X server %s: %s; what viewers type does not arrive there",
			display_.c_str(), there ? "it has no XTEST" : "cannot be reached");
		leave();
		return false;
	}
	xcb_screen_iterator_t screen = xcb_setup_roots_iterator(xcb_get_setup(server_));
	for (; number > 0 && screen.rem > 1; number--)
		xcb_screen_next(&screen);
	root_ = screen.data->root;
	read_keyboard();
	return true;
}

void x11_input::read_keyboard()
{
	const xcb_setup_t *setup = xcb_get_setup(server_);
	const auto count = static_cast<std::uint8_t>(setup->max_keycode - setup->min_keycode + 1);
	xcb_get_keyboard_mapping_reply_t *map = xcb_get_keyboard_mapping_reply(
		server_, xcb_get_keyboard_mapping(server_, setup->min_keycode, count), nullptr);

	keyboard_.clear();
	first_key_ = setup->min_keycode;
	symbols_per_key_ = map ? map->keysyms_per_keycode : 0;
	if (map)
		keyboard_.assign(xcb_get_keyboard_mapping_keysyms(map),
				 xcb_get_keyboard_mapping_keysyms(map) +
					 xcb_get_keyboard_mapping_keysyms_length(map));
	std::free(map);
}

/* The key that has @symbol, or has it from now on; 0: there is none. */
unsigned x11_input::key_of(std::uint32_t symbol, bool *shifted)
{
	const std::size_t keys = symbols_per_key_ ? keyboard_.size() / symbols_per_key_ : 0;
	std::size_t free_key = keys;

	for (std::size_t column = 0; column < 2 && column < symbols_per_key_; column++)
		for (std::size_t i = 0; i < keys; i++)
			if (keyboard_[i * symbols_per_key_ + column] == symbol) {
				*shifted = column == 1;
				return first_key_ + static_cast<unsigned>(i);
			}
	for (std::size_t i = 0; i < keys; i++) {
		bool used = false;

		for (std::size_t column = 0; column < symbols_per_key_; column++)
			used |= keyboard_[i * symbols_per_key_ + column] != 0;
		if (!used)
			free_key = i;
	}
	if (free_key == keys)
		return 0;
	std::uint32_t *const row = &keyboard_[free_key * symbols_per_key_];
	for (std::size_t column = 0; column < symbols_per_key_; column++)
		row[column] = symbol;
	*shifted = false;
	const auto code = static_cast<std::uint8_t>(first_key_ + free_key);
	xcb_change_keyboard_mapping(server_, 1, code, static_cast<std::uint8_t>(symbols_per_key_),
				    row);
	return code;
}

void x11_input::fake(unsigned type, unsigned detail, unsigned x, unsigned y)
{
	xcb_test_fake_input(server_, static_cast<std::uint8_t>(type),
			    static_cast<std::uint8_t>(detail), XCB_CURRENT_TIME, root_,
			    static_cast<std::int16_t>(x), static_cast<std::int16_t>(y), 0);
}

/* Viewers send the shift keys too; one that does not is helped. */
void x11_input::press(const event &e)
{
	bool shifted = false, ignored;
	const unsigned code = key_of(e.symbol, &shifted);

	if (e.symbol == shift_left || e.symbol == shift_right)
		shift_ = e.down;
	if (!code)
		return;
	const unsigned shift = shifted && !shift_ && e.down ? key_of(shift_left, &ignored) : 0;
	if (shift)
		fake(XCB_KEY_PRESS, shift);
	fake(e.down ? XCB_KEY_PRESS : XCB_KEY_RELEASE, code);
	if (shift)
		fake(XCB_KEY_RELEASE, shift);
}

void x11_input::point(const event &e)
{
	fake(XCB_MOTION_NOTIFY, 0, e.x, e.y);
	for (unsigned i = 0; i < nr_buttons; i++) {
		const unsigned bit = 1u << i;

		if ((e.symbol & bit) != (buttons_ & bit))
			fake(e.symbol & bit ? XCB_BUTTON_PRESS : XCB_BUTTON_RELEASE, i + 1);
	}
	buttons_ = e.symbol;
}

} // namespace fuse_fb
