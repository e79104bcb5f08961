/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * daemon.cc - everything put together; see daemon.h
 */
#include "daemon.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <backend/xenfb_back.h>
#include <kshim/machine.h>
#include <kshim/mmu.h>
#include <kshim/xen.h>
#include <linux/fb.h>
#include <linux/mm.h>
#include <video/xen_fbfront.h>
#include <xen/events.h>
#include <xen/xenbus.h>

#include "message.h"
#include "mount_point.h"
#include "params.h"
#include "stats.h"
#include "viewers/vnc_server.h"
#include "x_header.h"
#include "xenfb_display.h"

namespace fuse_fb
{

/* What Xvfb calls its screens: "Xvfb_screen" and a number. */
static bool is_x_name(std::string_view name)
{
	constexpr std::string_view prefix = "Xvfb_screen";

	if (!name.starts_with(prefix))
		return false;
	name.remove_prefix(prefix.size());
	return !name.empty() && name.size() <= 9 &&
	       name.find_first_not_of("0123456789") == std::string_view::npos;
}

/* More frames a second are not worth their making. */
constexpr unsigned film_rate_max = 30;

static bool allows_others(const std::string &options)
{
	return ("," + options + ",").find(",allow_other,") != std::string::npos;
}

void daemon::machine_log(void *self, int level, const char *line)
{
	auto *d = static_cast<daemon *>(self);
	const message_kind kind = level <= 3   ? message_kind::error
				  : level <= 5 ? message_kind::warning
					       : message_kind::info;
	std::lock_guard hold(d->log_lock_);

	if (d->starting_)
		d->early_lines_.emplace_back(kind, line);
	else
		message(kind, "%s", line);
}

/* What the error number says, what the machine said last, and what can be done. */
std::string daemon::why(int error)
{
	std::lock_guard hold(log_lock_);
	std::string text = std::strerror(-error);

	if (!early_lines_.empty())
		text += " (" + early_lines_.back().second + ")";
	return text + descriptors_hint(-error);
}

daemon::daemon(const daemon_options &options, const track_tunables &tunables,
	       track_mutant_switch *mutant)
	: options_(options), started_(std::chrono::steady_clock::now()), tunables_(tunables),
	  mutant_(mutant)
{
	/* What can be found out without making anything comes first. */
	check_fuse_usable(options_.mount_options);
	mount_point_ = prepare_mount_point(options_.mount_point);
	const mount_turn turn(mount_point_);
	ended_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ended_fd_ < 0)
		throw startup_error(exit_code::failure,
				    format_string("cannot make an eventfd: %s%s",
						  std::strerror(errno), descriptors_hint(errno)));
	try {
		start();
	} catch (...) {
		stop();
		close(ended_fd_);
		throw;
	}
	if (holder_.error())
		message(message_kind::warning,
			"no process can be made that lets a killed daemon end (%s); if one ever "
			"hangs: umount -f %s",
			std::strerror(holder_.error()), mount_point_.c_str());
	std::lock_guard hold(log_lock_);
	starting_ = false;
	for (const auto &[kind, line] : early_lines_)
		message(kind, "%s", line.c_str());
}

daemon::~daemon()
{
	stop();
	close(ended_fd_);
}

void daemon::make_machine()
{
	pv_machine_config config;
	param_list params;

	config.memory_bytes = options_.memory_bytes;
	config.name = "pvshim-fb";
	config.log = machine_log;
	config.log_ctx = this;
	config.params = options_.params.c_str();
	params.listen(&config);
	pv_machine *m = pv_machine_create(&config, machine_calls());
	if (IS_ERR(m) && !options_.params.empty() &&
	    (PTR_ERR(m) == -EINVAL || PTR_ERR(m) == -ERANGE)) {
		std::lock_guard hold(log_lock_);

		/* The first line says what is wrong, later ones what became of that. */
		throw startup_error(
			exit_code::usage,
			format_string("-P %s: %s; pvshim-fb --help-params lists what there is",
				      options_.params.c_str(),
				      early_lines_.empty() ? "refused"
							   : early_lines_.front().second.c_str()));
	}
	if (IS_ERR(m))
		throw startup_error(
			exit_code::failure,
			format_string("cannot make a machine with %zu MiB of memory: %s",
				      options_.memory_bytes >> 20,
				      why(static_cast<int>(PTR_ERR(m))).c_str()));
	machine_ = m;
	params.check(options_.params);
}

