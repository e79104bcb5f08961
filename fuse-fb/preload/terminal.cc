/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * preload/terminal.cc - a virtual terminal where there is none; see preload.h
 *
 * What stands for it is a pseudo terminal of the daemon (console.h), or whatever terminal the
 * program has on its descriptors: reading, writing and termios are real, only the requests that
 * mean a screen or a keyboard are answered here. There is one virtual terminal, number 1, always
 * active; what a program sets it finds again. A real virtual terminal answers for itself.
 */
#include "preload/preload.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include <linux/kd.h>
#include <linux/vt.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "fb_request.h"
#include "preload/mounts.h"

namespace fb_preload
{

using namespace fuse_fb;

namespace
{

constexpr unsigned short the_terminal = 1;
/* Numbers that a program is offered: none of them is anybody's. */
constexpr int free_terminal = 7;

/* What programs have set; of this process. */
struct settings {
	std::atomic<int> graphics{KD_TEXT};
	std::atomic<int> keyboard{K_UNICODE};
	std::atomic<std::uint64_t> vt_mode{0};
};

settings set_by_program;

static_assert(sizeof(vt_mode) == sizeof(std::uint64_t));

template <typename T>
int give(void *arg, const T &value)
{
	if (!arg) {
		errno = EFAULT;
		return -1;
	}
	std::memcpy(arg, &value, sizeof(value));
	return 0;
}

int number_in(const void *arg)
{
	return static_cast<int>(reinterpret_cast<std::intptr_t>(arg));
}

/* Is it one of those we answer? Then how. */
bool answer(unsigned long request, void *arg, int *result)
{
	settings &s = set_by_program;

	*result = 0;
	switch (request) {
	case VT_OPENQRY:
		*result = give(arg, free_terminal);
		return true;
	case VT_GETMODE: {
		const std::uint64_t mode = s.vt_mode;

		*result = give(arg, mode);
		return true;
	}
	case VT_SETMODE: {
		std::uint64_t mode = 0;

		if (arg)
			std::memcpy(&mode, arg, sizeof(mode));
		s.vt_mode = mode;
		return true;
	}
	case VT_GETSTATE: {
		const vt_stat state{the_terminal, 0, 1u << 0 | 1u << the_terminal};

		*result = give(arg, state);
		return true;
	}
	case KDGETMODE:
		*result = give(arg, s.graphics.load());
		return true;
	case KDSETMODE:
		s.graphics = number_in(arg);
		return true;
	case KDGKBMODE:
		*result = give(arg, s.keyboard.load());
		return true;
	case KDSKBMODE:
		s.keyboard = number_in(arg);
		return true;
	case KDGKBTYPE:
		*result = give(arg, static_cast<char>(KB_101));
		return true;
	case KDGETLED:
	case KDGKBLED:
		*result = give(arg, static_cast<char>(0));
		return true;
	case VT_RELDISP:
	case VT_ACTIVATE:
	case VT_WAITACTIVE:
	case VT_DISALLOCATE:
	case VT_LOCKSWITCH:
	case VT_UNLOCKSWITCH:
	case KDSETLED:
	case KDSKBLED:
	case 0x4B51: /* KDSKBMUTE, which older headers lack */
	case KDMKTONE:
	case KIOCSOUND:
		return true;
	default:
		return false;
	}
}

bool is_terminal(int fd)
{
	termios t;

	return tcgetattr(fd, &t) == 0;
}

/* Only these answer this. */
bool is_virtual(int fd)
{
	vt_stat state;

	return raw_ioctl(fd, VT_GETSTATE, &state) == 0;
}

int open_stand_in(int flags)
{
	char path[PATH_MAX];
	console_request r{};

	if (!file_of(0, path)) {
		say_no_mount();
		errno = ENXIO;
		return -1;
	}
	const int fb = raw_open(path, O_RDONLY | O_CLOEXEC);
	if (fb < 0)
		return -1;
	const int error = raw_ioctl(fb, fb_request::console, &r) ? errno : 0;
	close(fb);
	if (error) {
		errno = error;
		return -1;
	}
	return raw_open(r.path, flags & ~(O_CREAT | O_EXCL | O_TRUNC));
}

} // namespace

int open_terminal(const char *path, int flags, int real, int error)
{
	const char *wanted = std::getenv(console_variable);

	if (real >= 0) {
		const errno_kept kept;
		const bool always = wanted && *wanted;

		if (!always && (is_virtual(real) || std::strcmp(path, "/dev/tty") == 0))
			return real;
		close(real);
	}
	const int stand_in = open_stand_in(flags);
	if (stand_in < 0 && real < 0)
		errno = error;
	return stand_in;
}

bool answer_terminal(int fd, unsigned long request, void *arg, int *result)
{
	{
		const errno_kept kept;

		/* A real one, or no terminal at all, has answered already. */
		if (!is_terminal(fd))
			return false;
	}
	return answer(request, arg, result);
}

} // namespace fb_preload
