/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewer_set.cc - who looks at the screens; see viewer_set.h
 */
#include "viewer_set.h"

#include <kshim/machine.h>
#include <linux/fb.h>

#include "message.h"
#include "screen.h"
#include "viewers/damage_stream.h"
#include "viewers/png_file.h"
#include "viewers/vnc_server.h"
#include "viewers/xenfb_source.h"
#include "viewers/xwd.h"

namespace fuse_fb
{

struct viewer_set::state {
	pv_machine *machine;
	/*
	 * Destroyed in the reverse order: the server lets go of the source, the source of the back
	 * end.
	 */
	std::shared_ptr<screen> shown;
	std::unique_ptr<xenfb_source> source;
	std::unique_ptr<vnc_server> vnc;
	std::vector<damage_stream *> damage; /* open ones; of the housekeeper */

	void listen_to_source(damage_stream &d) const;
};

/* Its size and format; the pixels are not to be touched any more. False: there is no picture. */
static bool look_at(frame_source &source, frame *f)
{
	if (!source.lock(f))
		return false;
	source.unlock();
	return true;
}

/* Everything of the present source, then what changes. */
void viewer_set::state::listen_to_source(damage_stream &d) const
{
	frame f;

	if (!source)
		return;
	source->add_listener(&d);
	if (look_at(*source, &f))
		d.resized(f.width, f.height);
}

/* A device's pixels are as programs assume; 8 bits are numbers in its palette. */
static pixel_format format_of_device(fb_info *info, unsigned bits_per_pixel)
{
	pixel_format format = default_pixel_format(bits_per_pixel);
	std::uint16_t red[FB_CMAP_LEN], green[FB_CMAP_LEN], blue[FB_CMAP_LEN];
	fb_cmap cmap{0, FB_CMAP_LEN, red, green, blue, nullptr};
	bool blank;

	scoped_guard (mutex, &info->lock)
		blank = info->blank != FB_BLANK_UNBLANK;
	if (blank) {
		/* Whatever a pixel holds, it is black. */
		format.red_mask = format.green_mask = format.blue_mask = 0;
	} else if (bits_per_pixel == 8 && fb_get_cmap(&cmap, info) == 0) {
		format.indexed = true;
		for (std::size_t i = 0; i < format.palette.size(); i++)
			format.palette[i] = {static_cast<std::uint8_t>(red[i] >> 8),
					     static_cast<std::uint8_t>(green[i] >> 8),
					     static_cast<std::uint8_t>(blue[i] >> 8)};
	}
	return format;
}

/* What the pixels of @s mean: an X server's file says it. */
static pixel_format format_of(screen &s, fb_info *info, unsigned bits_per_pixel)
{
	if (s.is_device())
		return format_of_device(info, bits_per_pixel);
	const std::vector<std::byte> bytes = s.header();
	const xwd_result found = xwd_parse(bytes, s.bytes().size());

	if (found.kind == xwd_result::kind::valid &&
	    found.header.format.bits_per_pixel == bits_per_pixel)
		return found.header.format;
	return default_pixel_format(bits_per_pixel);
}

static std::unique_ptr<xenfb_source> source_of(screen &s)
{
	std::unique_ptr<xenfb_source> source;

	s.with_display([&](display &d, const screen_geometry &g) {
		if (d.backend())
			source = std::make_unique<xenfb_source>(
				d.backend(), format_of(s, d.frontend(), g.bits_per_pixel));
	});
	return source;
}

viewer_set::viewer_set(pv_machine *machine) : state_(std::make_shared<state>())
{
	state_->machine = machine;
}

viewer_set::~viewer_set()
{
	show(nullptr);
	state_->vnc.reset();
}

void viewer_set::listen(const std::string &host, std::uint16_t port, const vnc_service &service)
{
	try {
		state_->vnc = std::make_unique<vnc_server>(
			host, port, "pvshim",
			[m = state_->machine](const std::function<void()> &run) {
				const machine_scope bound(m);

				run();
			},
			vnc_server::handshake_ms_default, service);
	} catch (const vnc_error &e) {
		throw startup_error(exit_code::vnc, e.what());
	}
	state_->vnc->show(state_->source.get());
}

std::string viewer_set::address() const
{
	return state_->vnc ? state_->vnc->address() : std::string();
}

unsigned viewer_set::clients() const
{
	return state_->vnc ? state_->vnc->clients() : 0;
}

void viewer_set::show(const std::shared_ptr<screen> &s)
{
	std::unique_ptr<xenfb_source> next = s ? source_of(*s) : nullptr;

	if (state_->vnc)
		state_->vnc->show(next.get());
	for (damage_stream *d : state_->damage)
		if (state_->source)
			state_->source->remove_listener(d);
	state_->source = std::move(next);
	state_->shown = s;
	for (damage_stream *d : state_->damage)
		state_->listen_to_source(*d);
}

std::shared_ptr<fs_stream> viewer_set::damage(std::function<void()> wake)
{
	const std::shared_ptr<damage_stream> d(new damage_stream(std::move(wake)),
					       [s = state_](damage_stream *gone) {
						       std::erase(s->damage, gone);
						       if (s->source)
							       s->source->remove_listener(gone);
						       delete gone;
					       });

	state_->damage.push_back(d.get());
	state_->listen_to_source(*d);
	return d;
}

std::shared_ptr<fs_stream> viewer_set::film(unsigned rate, const film_stream::scheduler &later,
					    std::function<void()> wake)
{
	frame first;
	auto grab = [s = std::weak_ptr<state>(state_)](snapshot *out) {
		const std::shared_ptr<state> here = s.lock();

		return here && here->source && take_snapshot(*here->source, out);
	};

	if (!state_->source || !look_at(*state_->source, &first))
		return nullptr;
	return std::make_shared<film_stream>(first.width, first.height, rate, grab, later,
					     std::move(wake));
}

std::string viewer_set::png(screen &s)
{
	const std::unique_ptr<xenfb_source> source = source_of(s);
	std::string error;

	if (!source)
		return {};
	const std::vector<std::byte> file = png_of(*source, &error);
	if (file.empty())
		message(message_kind::warning, "%s: no PNG: %s", s.name().c_str(), error.c_str());
	return {reinterpret_cast<const char *>(file.data()), file.size()};
}

} // namespace fuse_fb
