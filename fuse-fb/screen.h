/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * screen.h - one file that is, or may become, a screen
 *
 *      fb0            has its display from the start; its size never changes
 *      Xvfb_screenN   made by an X server: zeros by write(2), then a mapping, then a header
 *
 *      plain memory, paced by the housekeeper
 *         | a valid XWD header arrives                        ^ the file outgrows the frame,
 *         v (promote: the frame takes over the bytes)         | or is removed (demote)
 *      frame of a display, paced by deferred I/O ------------'
 *         header changed: geometry -> resize event; nonsense -> one line, the picture stays
 *
 * I1: the bytes of the file survive every change of the storage (content::replace_storage copies
 *     under an exclusive lock).
 * I2: a file is paced by exactly one: the display's deferred I/O, or the housekeeper. Handing over
 *     happens in the housekeeper, with a kick after it, so that no store waits for a kick that
 *     went to the other one.
 * I3: displays are made and destroyed by the housekeeper only; request threads hand it jobs.
 * Locks: display_lock_ (display_ for those outside of the housekeeper: flush, counters, viewers).
 */
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "console.h"
#include "content.h"
#include "display.h"
#include "fb_fs.h"
#include "housekeeper.h"
#include "own_file.h"
#include "tracker.h"

namespace fuse_fb
{

/* What the first bytes of an X server's file say. */
struct header_result {
	enum { absent, cut, invalid, valid } kind = absent;
	std::string reason;       /* of cut and invalid, as part of a line */
	screen_geometry geometry; /* of valid */
};
using header_reader =
	std::function<header_result(std::span<const std::byte>, std::size_t file_size)>;

/* Largest header that is looked at: 100 bytes, a name, 256 colours of 12 bytes. */
constexpr std::size_t header_bytes_max = 8192;

/* What a screen needs from the daemon; all of it outlives the screens. */
struct screen_services {
	fb_fs &fs;
	fuse_channel &channel;
	housekeeper &keeper;
	display_factory &displays;
	header_reader read_header;
	std::chrono::nanoseconds period;
	track_tunables tunables;
	track_mutant_switch *mutant = nullptr;
	/* A screen got a display, lost it, or its picture's format changed. Housekeeper. */
	std::function<void()> changed;
	console &terminal;
};

class screen : public served_file, public std::enable_shared_from_this<screen>
{
public:
	/* A device: @first is its display, already made. */
	screen(std::string name, screen_services &services, std::unique_ptr<display> first,
	       const screen_geometry &geometry);
	/* A file that a program creates. */
	screen(std::string name, screen_services &services, std::size_t max_size);
	~screen() override;

	content &bytes() override { return bytes_; }
	void accessed() override;
	void unused() override;
	void control(unsigned request, std::string in, control_answer answer) override;

	/* The node has its number: tracking begins. */
	void start(std::uint64_t ino);
	/* The name is gone. Housekeeper. */
	void removed();
	/* The daemon ends. Housekeeper. After it programs that still map the file are not heard. */
	void stop();

	/*
	 * Everything stored before the call can be seen by viewers after it. Not for request
	 * threads.
	 */
	int flush();

	const std::string &name() const { return name_; }
	std::uint64_t ino() const { return ino_; }
	bool is_device() const { return bytes_.is_device(); }
	std::size_t file_size() const { return bytes_.size(); }
	/* Opens by programs. */
	unsigned users() const { return services_.fs.users(ino_); }
	/* Runs @use with the display if there is one; it stays for as long as that takes. */
	bool with_display(const std::function<void(display &, const screen_geometry &)> &use);
	/*
	 * A device: another mode, all of it visible; depth 0: as it is. Housekeeper. 0, -ENOSPC
	 * (more than its memory), -EPERM (no device) or negative errno.
	 */
	int set_mode(std::uint32_t width, std::uint32_t height, std::uint32_t bits_per_pixel);
	/* A test picture. Housekeeper. 0 or negative errno. */
	int draw_pattern();
	/* The first bytes of the file, as they are now. */
	std::vector<std::byte> header() const;
	const tracker *tracking() const { return tracker_.get(); }
	/* The order in which screens got their displays; 0: has none. */
	std::uint64_t shown_since() const { return shown_since_; }

private:
	int answer_request(unsigned request, const std::string &in, std::string *out);
	void mode_changed();
	void wait_for_refresh(const control_answer &answer);
	void look_at_header();
	void promote(const screen_geometry &geometry);
	void demote(std::unique_ptr<frame_sink> old);
	void let_go_of_display();
	bool to_plain_memory(std::unique_ptr<frame_sink> *old);
	bool outgrown(std::size_t size);
	void pace_by_keeper();
	void pace_by_display();

	const std::string name_;
	screen_services &services_;
	content bytes_;
	std::uint64_t ino_ = 0;
	std::unique_ptr<own_file> file_;
	std::unique_ptr<tracker> tracker_; /* null until start(), then constant */

	std::mutex display_lock_;
	std::unique_ptr<display> display_; /* changed by the housekeeper, under display_lock_ */
	screen_geometry geometry_;         /* likewise */
	std::atomic<std::uint64_t> shown_since_{0};

	/* Of the housekeeper. */
	std::uint64_t pace_ = 0;
	bool removed_ = false;
	std::string last_complaint_;

	std::atomic<bool> header_job_{false}; /* one is queued */
};

} // namespace fuse_fb
