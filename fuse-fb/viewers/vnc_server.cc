/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/vnc_server.cc - a screen shown to VNC clients; see vnc_server.h
 */
#include "viewers/vnc_server.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rfb/rfb.h>

#include "viewers/vnc_client.h"

namespace fuse_fb
{

/* What is shown while there is no picture. */
constexpr std::uint32_t blank_width = 640, blank_height = 480;

/* How long a client waits that cannot be taken in for want of descriptors or memory. */
constexpr int crowded_ms = 1000;

static std::string join(const std::string &host, const std::string &port)
{
	return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
}

void vnc_server::listen_on(const std::string &host, std::uint16_t port)
{
	const std::string wanted = join(host, std::to_string(port));
	addrinfo hints{}, *list = nullptr;

	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
	if (const int e = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list))
		throw vnc_error("cannot listen for VNC at " + wanted + ": " + gai_strerror(e) +
				"; give an address of this machine, for example 127.0.0.1:5900");
	/*
	 * One address, the first: what was asked for, not one more that happens to share the name.
	 */
	const int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int one = 1;
	int error = 0;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, list->ai_addr, list->ai_addrlen) || listen(fd, 16))
		error = errno;
	freeaddrinfo(list);
	if (error) {
		if (fd >= 0)
			close(fd);
		const char *what_to_do =
			error == EADDRINUSE ? "; stop who listens there or give another port"
			: error == EACCES   ? "; ports below 1024 are the superuser's"
					    : "";
		throw vnc_error("cannot listen for VNC at " + wanted + ": " + std::strerror(error) +
				what_to_do);
	}
	listen_fd_ = fd;

	sockaddr_storage bound{};
	socklen_t len = sizeof(bound);
	char name[NI_MAXHOST] = "", number[NI_MAXSERV] = "0";
	getsockname(fd, reinterpret_cast<sockaddr *>(&bound), &len);
	getnameinfo(reinterpret_cast<sockaddr *>(&bound), len, name, sizeof(name), number,
		    sizeof(number), NI_NUMERICHOST | NI_NUMERICSERV);
	address_ = join(name, number);
	port_ = static_cast<std::uint16_t>(std::stoul(number));
}

vnc_server::vnc_server(const std::string &host, std::uint16_t port, std::string title,
		       std::function<void(const std::function<void()> &)> in_thread,
		       int handshake_ms, vnc_service service)
	: title_(std::move(title)), handshake_ms_(handshake_ms), service_(std::move(service))
{
	listen_on(host, port);
	wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	try {
		if (wake_fd_ < 0)
			throw std::system_error(errno, std::generic_category());
		/* It would tell standard error of every message of every client. */
		rfbLogEnable(FALSE);
		painter_ = std::thread([this, in_thread = std::move(in_thread)] {
			if (in_thread)
				in_thread([this] { run(); });
			else
				run();
		});
	} catch (const std::system_error &e) {
		close(listen_fd_);
		if (wake_fd_ >= 0)
			close(wake_fd_);
		throw vnc_error("cannot serve VNC at " + address_ + ": " + e.what());
	}
}

vnc_server::~vnc_server()
{
	show(nullptr);
	stop_ = true;
	wake();
	painter_.join();
	close(listen_fd_);
	close(wake_fd_);
}

void vnc_server::wake()
{
	const std::uint64_t one = 1;

	/* Full: then it is awake anyway. */
	[[maybe_unused]] const ssize_t n = write(wake_fd_, &one, sizeof(one));
}

/* ---- from the source ---- */

void vnc_server::changed(std::span<const view_rect> rects)
{
	{
		std::lock_guard guard(pending_lock_);

		/* Nobody looks: who comes next gets everything. */
		if (clients_count_ == 0)
			return;
		pending_.add(rects);
	}
	wake();
}

void vnc_server::resized(std::uint32_t, std::uint32_t)
{
	all_is_new();
}

void vnc_server::all_is_new()
{
	{
		std::lock_guard guard(pending_lock_);

		pending_all_ = true;
		if (clients_count_ == 0)
			return;
	}
	wake();
}

void vnc_server::show(frame_source *source)
{
	std::lock_guard guard(source_lock_);

	if (source_)
		source_->remove_listener(this);
	source_ = source;
	all_is_new();
	if (source_)
		source_->add_listener(this);
}

/* ---- the painter ---- */

