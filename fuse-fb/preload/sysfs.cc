/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * preload/sysfs.cc - what /sys/class/graphics/fbN and /proc/fb say; see preload.h
 *
 * An attribute is opened as a memory file with its text, made of what the framebuffer answers at
 * that moment. Setting one is refused: the ioctls do the same, and the mount has its `mode`.
 */
#include "preload/preload.h"

#include <cstdio>
#include <cstring>

#include <linux/major.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fb_request.h"
#include "preload/mounts.h"

namespace fb_preload
{

using namespace fuse_fb;

namespace
{

struct facts {
	unsigned number;
	fb_var_screeninfo var;
	fb_fix_screeninfo fix;
};

int mode_text(const facts &f, char *out, std::size_t size)
{
	return std::snprintf(out, size, "U:%ux%up-0\n", f.var.xres, f.var.yres);
}

/* Return: the length, or negative when there is no such attribute. */
int text_of(const char *leaf, const facts &f, char *out, std::size_t size)
{
	const fb_var_screeninfo &v = f.var;

	if (!std::strcmp(leaf, "virtual_size"))
		return std::snprintf(out, size, "%u,%u\n", v.xres_virtual, v.yres_virtual);
	if (!std::strcmp(leaf, "bits_per_pixel"))
		return std::snprintf(out, size, "%u\n", v.bits_per_pixel);
	if (!std::strcmp(leaf, "stride"))
		return std::snprintf(out, size, "%u\n", f.fix.line_length);
	if (!std::strcmp(leaf, "pan"))
		return std::snprintf(out, size, "%u,%u\n", v.xoffset, v.yoffset);
	if (!std::strcmp(leaf, "name"))
		return std::snprintf(out, size, "%.16s\n", f.fix.id);
	if (!std::strcmp(leaf, "mode") || !std::strcmp(leaf, "modes"))
		return mode_text(f, out, size);
	if (!std::strcmp(leaf, "rotate") || !std::strcmp(leaf, "state"))
		return std::snprintf(out, size, "0\n");
	if (!std::strcmp(leaf, "blank") || !std::strcmp(leaf, "cursor") ||
	    !std::strcmp(leaf, "console"))
		return std::snprintf(out, size, "%s", "");
	if (!std::strcmp(leaf, "dev"))
		return std::snprintf(out, size, "%d:%u\n", FB_MAJOR, f.number);
	if (!std::strcmp(leaf, "uevent"))
		return std::snprintf(out, size, "MAJOR=%d\nMINOR=%u\nDEVNAME=fb%u\n", FB_MAJOR,
				     f.number, f.number);
	return -1;
}

bool ask(unsigned number, facts *f)
{
	char path[PATH_MAX];

	if (!file_of(number, path))
		return false;
	const int fd = raw_open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	f->number = number;
	const bool known = raw_ioctl(fd, fb_request::get_var, &f->var) == 0 &&
			   raw_ioctl(fd, fb_request::get_fix, &f->fix) == 0;
	const errno_kept kept;
	close(fd);
	return known;
}

/* /proc/fb: a line for each. */
int proc_text(char *out, std::size_t size)
{
	int len = 0;

	for (unsigned i = 0; i < mounts_max; i++) {
		facts f;

		if (mount_of(i) && ask(i, &f))
			len += std::snprintf(out + len, size - static_cast<std::size_t>(len),
					     "%u %.16s\n", i, f.fix.id);
	}
	return len;
}

} // namespace

bool attribute_exists(const name &n)
{
	const facts none{};
	char text[256];

	return n.leaf[0] == '/' || text_of(n.leaf, none, text, sizeof(text)) >= 0;
}

int open_attribute(const name &n, int flags)
{
	char text[512];
	facts f;
	int len;

	if (!attribute_exists(n)) {
		errno = ENOENT;
		return -1;
	}
	if ((flags & O_ACCMODE) != O_RDONLY) {
		errno = EACCES;
		return -1;
	}
	if (n.leaf[0] == '/')
		len = proc_text(text, sizeof(text));
	else if (ask(n.number, &f))
		len = text_of(n.leaf, f, text, sizeof(text));
	else
		return -1;
	const int fd = memfd_create(n.leaf, flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
	if (fd >= 0 &&
	    (write(fd, text, static_cast<std::size_t>(len)) != len || lseek(fd, 0, SEEK_SET) < 0)) {
		const errno_kept kept;
		close(fd);
		return -1;
	}
	return fd;
}

} // namespace fb_preload
