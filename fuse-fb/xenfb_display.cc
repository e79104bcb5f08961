/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenfb_display.cc - a display which is a Xen virtual framebuffer; see xenfb_display.h
 */
#include "xenfb_display.h"

#include <cerrno>
#include <cstddef>
#include <utility>

#include <backend/xenfb_back.h>
#include <linux/fb.h>
#include <video/damage.h>
#include <video/damage_absorb.h>
#include <video/fb_defio.h>
#include <video/fb_draw.h>
#include <video/xen_fbfront.h>

namespace fuse_fb
{

class xenfb_look : public frame_sink::look
{
public:
	explicit xenfb_look(fb_info *info) { fb_absorb_begin(&absorber_, info); }
	~xenfb_look() override { fb_absorb_end(&absorber_); }

	bool fetch(std::size_t offset, const void *src, std::size_t len) override
	{
		return fb_absorb_fetch(&absorber_, offset, src, len);
	}
	const std::byte *fetched() const override
	{
		/* Pages begin where the frame's begin. */
		return reinterpret_cast<const std::byte *>(absorber_.page);
	}
	std::size_t bring_in() override { return fb_absorb_page(&absorber_); }

private:
	fb_absorber absorber_;
};

/* Holds the fb_info: the frame's memory outlives the device for as long as somebody reads it. */
class xenfb_frame : public frame_sink
{
public:
	explicit xenfb_frame(fb_info *info) : info_(info) { get_fb_info_ref(info_); }
	~xenfb_frame() override { put_fb_info(info_); }

	std::size_t absorb(std::size_t offset, const void *src, std::size_t len) override
	{
		return fb_damage_absorb(info_, offset, src, len);
	}
	std::unique_ptr<look> begin_look() override { return std::make_unique<xenfb_look>(info_); }
	const std::byte *bytes() const override
	{
		return reinterpret_cast<const std::byte *>(info_->screen_buffer);
	}
	std::size_t capacity() const override { return info_->screen_size; }

private:
	fb_info *const info_;
};

class xenfb_display : public display
{
public:
	explicit xenfb_display(xenfb *x) : x_(x) {}
	~xenfb_display() override
	{
		detach();
		xenfb_destroy(x_);
	}

	std::unique_ptr<frame_sink> frame() override
	{
		return std::make_unique<xenfb_frame>(info());
	}
	int attach(std::function<bool()> harvest, storer store) override;
	void detach() override;
	void kick() override { fb_defio_kick(info()); }
	int flush() override { return xenfb_flush(x_); }
	int set_geometry(const screen_geometry &g) override;
	int draw_pattern() override { return fb_draw_pattern(info()); }
	xenfb_back *backend() override { return xenfb_backend(x_); }
	fb_info *frontend() override { return info(); }
	std::size_t frame_bytes() const override { return xenfb_info(x_)->screen_size; }

private:
	/* What deferred I/O knows of us. */
	struct link {
		fb_defio_mapping mapping; /* first: ops get a pointer to it */
		std::function<bool()> harvest;
		storer store;
	};
	static int store(fb_defio_mapping *m, const fb_block *b);
	static bool harvest(fb_defio_mapping *m) { return reinterpret_cast<link *>(m)->harvest(); }
	/* The file stays when the device goes: its bytes move to plain memory (screen.cc). */
	static void zap(fb_defio_mapping *) {}
	static constexpr fb_defio_mapping_ops ops{"fuse file", FB_DEFIO_FILE, harvest, zap, store};

	fb_info *info() const { return xenfb_info(x_); }

	xenfb *const x_;
	link link_{};
	bool attached_ = false;
};

/* Lines that follow each other without a gap are one. */
int xenfb_display::store(fb_defio_mapping *m, const fb_block *b)
{
	const storer &put = reinterpret_cast<link *>(m)->store;
	int error = 0;

	if (b->pitch == b->len)
		return put(b->offset, b->bytes, b->len * b->lines);
	for (u32 i = 0; i < b->lines && !error; i++)
		error = put(b->offset + i * b->pitch, b->bytes + i * b->len, b->len);
	return error;
}

int xenfb_display::attach(std::function<bool()> harvest, storer store)
{
	link_.mapping.ops = &ops;
	link_.harvest = std::move(harvest);
	link_.store = std::move(store);
	const int error = fb_defio_add_mapping(info(), &link_.mapping);
	attached_ = error == 0;
	return error;
}

void xenfb_display::detach()
{
	if (std::exchange(attached_, false))
		fb_defio_remove_mapping(info(), &link_.mapping);
}

int xenfb_display::set_geometry(const screen_geometry &g)
{
	xenfb_front_geometry to{};

	to.width = g.width;
	to.height = g.height;
	to.depth = g.bits_per_pixel;
	to.line_length = g.line_length;
	to.offset = g.offset;
	return xenfb_front_set_geometry(info(), &to);
}

std::unique_ptr<display> xenfb_factory::make(const screen_geometry &g, std::size_t mem_length,
					     int *error)
{
	xenfb_config config{};
	xenfb *x = nullptr;

	config.width = g.width;
	config.height = g.height;
	config.depth = g.bits_per_pixel;
	config.line_length = g.line_length;
	config.offset = g.offset;
	config.mem_length = mem_length;
	config.refresh_us = period_us_;
	*error = xenfb_create(machine_, &config, &x);
	if (*error)
		return nullptr;
	return std::make_unique<xenfb_display>(x);
}

} // namespace fuse_fb