void daemon::in_machine(const std::function<void()> &body) const
{
	const machine_scope bound(machine_);

	body();
}

/* The display of fb0. The first thing that can be too large. */
std::unique_ptr<display> daemon::make_device()
{
	const screen_geometry &mode = options_.mode;
	const std::size_t bytes =
		std::max(page_round_up(static_cast<std::size_t>(mode.line_length) * mode.height),
			 options_.vram_bytes);
	int error = 0;

	std::unique_ptr<display> made = displays_->make(mode, bytes, &error);
	if (!made && error == -ENOMEM)
		throw startup_error(
			exit_code::mode,
			format_string(
				"mode %ux%u at %u bits per pixel needs %zu MiB, more than the "
				"machine's memory of %zu MiB has; give a smaller mode or more "
				"--memory",
				mode.width, mode.height, mode.bits_per_pixel, bytes >> 20,
				options_.memory_bytes >> 20));
	if (!made && error == -E2BIG)
		throw startup_error(exit_code::mode,
				    format_string("mode %ux%u at %u bits per pixel needs %zu MiB, "
						  "more than a virtual "
						  "framebuffer's page directory can name (246 "
						  "MiB); give a smaller mode",
						  mode.width, mode.height, mode.bits_per_pixel,
						  bytes >> 20));
	if (!made)
		throw startup_error(
			error == -EINVAL ? exit_code::mode : exit_code::failure,
			format_string("cannot make a framebuffer of %ux%u at %u bits per pixel: %s",
				      mode.width, mode.height, mode.bits_per_pixel,
				      why(error).c_str()));
	return made;
}

void daemon::start()
{
	const std::chrono::nanoseconds period(1000000000 / options_.rate);

	make_machine();
	const machine_scope bound(machine_);

	displays_ = std::make_unique<xenfb_factory>(machine_,
						    static_cast<unsigned>(period.count() / 1000));
	keeper_ = std::make_unique<housekeeper>([this](const auto &body) { in_machine(body); });
	fs_host &host = *this;
	fs_ = std::make_unique<fb_fs>(host, allows_others(options_.mount_options));
	fs_->set_guard([](const std::function<void()> &touch) {
		return kshim_try(
			[](void *arg) { (*static_cast<const std::function<void()> *>(arg))(); },
			const_cast<std::function<void()> *>(&touch));
	});
	viewers_ = std::make_unique<viewer_set>(machine_);
	std::unique_ptr<display> device = make_device();
	const std::size_t frame_bytes = device->frame_bytes();

	channel_config config;
	config.mount_point = mount_point_;
	config.options = options_.mount_options;
	config.source = mount_source();
	config.in_thread = [this](const auto &serve) { in_machine(serve); };
	config.ended = [this] {
		const std::uint64_t one = 1;

		ended_ = true;
		if (write(ended_fd_, &one, sizeof(one)) < 0)
			message(message_kind::error, "cannot tell that the mount is gone");
	};
	channel_ = std::make_unique<fuse_channel>(config, fb_fs::ops(), fs_.get());

	terminal_ = std::make_unique<console>();
	services_ = std::make_unique<screen_services>(screen_services{
		*fs_, *channel_, *keeper_, *displays_, read_xwd_header, period, tunables_, mutant_,
		[this] { viewers_->show(shown()); }, *terminal_});
	auto fb0 = std::make_shared<screen>("fb0", *services_, std::move(device), options_.mode);
	fb0->start(fs_->add_file("fb0", fb0));
	{
		std::lock_guard hold(screens_lock_);
		screens_.push_back(fb0);
	}
	add_png("screen.png", "");
	add_png("fb0.png", "fb0");
	fs_->add_rendered("stats.json", [this] { return render_stats(); });
	fs_->add_stream("damage", [this](std::function<void()> wake) {
		return viewers_->damage(std::move(wake));
	});
	fs_->add_stream("screen.y4m", [this](std::function<void()> wake) {
		return viewers_->film(
			std::min(options_.rate, film_rate_max),
			[this](housekeeper::clock::time_point due, std::function<void()> job) {
				return keeper_->run_at(due, std::move(job));
			},
			std::move(wake));
	});
	fs_->add_rendered(
		"mode", [this] { return render_mode(); },
		[this](const std::string &text) { return set_mode(text); });

	/* Before the first request: from then on the housekeeper decides what viewers see. */
	viewers_->show(fb0);
	if (options_.vnc)
		listen();
	channel_->start();
	raise_dirty_limit(channel_->device(), frame_bytes);
	if (options_.pattern)
		keeper_->run_and_wait([this] { draw_pattern(); });
}

