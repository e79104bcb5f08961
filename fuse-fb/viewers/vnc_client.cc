/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viewers/vnc_client.cc - one VNC client; see vnc_client.h
 */
#include "viewers/vnc_client.h"

#include <chrono>
#include <system_error>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rfb/rfb.h>

#include "viewers/vnc_screens.h"

namespace fuse_fb
{

/*
 * libvncserver's own layout has red lowest; most viewers ask for red highest, which then is a copy.
 */
static void set_server_format(rfbScreenInfoPtr screen)
{
	screen->serverFormat.redShift = 16;
	screen->serverFormat.greenShift = 8;
	screen->serverFormat.blueShift = 0;
}

static char *pixels_of(vnc_canvas &canvas)
{
	return reinterpret_cast<char *>(canvas.pixels.data());
}

/* Asked by a client, in its thread. The size itself comes as a canvas, like any other. */
int vnc_client::wants_size(int width, int height, int, rfbExtDesktopScreen *, _rfbClientRec *client)
{
	auto *self = static_cast<vnc_client *>(client->screen->screenData);
	const bool possible = width > 0 && height > 0 && self->service_.resize;

	if (!possible)
		return rfbExtDesktopSize_ResizeProhibited;
	return self->service_.resize(static_cast<unsigned>(width), static_cast<unsigned>(height))
		       ? rfbExtDesktopSize_Success
		       : rfbExtDesktopSize_OutOfResources;
}

void vnc_client::types(rfbBool down, rfbKeySym symbol, _rfbClientRec *client)
{
	auto *self = static_cast<vnc_client *>(client->screen->screenData);

	if (down)
		self->held_.insert(symbol);
	else
		self->held_.erase(symbol);
	if (self->service_.key)
		self->service_.key(down, symbol);
}

void vnc_client::points(int buttons, int x, int y, _rfbClientRec *client)
{
	auto *self = static_cast<vnc_client *>(client->screen->screenData);

	self->buttons_ = static_cast<unsigned>(buttons);
	self->x_ = static_cast<unsigned>(x);
	self->y_ = static_cast<unsigned>(y);
	if (self->service_.pointer)
		self->service_.pointer(self->buttons_, self->x_, self->y_);
}

/* It is gone, and cannot let go of anything itself. */
void vnc_client::let_go()
{
	for (const std::uint32_t symbol : held_)
		if (service_.key)
			service_.key(false, symbol);
	if (buttons_ && service_.pointer)
		service_.pointer(0, x_, y_);
}

vnc_client::vnc_client(int fd, vnc_screens &screens, const std::string &title,
		       const vnc_service &service, std::shared_ptr<vnc_canvas> canvas,
		       int handshake_ms, std::function<void()> gone)
	: fd_(fd), own_fd_(fcntl(fd, F_DUPFD_CLOEXEC, 0)),
	  wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), title_(title), service_(service),
	  password_(service.password), passwords_{password_.data(), nullptr},
	  handshake_ms_(handshake_ms), gone_(std::move(gone)), screens_(screens),
	  canvas_(std::move(canvas))
{
	try {
		/* A screen's descriptors go into an fd_set. */
		if (own_fd_ < 0 || wake_fd_ < 0 || fd_ >= FD_SETSIZE)
			throw std::system_error(EMFILE, std::generic_category());
		const int one = 1;
		fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
		setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

		screen_ = screens_.take();
		rfbNewFramebuffer(screen_, pixels_of(*canvas_), static_cast<int>(canvas_->width),
				  static_cast<int>(canvas_->height), 8, 3, 4);
		screen_->screenData = this;
		screen_->desktopName = title_.c_str();
		screen_->setDesktopSizeHook = wants_size;
		screen_->kbdAddEvent = types;
		screen_->ptrAddEvent = points;
		screen_->authPasswdData = password_.empty() ? nullptr : passwords_;
		screen_->passwordCheck = rfbCheckPasswordByList;
		set_server_format(screen_);
		thread_ = std::thread([this] { run(); });
	} catch (...) {
		if (screen_)
			screens_.give_back(screen_);
		for (const int each : {fd_, own_fd_, wake_fd_})
			if (each >= 0)
				close(each);
		throw;
	}
}

