/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * daemon.h - everything put together
 *
 *      main thread: options, machine, mount ... waits for a signal or the end of the mount
 *      fuse/N       serve requests (fuse_channel)
 *      housekeeper  files opened to be rendered, screens made and removed
 *      kernel side  a worker that harvests, event thread, timers (the machine's)
 *      VNC          only with --vnc
 *
 * Made in this order and taken down in the reverse one; a failure on the way throws startup_error
 * and leaves nothing. Tests make it in their own process and reach the screens directly.
 * D1: the screens are flushed before the mount goes, and the mount goes before the machine.
 * Locks: screens_lock_ (the list of screens).
 */
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "fb_fs.h"
#include "fuse_channel.h"
#include "housekeeper.h"
#include "message.h"
#include "mm_holder.h"
#include "options.h"
#include "screen.h"
#include "viewer_set.h"
#include "viewers/x11_input.h"

struct pv_machine;

namespace fuse_fb
{

/*
 * Files that programs may create, and how large they may get (a frame's page directory ends there).
 */
constexpr unsigned x_screens_max = 16;
constexpr std::size_t x_file_bytes_max = 240ul << 20;

class daemon : private fs_host
{
public:
	explicit daemon(const daemon_options &options, const track_tunables &tunables = {},
			track_mutant_switch *mutant = nullptr);
	~daemon() override;
	daemon(const daemon &) = delete;
	daemon &operator=(const daemon &) = delete;

	/* Flushes the screens, unmounts, removes nothing else. Idempotent. */
	void stop();

	/* The session ended by itself: unmounted from outside. Any thread. */
	bool ended() const { return ended_; }
	/* Readable once ended(). */
	int ended_fd() const { return ended_fd_; }

	const std::string &mount_point() const { return mount_point_; }
	/* What to tell the user: where it is and what to run next. One line. */
	std::string greeting() const;

	/* Null when there is no such screen. */
	std::shared_ptr<screen> find(const std::string &name) const;
	/* The one that viewers see: the newest X screen, else fb0. */
	std::shared_ptr<screen> shown() const;
	std::vector<std::shared_ptr<screen>> screens() const;
	pv_machine *machine() const { return machine_; }

private:
	std::shared_ptr<served_file> create_file(const std::string &name, int *error) override;
	void file_created(const std::string &name, std::uint64_t ino,
			  std::shared_ptr<served_file> file) override;
	void file_removed(std::uint64_t ino) override;
	void file_forgotten(std::shared_ptr<served_file> file) override;
	void run_job(std::function<void()> job) override;

	void start();
	void listen();
	void make_machine();
	void in_machine(const std::function<void()> &body) const;
	std::unique_ptr<display> make_device();
	void add_png(const std::string &file, const std::string &screen_name);
	std::string render_stats();
	std::string render_mode();
	void draw_pattern();
	int set_mode(std::string text);
	bool set_size(unsigned width, unsigned height);
	std::string vnc_password() const;
	std::string why(int error);
	static void machine_log(void *self, int level, const char *line);

	const mm_holder holder_; /* first made, last to go */
	const daemon_options options_;
	const std::chrono::steady_clock::time_point started_;
	track_tunables tunables_;
	track_mutant_switch *const mutant_;
	std::string mount_point_;
	std::atomic<bool> ended_{false};
	bool stopped_ = false;
	int ended_fd_ = -1;

	pv_machine *machine_ = nullptr;
	std::unique_ptr<display_factory> displays_;
	std::unique_ptr<housekeeper> keeper_;
	std::unique_ptr<fb_fs> fs_;
	std::unique_ptr<fuse_channel> channel_;
	std::unique_ptr<console> terminal_;
	std::unique_ptr<screen_services> services_;
	std::unique_ptr<x11_input> x11_input_;
	std::unique_ptr<viewer_set> viewers_;
	std::atomic<unsigned> x_files_{0}; /* made by programs and not yet forgotten */

	/*
	 * What the machine says while it is being made is the reason of our own line, if it fails.
	 */
	std::mutex log_lock_;
	bool starting_ = true;                                          /* protected by log_lock_ */
	std::vector<std::pair<message_kind, std::string>> early_lines_; /* likewise */

	mutable std::mutex screens_lock_;
	std::vector<std::shared_ptr<screen>> screens_; /* protected by screens_lock_ */
};

} // namespace fuse_fb