/* The password's file: of somebody's own, or it is none. */
std::string daemon::vnc_password() const
{
	const char *const file = options_.vnc_password_file.c_str();
	struct stat st {
	};
	char line[256] = "";

	if (!*file)
		return {};
	const int fd = open(file, O_RDONLY | O_CLOEXEC);
	const bool known = fd >= 0 && fstat(fd, &st) == 0;
	const ssize_t n = known ? read(fd, line, sizeof(line) - 1) : -1;
	const int error = errno;
	if (fd >= 0)
		close(fd);
	if (n < 0)
		throw startup_error(exit_code::vnc, format_string("--vnc-password '%s': %s", file,
								  std::strerror(error)));
	if (st.st_mode & 077)
		throw startup_error(exit_code::vnc,
				    format_string("--vnc-password '%s': others may read it; chmod "
						  "600 it first",
						  file));
	line[std::strcspn(line, "\r\n")] = '\0';
	if (!*line)
		throw startup_error(exit_code::vnc,
				    format_string("--vnc-password '%s': its first line is empty; "
						  "write a password into it",
						  file));
	return line;
}

/* A VNC client wants another size: of the device, while that is what is shown. Its thread. */
bool daemon::set_size(unsigned width, unsigned height)
{
	bool done = false;

	keeper_->run_and_wait([&] {
		const std::shared_ptr<screen> s = shown();

		done = s && s->set_mode(width, height, 0) == 0;
		if (done)
			draw_pattern();
	});
	return done;
}

void daemon::listen()
{
	vnc_service service;

	service.password = vnc_password();
	service.resize = [this](unsigned width, unsigned height) {
		return set_size(width, height);
	};
	if (!options_.x11_input.empty()) {
		x11_input_ = std::make_unique<x11_input>(options_.x11_input);
		/* fb0 is no X server's. */
		const auto is_x = [this] {
			const std::shared_ptr<screen> s = shown();

			return s && !s->is_device();
		};
		service.key = [this, is_x](bool down, std::uint32_t symbol) {
			if (is_x())
				x11_input_->key(down, symbol);
		};
		service.pointer = [this, is_x](unsigned buttons, unsigned x, unsigned y) {
			if (is_x())
				x11_input_->pointer(buttons, x, y);
		};
	}
	viewers_->listen(options_.vnc_host, options_.vnc_port, service);
}

void daemon::stop()
{
	if (std::exchange(stopped_, true) || !machine_)
		return;
	const machine_scope bound(machine_);

	if (channel_) {
		keeper_->run_and_wait([this] {
			for (const std::shared_ptr<screen> &s : screens())
				s->stop();
		});
		fs_->end_streams();
		channel_->stop();
	}
	/* What programs asked for last may still be rendered, and asks the viewers. */
	if (keeper_)
		keeper_->stop();
	viewers_.reset();
	x11_input_.reset();
	/* before the channel: nodes know nothing of it; the session is still there for replies */
	fs_.reset();
	{
		std::lock_guard hold(screens_lock_);
		screens_.clear();
	}
	services_.reset();
	terminal_.reset();
	channel_.reset();
	keeper_.reset();
	displays_.reset();
	if (const unsigned warnings = pv_machine_destroy(std::exchange(machine_, nullptr)))
		message(message_kind::warning, "the machine warned %u times", warnings);
}

std::vector<std::shared_ptr<screen>> daemon::screens() const
{
	std::lock_guard hold(screens_lock_);

	return screens_;
}

std::shared_ptr<screen> daemon::find(const std::string &name) const
{
	for (const std::shared_ptr<screen> &s : screens())
		if (s->name() == name)
			return s;
	return nullptr;
}

std::shared_ptr<screen> daemon::shown() const
{
	std::shared_ptr<screen> newest;

	for (const std::shared_ptr<screen> &s : screens())
		if (s->shown_since() > 0 && (!newest || s->shown_since() > newest->shown_since()))
			newest = s;
	return newest;
}