vnc_client::~vnc_client()
{
	hang_up();
	thread_.join();
	screens_.give_back(screen_);
	close(own_fd_);
	close(wake_fd_);
}

void vnc_client::hang_up()
{
	const std::uint64_t one = 1;

	stop_ = true;
	/* Ends a read or write that waits for the client, too. */
	shutdown(own_fd_, SHUT_RDWR);
	[[maybe_unused]] const ssize_t n = write(wake_fd_, &one, sizeof(one));
}

void vnc_client::changed(std::span<const view_rect> rects)
{
	const std::uint64_t one = 1;
	{
		std::lock_guard guard(lock_);

		changed_.add(rects);
	}
	[[maybe_unused]] const ssize_t n = write(wake_fd_, &one, sizeof(one));
}

void vnc_client::change_canvas(std::shared_ptr<vnc_canvas> canvas)
{
	const std::uint64_t one = 1;
	{
		std::lock_guard guard(lock_);

		changed_.clear();
		next_ = std::move(canvas);
	}
	[[maybe_unused]] const ssize_t n = write(wake_fd_, &one, sizeof(one));
}

/* What the painter left. False: the client cannot follow. */
bool vnc_client::take_over()
{
	std::shared_ptr<vnc_canvas> next;
	std::vector<view_rect> rects;
	std::uint64_t count;

	[[maybe_unused]] const ssize_t n = read(wake_fd_, &count, sizeof(count));
	{
		std::lock_guard guard(lock_);

		next = std::move(next_);
		next_.reset();
		const vnc_canvas &now = next ? *next : *canvas_;
		rects = changed_.take(now.width, now.height);
	}
	if (next) {
		const bool same = next->width == canvas_->width && next->height == canvas_->height;

		/* It would go on drawing the old size; it may come again. */
		if (!same && client_->state == rfbClientRec::RFB_NORMAL && !client_->useNewFBSize &&
		    !client_->useExtDesktopSize)
			return false;
		rfbNewFramebuffer(screen_, pixels_of(*next), static_cast<int>(next->width),
				  static_cast<int>(next->height), 8, 3, 4);
		set_server_format(screen_);
		if (client_->format.bitsPerPixel != 0)
			screen_->setTranslateFunction(client_);
		canvas_ = std::move(next);
	}
	for (const view_rect &r : rects)
		rfbMarkRectAsModified(screen_, static_cast<int>(r.x), static_cast<int>(r.y),
				      static_cast<int>(r.x + r.width),
				      static_cast<int>(r.y + r.height));
	return true;
}

/* Sleeps, does whatever there is, until the client or we have enough. */
void vnc_client::serve()
{
	using clock = std::chrono::steady_clock;
	const auto deadline = clock::now() + std::chrono::milliseconds(handshake_ms_);

	while (client_ && !stop_) {
		int wait_ms = -1;

		if (client_->state != rfbClientRec::RFB_NORMAL) {
			const auto left = std::chrono::ceil<std::chrono::milliseconds>(
				deadline - clock::now());

			if (left.count() <= 0)
				return;
			wait_ms = static_cast<int>(left.count());
		}
		pollfd fds[2] = {{client_->sock, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
		if (poll(fds, 2, wait_ms) < 0 && errno != EINTR)
			return;
		if (fds[1].revents && !take_over())
			return;
		/*
		 * Reads one message, sends what is due. Drops the client when it is gone or talks
		 * nonsense.
		 */
		rfbProcessEvents(screen_, 0);
	}
}

static void client_gone(rfbClientPtr client)
{
	*static_cast<rfbClientPtr *>(client->clientData) = nullptr;
}

void vnc_client::run()
{
	/* May wait a moment: it looks whether the client speaks WebSocket. */
	client_ = rfbNewClient(screen_, fd_);
	if (client_) {
		client_->clientData = &client_;
		client_->clientGoneHook = client_gone;
		serve();
		if (client_) {
			rfbCloseClient(client_);
			rfbClientConnectionGone(client_);
		}
	}
	/*
	 * Whether libvncserver closed the connection or never got so far: the other end must
	 * notice.
	 */
	shutdown(own_fd_, SHUT_RDWR);
	let_go();
	done_ = true;
	gone_();
}

} // namespace fuse_fb
