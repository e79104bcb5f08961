/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * preload/preload.h - the library that makes a mount look like /dev/fb0 to a program
 *
 *      program --open("/dev/fb0")--> names.cc: MNT/fb0 -----------> the file itself
 *              --ioctl(FBIOGET..)--> hooks_ioctl.cc: its twin with a size (fb_request.h) --> daemon
 *              --stat--------------> hooks_stat.cc: a character device 29:N
 *              --mmap--------------> hooks_open.cc: checked against the end, else as it is
 *              --open("/sys/class/graphics/fb0/..")--> sysfs.cc: a memory file with what it says
 *              --open("/dev/tty0"), VT_*, KD_*-------> terminal.cc: only where there is none
 *
 * P1: no table of descriptors. Whether a descriptor is a framebuffer is asked of the kernel: which
 *     device, which inode. So close, dup, fork, exec and passing descriptors on need no care, and
 *     there is no lock that a fork could leave locked.
 * P2: what is not ours goes on to the next library with its arguments as they are, and costs a
 *     compare of a path, or for mmap and stat of a descriptor two numbers.
 * P3: a program's errno changes only where the call it made failed.
 * P4: the C library is all it needs: no C++ library, no allocation, no exceptions.
 */
#pragma once

#include <cerrno>
#include <climits>
#include <cstddef>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#define FB_HOOK extern "C" __attribute__((visibility("default")))

namespace fb_preload
{

/* ---- names.cc ---- */

/* What a path names. */
struct name {
	enum kind {
		other,       /* none of ours */
		framebuffer, /* path is where it lies in the mount */
		attribute,   /* a file below /sys/class/graphics/fbN, or /proc/fb */
		directory,   /* /sys/class/graphics, or fbN in there */
		link,        /* a symbolic link there; path is what it says */
		terminal,    /* a virtual terminal */
	} kind;
	unsigned number;  /* of the framebuffer */
	const char *leaf; /* of an attribute: what is behind the last slash, in the path given */
	char path[PATH_MAX];
};

/* Never fails: what it does not know is `other`. errno stays. */
void look_up(const char *path, name *out);

/* The mount of framebuffer @number, or null. */
const char *mount_of(unsigned number);
/* The framebuffer's file there. False: no such framebuffer. */
bool file_of(unsigned number, char (&path)[PATH_MAX]);
/* The first time a program looks for a framebuffer and there is none. */
void say_no_mount();

/* Is this file a framebuffer, and which? -1: none. */
int number_of(dev_t dev, ino_t ino);
int number_of(int fd);
/* Its file may be another one than the last time: the daemon was started again. */
void refresh(unsigned number);

/* ---- sysfs.cc ---- */

/* A descriptor with the text of an attribute, or -1 and errno. */
int open_attribute(const name &n, int flags);
bool attribute_exists(const name &n);

/* ---- terminal.cc ---- */

/*
 * Opens a virtual terminal, or what stands for one. @real: what opening it gave, an open descriptor
 * or -1 with errno in @error.
 */
int open_terminal(const char *path, int flags, int real, int error);
/* True: @request was one for virtual terminals and has been answered, as *@result and errno. */
bool answer_terminal(int fd, unsigned long request, void *arg, int *result);

/* ---- the calls below us ---- */

/* The next library's function. Not for mmap: looking for it may allocate. */
void *next_function(const char *name);

int raw_ioctl(int fd, unsigned long request, void *arg);
int raw_open(const char *path, int flags);
int raw_fstat(int fd, struct stat *st);
int raw_stat(const char *path, struct stat *st);

/* In the scope of it errno is what it was. */
class errno_kept
{
public:
	errno_kept() : saved_(errno) {}
	~errno_kept() { errno = saved_; }
	errno_kept(const errno_kept &) = delete;
	errno_kept &operator=(const errno_kept &) = delete;

private:
	const int saved_;
};

} // namespace fb_preload
