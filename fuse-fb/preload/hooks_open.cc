/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * preload/hooks_open.cc - open, fopen, readlink, mmap; see preload.h
 *
 * Every name under which the C library exports the same call is one of ours: a program built with
 * other options calls another of them.
 */
#include "preload/preload.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace fb_preload;

namespace
{

constexpr std::size_t page_size = 4096;

mode_t mode_of(int flags, va_list args)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

/* @below: opens a path as the program asked for it. */
template <typename F>
int open_named(const char *path, int flags, F below)
{
	name n;
	int fd;

	look_up(path, &n);
	switch (n.kind) {
	case name::framebuffer:
		fd = below(n.path, flags);
		refresh(n.number);
		return fd;
	case name::attribute:
		return open_attribute(n, flags);
	case name::terminal: {
		const int real = below(path, flags);

		return open_terminal(path, flags, real, errno);
	}
	default:
		fd = below(path, flags);
		if (fd < 0 && path && std::strcmp(path, "/dev/fb0") == 0)
			say_no_mount();
		return fd;
	}
}

int open_hook(const char *symbol, const char *path, int flags, mode_t mode)
{
	return open_named(path, flags, [=](const char *real, int real_flags) {
		using open_function = int(const char *, int, ...);
		auto *next = reinterpret_cast<open_function *>(next_function(symbol));

		return next(real, real_flags, mode);
	});
}

/* A path from a folder is ours only when it is from the root. */
int openat_hook(const char *symbol, int dir, const char *path, int flags, mode_t mode)
{
	return open_named(path, flags, [=](const char *real, int real_flags) {
		using openat_function = int(int, const char *, int, ...);
		auto *next = reinterpret_cast<openat_function *>(next_function(symbol));

		return next(dir, real, real_flags, mode);
	});
}

int flags_of(const char *mode)
{
	const int access = std::strchr(mode, '+') ? O_RDWR : mode[0] == 'r' ? O_RDONLY : O_WRONLY;

	return access | (std::strchr(mode, 'e') ? O_CLOEXEC : 0);
}

FILE *fopen_hook(const char *symbol, const char *path, const char *mode)
{
	using fopen_function = FILE *(const char *, const char *);
	auto *next = reinterpret_cast<fopen_function *>(next_function(symbol));
	name n;

	look_up(path, &n);
	if (n.kind == name::framebuffer) {
		FILE *f = next(n.path, mode);

		refresh(n.number);
		return f;
	}
	if (n.kind != name::attribute && n.kind != name::terminal)
		return next(path, mode);
	/* A stream of what open() gives. */
	const int fd = open_hook("open", path, flags_of(mode), 0);
	if (fd < 0)
		return nullptr;
	FILE *f = fdopen(fd, mode);
	if (!f) {
		const errno_kept kept;
		close(fd);
	}
	return f;
}

template <typename F>
ssize_t readlink_named(const char *path, char *buf, std::size_t size, F below)
{
	name n;

	look_up(path, &n);
	if (n.kind == name::link) {
		const std::size_t whole = std::strlen(n.path);
		const std::size_t len = whole < size ? whole : size;

		std::memcpy(buf, n.path, len);
		return static_cast<ssize_t>(len);
	}
	if (n.kind == name::directory || (n.kind == name::attribute && attribute_exists(n))) {
		errno = EINVAL; /* is none */
		return -1;
	}
	return below();
}

/* The kernel maps what lies beyond the end of a file; a framebuffer refuses it. */
void *mmap_hook(void *addr, std::size_t len, int prot, int flags, int fd, off_t offset)
{
	if (fd >= 0 && !(flags & MAP_ANONYMOUS) && number_of(fd) >= 0) {
		struct stat st;

		if (raw_fstat(fd, &st))
			return MAP_FAILED;
		const auto end =
			static_cast<std::size_t>(st.st_size + static_cast<off_t>(page_size) - 1) &
			~(page_size - 1);
		const auto from = static_cast<std::size_t>(offset);
		if (from > end || len > end - from) {
			errno = EINVAL;
			return MAP_FAILED;
		}
	}
	return reinterpret_cast<void *>(syscall(SYS_mmap, addr, len, prot, flags, fd, offset));
}

} // namespace

#define OPEN_HOOK(symbol)                                                                          \
	FB_HOOK int symbol(const char *path, int flags, ...)                                       \
	{                                                                                          \
		va_list args;                                                                      \
                                                                                                   \
		va_start(args, flags);                                                             \
		const mode_t mode = mode_of(flags, args);                                          \
		va_end(args);                                                                      \
		return open_hook(#symbol, path, flags, mode);                                      \
	}
#define OPENAT_HOOK(symbol)                                                                        \
	FB_HOOK int symbol(int dir, const char *path, int flags, ...)                              \
	{                                                                                          \
		va_list args;                                                                      \
                                                                                                   \
		va_start(args, flags);                                                             \
		const mode_t mode = mode_of(flags, args);                                          \
		va_end(args);                                                                      \
		return openat_hook(#symbol, dir, path, flags, mode);                               \
	}

OPEN_HOOK(open)
OPENAT_HOOK(openat)
#undef open64
#undef openat64
OPEN_HOOK(open64)
OPENAT_HOOK(openat64)

/* What a program built with fortification calls: the C library has checked the number of words. */
FB_HOOK int __open_2(const char *path, int flags)
{
	return open_hook("open", path, flags, 0);
}
FB_HOOK int __open64_2(const char *path, int flags)
{
	return open_hook("open64", path, flags, 0);
}
FB_HOOK int __openat_2(int dir, const char *path, int flags)
{
	return openat_hook("openat", dir, path, flags, 0);
}
FB_HOOK int __openat64_2(int dir, const char *path, int flags)
{
	return openat_hook("openat64", dir, path, flags, 0);
}

FB_HOOK int creat(const char *path, mode_t mode)
{
	return open_hook("open", path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
#undef creat64
FB_HOOK int creat64(const char *path, mode_t mode)
{
	return open_hook("open64", path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

FB_HOOK FILE *fopen(const char *path, const char *mode)
{
	return fopen_hook("fopen", path, mode);
}
#undef fopen64
FB_HOOK FILE *fopen64(const char *path, const char *mode)
{
	return fopen_hook("fopen64", path, mode);
}

FB_HOOK ssize_t readlink(const char *path, char *buf, std::size_t size)
{
	return readlink_named(path, buf, size, [=] {
		return static_cast<ssize_t>(syscall(SYS_readlinkat, AT_FDCWD, path, buf, size));
	});
}
FB_HOOK ssize_t __readlink_chk(const char *path, char *buf, std::size_t size, std::size_t)
{
	return readlink(path, buf, size);
}
FB_HOOK ssize_t readlinkat(int dir, const char *path, char *buf, std::size_t size)
{
	return readlink_named(path, buf, size, [=] {
		return static_cast<ssize_t>(syscall(SYS_readlinkat, dir, path, buf, size));
	});
}
FB_HOOK ssize_t __readlinkat_chk(int dir, const char *path, char *buf, std::size_t size,
				 std::size_t)
{
	return readlinkat(dir, path, buf, size);
}

FB_HOOK void *mmap(void *addr, std::size_t len, int prot, int flags, int fd, off_t offset)
{
	return mmap_hook(addr, len, prot, flags, fd, offset);
}
#undef mmap64
FB_HOOK void *mmap64(void *addr, std::size_t len, int prot, int flags, int fd, off_t offset)
{
	return mmap_hook(addr, len, prot, flags, fd, offset);
}
