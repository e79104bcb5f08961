/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fb_control.cc - the requests of fb_request.h, given to the framebuffer; see fb_control.h
 *
 * The kernel gives exactly the bytes that a request's number says. They are copied into a structure
 * here, and an answer out of one: nothing is believed about their alignment, nothing is shared.
 */
#include <linux/fb.h>

#include "fb_control.h"

#include <cerrno>
#include <cstring>

#include "fb_request.h"

namespace fuse_fb
{

namespace
{

template <typename T>
bool copy_in(std::string_view in, T *to)
{
	if (in.size() != sizeof(T))
		return false;
	std::memcpy(to, in.data(), sizeof(T));
	return true;
}

template <typename T>
void copy_out(const T &from, std::string *out)
{
	out->assign(reinterpret_cast<const char *>(&from), sizeof(T));
}

/* A request about one structure, which comes, goes, or both, as its number says. */
template <typename T>
int about(fb_info *info, unsigned cmd, unsigned request, std::string_view in, std::string *out)
{
	T arg{};

	if ((_IOC_DIR(request) & _IOC_WRITE) && !copy_in(in, &arg))
		return -EINVAL;
	const int error = fb_ioctl(info, cmd, &arg);
	if (!error && (_IOC_DIR(request) & _IOC_READ))
		copy_out(arg, out);
	return error;
}

int about_cmap(fb_info *info, unsigned cmd, std::string_view in, std::string *out)
{
	cmap_request r;

	if (!copy_in(in, &r))
		return -EINVAL;
	fb_cmap cmap{r.start, r.len, r.red, r.green, r.blue, r.transp};
	const int error = fb_ioctl(info, cmd, &cmap);
	if (!error && cmd == FBIOGETCMAP)
		copy_out(r, out);
	return error;
}

} // namespace

int fb_control(fb_info *info, unsigned request, std::string_view in, std::string *out,
	       fb_change *change)
{
	*change = fb_change::nothing;
	switch (request) {
	case fb_request::get_var:
		return about<fb_var_screeninfo>(info, FBIOGET_VSCREENINFO, request, in, out);
	case fb_request::put_var:
		*change = fb_change::mode;
		return about<fb_var_screeninfo>(info, FBIOPUT_VSCREENINFO, request, in, out);
	case fb_request::get_fix:
		return about<fb_fix_screeninfo>(info, FBIOGET_FSCREENINFO, request, in, out);
	case fb_request::pan:
		return about<fb_var_screeninfo>(info, FBIOPAN_DISPLAY, request, in, out);
	case fb_request::get_cmap:
		return about_cmap(info, FBIOGETCMAP, in, out);
	case fb_request::put_cmap:
		*change = fb_change::looks;
		return about_cmap(info, FBIOPUTCMAP, in, out);
	case fb_request::blank:
		*change = fb_change::looks;
		return about<std::int32_t>(info, FBIOBLANK, request, in, out);
	case fb_request::get_vblank:
		return about<fb_vblank>(info, FBIOGET_VBLANK, request, in, out);
	case fb_request::cursor:
		return fb_ioctl(info, FBIO_CURSOR, nullptr);
	default:
		return -ENOTTY;
	}
}

} // namespace fuse_fb
