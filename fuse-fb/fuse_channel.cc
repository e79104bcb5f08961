/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuse_channel.cc - the session with the kernel; see fuse_channel.h
 */
#include "fuse_channel.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "message.h"
#include "mount_point.h"

namespace fuse_fb
{

static std::uint64_t &ticket_of_this_thread()
{
	static thread_local std::uint64_t ticket;
	return ticket;
}

std::uint64_t fuse_channel::current_ticket()
{
	return ticket_of_this_thread();
}

fuse_channel::fuse_channel(const channel_config &config, const fuse_lowlevel_ops &ops,
			   void *userdata)
	: config_(config)
{
	std::string options = "subtype=pvshim-fb,default_permissions,fsname=" + config.source;
	if (!config.options.empty())
		options += "," + config.options;
	const char *argv[] = {"pvshim-fb", "-o", options.c_str(), nullptr};
	fuse_args args = FUSE_ARGS_INIT(3, const_cast<char **>(argv));

	stderr_capture captured;
	session_ = fuse_session_new(&args, &ops, sizeof(ops), userdata);
	if (!session_) {
		fuse_opt_free_args(&args);
		throw startup_error(
			exit_code::usage,
			format_string(
				"mount options '%s' are not understood (%s); see mount.fuse3(8)",
				config.options.c_str(), captured.text().c_str()));
	}
	fuse_opt_free_args(&args);

	const std::size_t slash = config.mount_point.rfind('/');

	name_ = config.mount_point.substr(slash + 1);
	above_fd_ = ::open(config.mount_point.substr(0, slash + 1).c_str(),
			   O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (above_fd_ < 0) {
		const int error = errno;

		fuse_session_destroy(session_);
		throw startup_error(exit_code::failure,
				    format_string("cannot open the folder above %s: %s%s",
						  config.mount_point.c_str(), std::strerror(error),
						  descriptors_hint(error)));
	}
	if (fuse_session_mount(session_, config.mount_point.c_str())) {
		const int error = errno;
		const std::string why = captured.text();

		fuse_session_destroy(session_);
		close(above_fd_);
		throw mount_refused(config.mount_point, config.options, error, why);
	}
	const int fd = fuse_session_fd(session_);
	stop_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (stop_fd_ < 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)) {
		const int error = errno;

		fuse_session_unmount(session_);
		fuse_session_destroy(session_);
		close(above_fd_);
		throw startup_error(exit_code::failure,
				    format_string("cannot make an eventfd: %s%s",
						  std::strerror(error), descriptors_hint(error)));
	}
}

fuse_channel::~fuse_channel()
{
	stop();
	fuse_session_destroy(session_);
	close(above_fd_);
	close(stop_fd_);
}

void fuse_channel::start()
{
	unsigned n = config_.threads;
	sigset_t all, before;
	struct stat st {
	};

	if (n == 0)
		n = std::clamp(std::thread::hardware_concurrency(), 4u, 8u);
	/* Signals are for the main thread, which waits for them. */
	sigfillset(&all);
	for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT})
		sigdelset(&all, fault);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	for (unsigned i = 0; i < n; i++)
		threads_.emplace_back([this, i] {
			pthread_setname_np(pthread_self(), ("fuse/" + std::to_string(i)).c_str());
			if (config_.in_thread)
				config_.in_thread([this] { serve(); });
			else
				serve();
		});
	pthread_sigmask(SIG_SETMASK, &before, nullptr);

	if (stat(config_.mount_point.c_str(), &st))
		throw startup_error(exit_code::fuse,
				    format_string("the new mount on %s does not answer: %s",
						  config_.mount_point.c_str(),
						  std::strerror(errno)));
	device_ = st.st_dev;
}

