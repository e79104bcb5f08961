/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * preload/hooks_ioctl.cc - ioctl: framebuffer requests become their twins; see preload.h
 *
 * A request that a framebuffer does not know is ENOTTY, whatever the file system below it says.
 */
#include "preload/preload.h"

#include <cstdarg>
#include <cstdint>
#include <cstring>

#include <sys/ioctl.h>
#include <unistd.h>

#include "fb_request.h"

using namespace fb_preload;
using namespace fuse_fb;

namespace
{

constexpr unsigned long type_of(unsigned long request)
{
	return (request >> _IOC_TYPESHIFT) & _IOC_TYPEMASK;
}

bool in_palette(const fb_cmap &cmap)
{
	return cmap.start < 256 && cmap.len <= 256 - cmap.start;
}

int palette(int fd, bool put, void *arg)
{
	fb_cmap cmap;
	cmap_request r;

	if (!arg) {
		errno = EFAULT;
		return -1;
	}
	std::memcpy(&cmap, arg, sizeof(cmap));
	if (!in_palette(cmap)) {
		errno = EINVAL;
		return -1;
	}
	/* A program may leave out transparency. */
	if (!cmap.red || !cmap.green || !cmap.blue) {
		errno = EFAULT;
		return -1;
	}
	const std::size_t bytes = cmap.len * sizeof(std::uint16_t);
	const struct {
		std::uint16_t *ours;
		std::uint16_t *theirs;
	} channels[] = {{r.red, cmap.red},
			{r.green, cmap.green},
			{r.blue, cmap.blue},
			{r.transp, cmap.transp}};

	std::memset(&r, 0, sizeof(r));
	r.start = cmap.start;
	r.len = cmap.len;
	for (const auto &c : channels)
		if (put && c.theirs)
			std::memcpy(c.ours, c.theirs, bytes);
	if (raw_ioctl(fd, put ? fb_request::put_cmap : fb_request::get_cmap, &r))
		return -1;
	for (const auto &c : channels)
		if (!put && c.theirs)
			std::memcpy(c.theirs, c.ours, bytes);
	return 0;
}

int framebuffer_request(int fd, unsigned long request, void *arg)
{
	switch (request) {
	case FBIOGET_VSCREENINFO:
		return raw_ioctl(fd, fb_request::get_var, arg);
	case FBIOPUT_VSCREENINFO:
		return raw_ioctl(fd, fb_request::put_var, arg);
	case FBIOGET_FSCREENINFO:
		return raw_ioctl(fd, fb_request::get_fix, arg);
	case FBIOGETCMAP:
		return palette(fd, false, arg);
	case FBIOPUTCMAP:
		return palette(fd, true, arg);
	case FBIOPAN_DISPLAY:
		return raw_ioctl(fd, fb_request::pan, arg);
	case FBIO_CURSOR:
		return raw_ioctl(fd, fb_request::cursor, nullptr);
	case FBIOGET_VBLANK:
		return raw_ioctl(fd, fb_request::get_vblank, arg);
	case FBIOBLANK: {
		/* The number itself, not where it is. */
		auto level = static_cast<std::int32_t>(reinterpret_cast<std::intptr_t>(arg));

		return raw_ioctl(fd, fb_request::blank, &level);
	}
	case FBIO_WAITFORVSYNC: {
		/* Which screen; there is one, and not every program says it. */
		std::uint32_t screen = 0;

		return raw_ioctl(fd, fb_request::wait_for_vsync, &screen);
	}
	default:
		errno = ENOTTY;
		return -1;
	}
}

} // namespace

FB_HOOK int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	int result;

	va_start(args, request);
	void *const arg = va_arg(args, void *);
	va_end(args);
	/* As the kernel does: 32 bits of it. */
	request = static_cast<std::uint32_t>(request);
	if (type_of(request) == 'F' && number_of(fd) >= 0)
		return framebuffer_request(fd, request, arg);
	result = raw_ioctl(fd, request, arg);
	if (result == -1 && (errno == ENOTTY || errno == EINVAL) &&
	    (type_of(request) == 'V' || type_of(request) == 'K'))
		answer_terminal(fd, request, arg, &result);
	return result;
}