void vnc_server::run()
{
	while (!stop_) {
		/* A waiting client that cannot be had stays readable: not to be looked at then. */
		const bool crowded = std::exchange(crowded_, false);
		pollfd fds[2] = {{wake_fd_, POLLIN, 0}, {crowded ? -1 : listen_fd_, POLLIN, 0}};

		if (poll(fds, 2, crowded ? crowded_ms : -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents) {
			std::uint64_t count;

			[[maybe_unused]] const ssize_t n = read(wake_fd_, &count, sizeof(count));
		}
		if (stop_)
			break;
		reap(false);
		if (fds[1].revents)
			accept_client();
		try {
			if (!list_.empty())
				paint();
		} catch (const std::bad_alloc &) {
			/* A canvas as large as this cannot be had: nobody can be shown anything. */
			reap(true);
		}
	}
	reap(true);
}

void vnc_server::accept_client()
{
	const int fd = accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);

	if (fd < 0) {
		crowded_ =
			errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
		return;
	}
	if (list_.size() >= clients_most) {
		close(fd);
		return;
	}
	{
		std::lock_guard guard(pending_lock_);

		/* From here on changed() counts; what was before comes with the first painting. */
		if (clients_count_++ == 0)
			pending_all_ = true;
	}
	bool taken = false;
	try {
		/* The client learns the size at once: it has to be right. */
		paint();
		list_.reserve(clients_most);
		taken = true;
		list_.push_back(std::make_unique<vnc_client>(fd, screens_, title_, service_,
							     canvas_, handshake_ms_,
							     [this] { wake(); }));
	} catch (const std::exception &) {
		/* No thread or no memory: this client cannot be had, the others go on. */
		clients_count_--;
		if (!taken)
			close(fd);
	}
}

/* Those that are done, or all. The last one takes the canvas with it. */
void vnc_server::reap(bool all)
{
	if (all)
		for (const auto &client : list_)
			client->hang_up();
	const std::size_t gone =
		std::erase_if(list_, [all](const std::unique_ptr<vnc_client> &client) {
			return all || client->done();
		});
	clients_count_ -= static_cast<unsigned>(gone);
	if (list_.empty()) {
		canvas_.reset();
		converter_.reset();
	}
}

void vnc_server::paint()
{
	std::lock_guard guard(source_lock_);
	std::vector<view_rect> rects;
	frame f;

	const bool has_picture = source_ && source_->lock(&f);
	const bool fits = has_picture && f.width <= side_most && f.height <= side_most;
	try {
		const std::uint32_t width = fits ? f.width : blank_width;
		const std::uint32_t height = fits ? f.height : blank_height;
		bool all;
		{
			/*
			 * After lock(): rectangles taken here are of pixels that the frame holds.
			 */
			std::lock_guard pending(pending_lock_);

			all = pending_all_;
			pending_all_ = false;
			rects = pending_.take(width, height);
		}
		if (fits && (!converter_ || converter_->format() != f.format)) {
			converter_ = std::make_unique<pixel_converter>(f.format);
			all = true;
		}
		const bool other_size =
			!canvas_ || canvas_->width != width || canvas_->height != height;
		if (other_size)
			canvas_ = std::make_shared<vnc_canvas>(vnc_canvas{
				width, height,
				std::vector<std::uint32_t>(std::size_t{width} * height)});
		if (all || other_size)
			rects = {{0, 0, width, height}};
		if (fits)
			paint_rects(f, rects);
		else if (all)
			std::fill(canvas_->pixels.begin(), canvas_->pixels.end(), 0);
		for (const auto &client : list_) {
			if (other_size)
				client->change_canvas(canvas_);
			else if (!rects.empty())
				client->changed(rects);
		}
	} catch (...) {
		if (has_picture)
			source_->unlock();
		throw;
	}
	if (has_picture)
		source_->unlock();
}

void vnc_server::paint_rects(const frame &f, const std::vector<view_rect> &rects)
{
	const std::size_t bytes = f.format.bits_per_pixel / 8;

	for (const view_rect &r : rects)
		for (std::size_t y = r.y; y < std::size_t{r.y} + r.height; y++)
			converter_->to_xrgb(f.pixels + y * f.line_length + r.x * bytes, r.width,
					    &canvas_->pixels[y * canvas_->width + r.x]);
}

} // namespace fuse_fb
