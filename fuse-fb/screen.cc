/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * screen.cc - one file that is, or may become, a screen; see screen.h
 */
#include "screen.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include <linux/fb.h>
#include <video/damage.h>

#include "fb_control.h"
#include "fb_request.h"
#include "memory_sink.h"
#include "message.h"

namespace fuse_fb
{

screen::screen(std::string name, screen_services &services, std::unique_ptr<display> first,
	       const screen_geometry &geometry)
	: name_(std::move(name)), services_(services),
	  bytes_(first->frame(), first->frame_bytes(), {first->frame_bytes(), true}),
	  display_(std::move(first)), geometry_(geometry), shown_since_(1)
{
}

screen::screen(std::string name, screen_services &services, std::size_t max_size)
	: name_(std::move(name)), services_(services),
	  bytes_(std::make_unique<memory_sink>(max_size), 0, {max_size, false})
{
}

screen::~screen() = default;

void screen::start(std::uint64_t ino)
{
	ino_ = ino;
	file_ = std::make_unique<own_file>(services_.fs, services_.channel, ino, name_);
	tracker_ = std::make_unique<tracker>(
		bytes_, *file_, [this] { return services_.channel.newest_ticket(); },
		services_.tunables, services_.mutant);
	if (display_) {
		pace_by_display();
		return;
	}
	pace_by_keeper();
	bytes_.on_outgrown([this](std::size_t size) { return outgrown(size); });
	bytes_.watch_header(header_bytes_max, [this] {
		if (header_job_.exchange(true))
			return;
		services_.keeper.run([self = shared_from_this()] {
			self->header_job_ = false;
			self->look_at_header();
		});
	});
}

void screen::accessed()
{
	tracker_->note_access();
}

/* Harvested at once: until then our own descriptor keeps the mount busy. */
void screen::unused()
{
	services_.keeper.run([self = shared_from_this()] {
		if (self->removed_)
			self->tracker_->shut_down();
		else if (self->display_)
			self->flush();
		else if (self->tracker_->harvest())
			self->services_.keeper.kick(self->pace_);
	});
}

void screen::control(unsigned request, std::string in, control_answer answer)
{
	/* Whether or not the request is one of ours is for the housekeeper to find out. */
	const bool queued = services_.keeper.run(
		[self = shared_from_this(), request, in = std::move(in), answer] {
			std::string out;

			if (!self->is_device()) {
				answer(-ENOTTY, out);
				return;
			}
			if (request == fb_request::wait_for_vsync) {
				self->wait_for_refresh(answer);
				return;
			}
			const int result = self->answer_request(request, in, &out);
			answer(result, out);
		});
	if (!queued)
		answer(-ENODEV, {});
}

/* Housekeeper. */
int screen::answer_request(unsigned request, const std::string &in, std::string *out)
{
	fb_info *const info = display_ ? display_->frontend() : nullptr;
	fb_change change = fb_change::nothing;

	if (request == fb_request::console) {
		console_request r{};
		std::string path;

		if (const int error = services_.terminal.path(&path))
			return error;
		std::strncpy(r.path, path.c_str(), sizeof(r.path) - 1);
		out->assign(reinterpret_cast<const char *>(&r), sizeof(r));
		return 0;
	}
	if (!info || removed_)
		return -ENODEV;
	const int error = fb_control(info, request, in, out, &change);
	if (error || change == fb_change::nothing)
		return error;
	if (change == fb_change::mode)
		mode_changed();
	else
		services_.changed();
	return 0;
}

/* fbmem has another mode than we know of. Housekeeper. */
void screen::mode_changed()
{
	fb_geometry g{};

	fb_damage_geometry(display_->frontend(), &g);
	const screen_geometry now{g.width, g.height, g.bytes_per_pixel * 8, g.line_length,
				  g.offset};
	/* Tried only, or what it was: viewers need not begin anew. */
	if (now == geometry_)
		return;
	{
		std::lock_guard hold(display_lock_);
		geometry_ = now;
	}
	services_.changed();
}

int screen::draw_pattern()
{
	return display_ && !removed_ ? display_->draw_pattern() : -ENODEV;
}

int screen::set_mode(std::uint32_t width, std::uint32_t height, std::uint32_t bits_per_pixel)
{
	fb_info *const info = display_ ? display_->frontend() : nullptr;
	fb_var_screeninfo var{};

	if (!info || removed_)
		return -ENODEV;
	if (!is_device())
		return -EPERM;
	if (const int error = fb_ioctl(info, FBIOGET_VSCREENINFO, &var))
		return error;
	var.xres = var.xres_virtual = width;
	var.yres = var.yres_virtual = height;
	var.xoffset = var.yoffset = 0;
	if (bits_per_pixel)
		var.bits_per_pixel = bits_per_pixel;
	bits_per_pixel = var.bits_per_pixel;
	/* Only looked at first: a person wants this mode, and not what there is room for. */
	var.activate = FB_ACTIVATE_TEST;
	if (const int error = fb_set_var(info, &var))
		return error;
	if (var.xres != width || var.yres != height || var.bits_per_pixel != bits_per_pixel)
		return -ENOSPC;
	var.activate = FB_ACTIVATE_NOW;
	if (const int error = fb_set_var(info, &var))
		return error;
	mode_changed();
	return 0;
}

/* Answers at the next beat of the refresh clock: within one period, whatever happens. */
void screen::wait_for_refresh(const control_answer &answer)
{
	fb_vblank now{};
	unsigned long wait_us = 0;

	if (!display_ || removed_) {
		answer(-ENODEV, {});
		return;
	}
	fb_get_vblank(display_->frontend(), &now, &wait_us);
	services_.keeper.run_at(housekeeper::clock::now() + std::chrono::microseconds(wait_us),
				[answer] { answer(0, {}); });
}

void screen::pace_by_keeper()
{
	pace_ = services_.keeper.add_pace([this] { return tracker_->harvest(); }, services_.period);
	tracker_->set_kick([this, id = pace_] { services_.keeper.kick(id); });
	services_.keeper.kick(pace_);
}

void screen::pace_by_display()
{
	display *d = display_.get();

	if (pace_)
		services_.keeper.remove_pace(std::exchange(pace_, 0));
	tracker_->set_kick([d] { d->kick(); });
	const int error = d->attach([this] { return tracker_->harvest(); },
				    [this](std::size_t offset, const void *bytes, std::size_t len) {
					    return tracker_->store(offset, bytes, len);
				    });
	if (error)
		message(message_kind::error, "%s: cannot be connected to its display: %s",
			name_.c_str(), std::strerror(-error));
	d->kick();
}

std::vector<std::byte> screen::header() const
{
	std::vector<std::byte> copy(std::min(bytes_.size(), header_bytes_max));

	bytes_.read(0, copy.size(), [&](const std::byte *bytes, std::size_t n) {
		copy.resize(n);
		std::memcpy(copy.data(), bytes, n);
	});
	return copy;
}

/* The first bytes of the file changed, or it grew. Housekeeper. */
void screen::look_at_header()
{
	if (removed_)
		return;
	const std::vector<std::byte> bytes = header();
	const header_result found = services_.read_header(bytes, bytes_.size());

	switch (found.kind) {
	case header_result::absent:
		/*
		 * A file being made, or being made again: the picture stays until there is another
		 * one.
		 */
		return;
	case header_result::cut:
		/* Copied in from the front: what is missing is on its way. */
		if (!display_)
			return;
		[[fallthrough]];
	case header_result::invalid:
		if (found.reason != last_complaint_)
			message(message_kind::warning, "%s: ignoring its XWD header: %s; %s",
				name_.c_str(), found.reason.c_str(),
				display_ ? "the screen stays as it was" : "the file is no screen");
		last_complaint_ = found.reason;
		return;
	case header_result::valid:
		break;
	}
	last_complaint_.clear();
	if (!display_) {
		promote(found.geometry);
		return;
	}
	if (found.geometry != geometry_) {
		const int error = display_->set_geometry(found.geometry);

		if (error) {
			/* Does not fit into this frame: make another one. */
			std::unique_ptr<frame_sink> old;
			if (!to_plain_memory(&old))
				return;
			demote(std::move(old));
			promote(found.geometry);
			return;
		}
		std::lock_guard hold(display_lock_);
		geometry_ = found.geometry;
	}
	services_.changed();
}

/* From plain memory to the frame of a new display. Housekeeper. */
void screen::promote(const screen_geometry &geometry)
{
	const std::size_t length = page_round_up(bytes_.size());
	int error = 0;

	std::unique_ptr<display> made = services_.displays.make(geometry, length, &error);
	if (!made) {
		message(message_kind::error,
			"%s: no display of %ux%u at %u bits per pixel: %s; the file keeps its "
			"bytes and is not "
			"shown (--memory gives the machine more)",
			name_.c_str(), geometry.width, geometry.height, geometry.bits_per_pixel,
			std::strerror(-error));
		return;
	}
	std::unique_ptr<frame_sink> old;
	if (bytes_.replace_storage(made->frame(), &old))
		return; /* grew meanwhile; its growing changed the header's surroundings, or will */
	{
		std::lock_guard hold(display_lock_);
		display_ = std::move(made);
		geometry_ = geometry;
	}
	pace_by_display();
	shown_since_ =
		static_cast<std::uint64_t>(housekeeper::clock::now().time_since_epoch().count());
	services_.changed();
}

/* Return: the bytes are in plain memory now, and @old is what they were in. Any thread. */
bool screen::to_plain_memory(std::unique_ptr<frame_sink> *old)
{
	try {
		return bytes_.replace_storage(std::make_unique<memory_sink>(bytes_.max_size()),
					      old) == 0;
	} catch (const std::bad_alloc &) {
		message(message_kind::error, "%s: no memory to move its bytes to", name_.c_str());
		return false;
	}
}

/* Nobody sees the display or harvests for it any more. Housekeeper. */
void screen::let_go_of_display()
{
	shown_since_ = 0;
	services_.changed(); /* viewers let go first */
	tracker_->set_kick({});
	display_->detach();
}

/*
 * From the frame back to plain memory, which has taken over already; @old is the frame.
 * Housekeeper.
 */
void screen::demote(std::unique_ptr<frame_sink> old)
{
	std::unique_ptr<display> gone;

	let_go_of_display();
	{
		std::lock_guard hold(display_lock_);
		gone = std::move(display_);
		geometry_ = {};
	}
	old.reset();
	gone.reset();
	if (!removed_)
		pace_by_keeper();
}

/* A request thread: a write or truncation needs @size bytes, more than the frame has. */
bool screen::outgrown(std::size_t size)
{
	std::unique_ptr<frame_sink> old;

	if (size > bytes_.max_size() || !to_plain_memory(&old))
		return false;
	/*
	 * The frame goes when nobody can be looking at it any more, which only the housekeeper
	 * knows.
	 */
	std::shared_ptr<frame_sink> frame = std::move(old);
	services_.keeper.run([self = shared_from_this(), frame]() mutable {
		if (self->display_)
			self->demote(nullptr);
		frame.reset();
		self->look_at_header();
	});
	return true;
}

void screen::removed()
{
	removed_ = true;
	if (pace_)
		services_.keeper.remove_pace(std::exchange(pace_, 0));
	if (display_ && !bytes_.is_device()) {
		std::unique_ptr<frame_sink> old;

		/* Without memory for its bytes, they and the display go with the last user. */
		if (to_plain_memory(&old))
			demote(std::move(old));
		else
			let_go_of_display();
	}
	/*
	 * After the last harvest: one would open the file again, by the name that the kernel still
	 * knows until the removal is answered, and nobody would close it any more.
	 */
	if (tracker_)
		tracker_->shut_down();
}

void screen::stop()
{
	if (removed_)
		return;
	removed_ = true;
	flush();
	if (tracker_)
		tracker_->set_kick({});
	if (display_)
		display_->detach();
	if (pace_)
		services_.keeper.remove_pace(std::exchange(pace_, 0));
	if (tracker_)
		tracker_->shut_down();
}

int screen::flush()
{
	std::lock_guard hold(display_lock_);

	if (display_)
		return display_->flush();
	return -ENODEV;
}

bool screen::with_display(const std::function<void(display &, const screen_geometry &)> &use)
{
	std::lock_guard hold(display_lock_);

	if (!display_)
		return false;
	use(*display_, geometry_);
	return true;
}

} // namespace fuse_fb