std::string daemon::greeting() const
{
	const screen_geometry &m = options_.mode;
	const std::string vnc = viewers_->address();

	return format_string("%s/fb0 is %ux%u at %u bits per pixel, %u Hz; now run: "
			     "Xvfb :1 -screen 0 1024x768x24 -fbdir %s%s%s",
			     mount_point_.c_str(), m.width, m.height, m.bits_per_pixel,
			     options_.rate, mount_point_.c_str(),
			     vnc.empty() ? "" : "; watch at vnc://", vnc.c_str());
}

/* ---- what the file system asks for, in request threads ---- */

std::shared_ptr<served_file> daemon::create_file(const std::string &name, int *error)
{
	if (!is_x_name(name)) {
		*error = -EPERM;
		return nullptr;
	}
	if (x_files_.fetch_add(1) >= x_screens_max) {
		x_files_.fetch_sub(1);
		*error = -ENOSPC;
		return nullptr;
	}
	try {
		return std::make_shared<screen>(name, *services_, x_file_bytes_max);
	} catch (const std::bad_alloc &) {
		x_files_.fetch_sub(1);
		*error = -ENOMEM;
		return nullptr;
	}
}

void daemon::file_created(const std::string &name, std::uint64_t ino,
			  std::shared_ptr<served_file> file)
{
	auto s = std::static_pointer_cast<screen>(file);

	s->start(ino);
	add_png(name + ".png", name);
	std::lock_guard hold(screens_lock_);
	screens_.push_back(std::move(s));
}

void daemon::file_removed(std::uint64_t ino)
{
	std::shared_ptr<screen> gone;
	{
		std::lock_guard hold(screens_lock_);
		const auto it = std::find_if(screens_.begin(), screens_.end(),
					     [ino](const auto &s) { return s->ino() == ino; });
		if (it == screens_.end())
			return;
		gone = *it;
		screens_.erase(it);
	}
	fs_->remove_name(gone->name() + ".png");
	keeper_->run([gone] { gone->removed(); });
}

void daemon::file_forgotten(std::shared_ptr<served_file> file)
{
	/* Runs after removed(), which was queued before. */
	keeper_->run([this, file = std::move(file)]() mutable {
		file.reset();
		x_files_.fetch_sub(1);
	});
}

void daemon::run_job(std::function<void()> job)
{
	keeper_->run(std::move(job));
}

/* ---- files made when they are opened, in the housekeeper ---- */

void daemon::add_png(const std::string &file, const std::string &screen_name)
{
	fs_->add_rendered(file, [this, screen_name] {
		const std::shared_ptr<screen> s = screen_name.empty() ? shown() : find(screen_name);

		if (!s || s->flush())
			return std::string();
		return viewers_->png(*s);
	});
}

std::string daemon::render_mode()
{
	std::string text;
	const std::shared_ptr<screen> fb0 = find("fb0");

	if (fb0)
		fb0->with_display([&](display &, const screen_geometry &g) {
			text = format_string("%ux%ux%u\n", g.width, g.height, g.bits_per_pixel);
		});
	return text;
}

/* Housekeeper. */
void daemon::draw_pattern()
{
	const std::shared_ptr<screen> fb0 = find("fb0");
	const int error = options_.pattern && fb0 ? fb0->draw_pattern() : 0;

	if (error)
		message(message_kind::warning, "no test picture on fb0: %s", std::strerror(-error));
}

int daemon::set_mode(std::string text)
{
	const std::shared_ptr<screen> fb0 = find("fb0");

	while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
		text.pop_back();
	try {
		const screen_geometry g = parse_mode(text);

		const int error =
			fb0 ? fb0->set_mode(g.width, g.height, g.bits_per_pixel) : -ENODEV;

		if (!error)
			draw_pattern();
		return error;
	} catch (const startup_error &e) {
		message(message_kind::warning, "%s", e.what());
		return -EINVAL;
	}
}

std::string daemon::render_stats()
{
	stats_source source;

	source.mount_point = mount_point_;
	source.started = started_;
	source.vnc_address = viewers_->address();
	source.vnc_clients = viewers_->clients();
	source.viewed = shown();
	source.screens = screens();
	in_machine([&] { xen_irq_stats(&source.events); });
	return stats_json(source);
}

} // namespace fuse_fb
