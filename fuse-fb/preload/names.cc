/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * preload/names.cc - what a path names, and which file is a framebuffer; see preload.h
 *
 * The mounts are learnt once, from the environment, or from the table of mounts when it says
 * nothing. After that only a framebuffer's device and inode change, each by itself: who sees one
 * new and one old takes a framebuffer for another file, once, while its daemon is being replaced.
 */
#include "preload/preload.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

#include <dlfcn.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/mounts.h"

namespace fb_preload
{

namespace
{

struct framebuffer {
	char mount[PATH_MAX - 8];
	std::atomic<dev_t> dev;
	std::atomic<ino_t> ino; /* 0: not known */
};

struct state {
	pthread_once_t once = PTHREAD_ONCE_INIT;
	unsigned nr = 0;
	framebuffer fb[mounts_max];
	std::atomic<bool> told{false};
};

state all;

void add_mount(const char *path, std::size_t len)
{
	if (len == 0 || len >= sizeof(all.fb[0].mount) || all.nr == mounts_max)
		return;
	std::memcpy(all.fb[all.nr].mount, path, len);
	all.fb[all.nr].mount[len] = '\0';
	all.nr++;
}

/* A mount's path has room for this behind it. */
void path_in(const char *mount, char (&path)[PATH_MAX])
{
	std::strcpy(path, mount);
	std::strcat(path, "/fb0");
}

/* The newest is the one that was meant. */
void found_mount(const char *path, void *)
{
	all.nr = 0;
	add_mount(path, std::strlen(path));
}

void learn()
{
	const errno_kept kept;
	const char *text = std::getenv(mounts_variable);

	if (!text || !*text) {
		find_mounts(found_mount, nullptr);
	} else {
		for (std::size_t len; *text; text += len + (text[len] == ':')) {
			len = std::strcspn(text, ":");
			add_mount(text, len);
		}
	}
	for (unsigned i = 0; i < all.nr; i++)
		refresh(i);
}

const state &known()
{
	pthread_once(&all.once, learn);
	return all;
}

/* "N", "N/" or "N/rest". Return: what is behind the number, or null. */
const char *number(const char *text, unsigned *out)
{
	if (*text < '0' || *text > '9')
		return nullptr;
	for (*out = 0; *text >= '0' && *text <= '9' && *out < 1000; text++)
		*out = *out * 10 + static_cast<unsigned>(*text - '0');
	return text;
}

const char *behind(const char *path, const char *prefix)
{
	const std::size_t len = std::strlen(prefix);

	return std::strncmp(path, prefix, len) == 0 ? path + len : nullptr;
}

void look_up_device(const char *path, name *out)
{
	const char *rest = nullptr;

	for (const char *prefix : {"/dev/fb", "/dev/graphics/fb", "/dev/fb/"}) {
		const char *text = behind(path, prefix);

		rest = text ? number(text, &out->number) : nullptr;
		if (rest && !*rest)
			break;
		rest = nullptr;
	}
	if (rest) {
		if (file_of(out->number, out->path))
			out->kind = name::framebuffer;
		return;
	}
	for (const char *terminal : {"/dev/tty", "/dev/console", "/dev/systty"})
		if (std::strcmp(path, terminal) == 0)
			out->kind = name::terminal;
	for (const char *prefix : {"/dev/tty", "/dev/vc/"}) {
		const char *text = behind(path, prefix);
		unsigned ignored;

		rest = text ? number(text, &ignored) : nullptr;
		if (rest && !*rest)
			out->kind = name::terminal;
	}
}

/* Links as Linux has them for a device on the xenbus. */
void look_up_sysfs(const char *rest, name *out)
{
	if (*rest && *rest != '/')
		return;
	while (*rest == '/')
		rest++;
	if (!*rest) {
		if (mount_of(0))
			out->kind = name::directory;
		return;
	}
	rest = behind(rest, "fb");
	rest = rest ? number(rest, &out->number) : nullptr;
	if (!rest || (*rest && *rest != '/') || !mount_of(out->number))
		return;
	const bool slash = *rest == '/';
	while (*rest == '/')
		rest++;
	if (!*rest) {
		/* With a slash behind it a link is what it leads to. */
		out->kind = slash ? name::directory : name::link;
		std::strcpy(out->path, "../../devices/vfb-0/graphics/fb");
		char *end = out->path + std::strlen(out->path);
		*end++ = static_cast<char>('0' + out->number);
		*end = '\0';
	} else if (std::strcmp(rest, "device") == 0) {
		out->kind = name::link;
		std::strcpy(out->path, "../../../vfb-0");
	} else if (std::strcmp(rest, "subsystem") == 0) {
		out->kind = name::link;
		std::strcpy(out->path, "../../../../class/graphics");
	} else {
		out->kind = name::attribute;
		out->leaf = rest;
	}
}

} // namespace

void look_up(const char *path, name *out)
{
	const char *rest;

	out->kind = name::other;
	out->number = 0;
	if (!path || path[0] != '/')
		return;
	if (behind(path, "/dev/")) {
		look_up_device(path, out);
	} else if ((rest = behind(path, "/sys/class/graphics"))) {
		look_up_sysfs(rest, out);
	} else if (std::strcmp(path, "/proc/fb") == 0 && mount_of(0)) {
		out->kind = name::attribute;
		out->leaf = "/proc/fb";
	}
}

const char *mount_of(unsigned number)
{
	return number < known().nr ? known().fb[number].mount : nullptr;
}

bool file_of(unsigned number, char (&path)[PATH_MAX])
{
	const char *mount = mount_of(number);

	if (mount)
		path_in(mount, path);
	return mount != nullptr;
}

void refresh(unsigned number)
{
	const errno_kept kept;
	framebuffer &fb = all.fb[number];
	char path[PATH_MAX];
	struct stat st;

	path_in(fb.mount, path);
	if (raw_stat(path, &st))
		return;
	fb.dev = st.st_dev;
	fb.ino = st.st_ino;
}

int number_of(dev_t dev, ino_t ino)
{
	const state &s = known();

	for (unsigned i = 0; i < s.nr; i++)
		if (ino != 0 && s.fb[i].ino == ino && s.fb[i].dev == dev)
			return static_cast<int>(i);
	return -1;
}

int number_of(int fd)
{
	const errno_kept kept;
	struct stat st;

	return raw_fstat(fd, &st) ? -1 : number_of(st.st_dev, st.st_ino);
}

void say_no_mount()
{
	static constexpr char line[] =
		"pvshim: no framebuffer is mounted; this makes one: pvshim-fb DIRECTORY\n";
	const errno_kept kept;

	if (!all.told.exchange(true)) [[maybe_unused]]
		const ssize_t n = write(STDERR_FILENO, line, sizeof(line) - 1);
}

/* ---- the calls below us ---- */

void *next_function(const char *name)
{
	const errno_kept kept;

	return dlsym(RTLD_NEXT, name);
}

int raw_ioctl(int fd, unsigned long request, void *arg)
{
	return static_cast<int>(syscall(SYS_ioctl, fd, request, arg));
}

int raw_open(const char *path, int flags)
{
	return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, 0));
}

int raw_fstat(int fd, struct stat *st)
{
	return static_cast<int>(syscall(SYS_newfstatat, fd, "", st, AT_EMPTY_PATH));
}

int raw_stat(const char *path, struct stat *st)
{
	return static_cast<int>(syscall(SYS_newfstatat, AT_FDCWD, path, st, 0));
}

} // namespace fb_preload