void fuse_channel::stop()
{
	if (stopping_.exchange(true))
		return;
	const std::uint64_t one = 1;

	if (write(stop_fd_, &one, sizeof(one)) < 0)
		message(message_kind::error, "cannot wake the serving threads: %s",
			std::strerror(errno));
	for (std::thread &t : threads_)
		t.join();
	threads_.clear();
	/* Answers that come after this have nobody to go to: libfuse keeps silent then. */
	fuse_session_exit(session_);
	/*
	 * Closes /dev/fuse, so that whoever waits for an answer gets an error, then detaches the
	 * mount.
	 */
	fuse_session_unmount(session_);
	/* An aborted connection counts as unmounted for libfuse, and stays in the way. */
	if (ended_ && device_)
		detach_dead_mount(config_.mount_point, device_);
}

/*
 * Handing the lead over wakes a thread, which costs about what serving this many bytes costs. A
 * program that scrolls dirties a few pages of each line, and a pull makes a hundred WRITEs of them:
 * handing over after each, the daemon needed 1.3 times the CPU (fuse_fb cpu, terminal scrolling).
 */
static constexpr std::size_t small_request = 64 * 1024;

/*
 * Waits twice as long as the time before (*@pause_ms, 0 at first), or until stopping. The caller
 * leads.
 */
void fuse_channel::wait_for_memory(int *pause_ms)
{
	constexpr int first_ms = 10, longest_ms = 1000;
	pollfd stop{stop_fd_, POLLIN, 0};

	if (!std::exchange(said_no_memory_, true))
		message(message_kind::warning,
			"no memory to read requests; programs wait until there is some");
	*pause_ms = std::clamp(*pause_ms * 2, first_ms, longest_ms);
	poll(&stop, 1, *pause_ms);
}

/*
 * Waits for a request and reads it. The caller leads. Return: false when there will be none any
 * more.
 */
bool fuse_channel::receive(fuse_buf *buf)
{
	const int fd = fuse_session_fd(session_);
	int pause_ms = 0;

	for (;;) {
		if (stopping_ || ended_)
			return false;
		/* The read first: a pull's requests come in a burst, and then no wait is needed. */
		const int n = fuse_session_receive_buf(session_, buf);
		if (n > 0)
			return true;
		if (n == -EINTR)
			continue;
		if (n == -EAGAIN) {
			pollfd fds[2] = {{fd, POLLIN, 0}, {stop_fd_, POLLIN, 0}};

			if (poll(fds, 2, -1) < 0 && errno != EINTR)
				break;
			continue;
		}
		/* No memory for a buffer: the request waits, and so do we. */
		if (n == -ENOMEM) {
			wait_for_memory(&pause_ms);
			continue;
		}
		if (n < 0)
			message(message_kind::error, "cannot read requests: %s", std::strerror(-n));
		break;
	}
	ended_ = true;
	if (config_.ended)
		config_.ended();
	return false;
}

/*
 * Serves as the leader while requests are small. Return: false when there will be none any more,
 * true with a large one in @buf.
 */
bool fuse_channel::lead(fuse_buf *buf)
{
	std::lock_guard leading(lead_);

	while (receive(buf)) {
		/* After the read: what it carries is not newer than its number says. */
		ticket_of_this_thread() =
			newest_ticket_.fetch_add(1, std::memory_order_acq_rel) + 1;
		if (buf->size > small_request)
			return true;
		fuse_session_process_buf(session_, buf);
	}
	return false;
}

void fuse_channel::serve()
{
	fuse_buf buf{};

	while (lead(&buf))
		fuse_session_process_buf(session_, &buf);
	std::free(buf.mem);
}

int fuse_channel::open_file(const std::string &name) const
{
	return openat(above_fd_, (name_ + "/" + name).c_str(),
		      O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

int fuse_channel::invalidate(std::uint64_t ino)
{
	/*
	 * Length 0 means up to the end. -ENOENT: the kernel does not know the inode, so caches
	 * nothing.
	 */
	const int error = fuse_lowlevel_notify_inval_inode(session_, ino, 0, 0);

	return error == -ENOENT ? 0 : error;
}

} // namespace fuse_fb
