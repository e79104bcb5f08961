/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * console.cc - a terminal for programs that look for a virtual one; see console.h
 */
#include "console.h"

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace fuse_fb
{

console::~console()
{
	const std::uint64_t one = 1;

	if (thread_.joinable()) {
		[[maybe_unused]] const ssize_t n = write(stop_, &one, sizeof(one));
		thread_.join();
	}
	for (const int fd : {master_, slave_, stop_})
		if (fd >= 0)
			close(fd);
}

int console::make()
{
	char name[64];

	if (master_ < 0)
		master_ = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master_ < 0 || grantpt(master_) || unlockpt(master_))
		return -errno;
	if (const int error = ptsname_r(master_, name, sizeof(name)))
		return -error;
	if (slave_ < 0)
		slave_ = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (stop_ < 0)
		stop_ = eventfd(0, EFD_CLOEXEC);
	if (slave_ < 0 || stop_ < 0)
		return -errno;
	try {
		thread_ = std::thread([this] { drain(); });
	} catch (const std::system_error &e) {
		return -e.code().value();
	}
	path_ = name;
	return 0;
}

int console::path(std::string *out)
{
	std::lock_guard hold(lock_);

	if (path_.empty())
		if (const int error = make())
			return error;
	*out = path_;
	return 0;
}

void console::drain()
{
	char dropped[4096];

	pthread_setname_np(pthread_self(), "console");
	for (;;) {
		pollfd fds[2] = {{master_, POLLIN, 0}, {stop_, POLLIN, 0}};

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return;
		if (fds[1].revents)
			return;
		if (fds[0].revents && read(master_, dropped, sizeof(dropped)) < 0 &&
		    errno != EINTR && errno != EAGAIN)
			return;
	}
}

} // namespace fuse_fb
