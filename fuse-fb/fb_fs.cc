/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fb_fs.cc - the nodes of the file system; the requests are in fb_fs_ops.cc
 */
#include "fb_fs.h"

#include <algorithm>
#include <ctime>

#include <sys/stat.h>
#include <unistd.h>

namespace fuse_fb
{

fb_fs::fb_fs(fs_host &host, bool for_others)
	: host_(host), for_others_(for_others), mounted_at_(std::time(nullptr))
{
}

fb_fs::~fb_fs() = default;

std::shared_ptr<fb_fs::node> fb_fs::find(std::uint64_t ino) const
{
	std::lock_guard hold(lock_);
	const auto it = nodes_.find(ino);

	return it == nodes_.end() ? nullptr : it->second;
}

std::shared_ptr<fb_fs::node> fb_fs::find_name(const std::string &name) const
{
	std::lock_guard hold(lock_);
	const auto it = names_.find(name);

	return it == names_.end() ? nullptr : nodes_.at(it->second);
}

std::shared_ptr<fb_fs::node> fb_fs::insert(const std::string &name)
{
	std::lock_guard hold(lock_);
	auto n = std::make_shared<node>();

	n->ino = next_ino_++;
	n->name = name;
	nodes_[n->ino] = n;
	return n;
}

/* It is found by its name from now on. */
void fb_fs::publish(const node &n)
{
	std::lock_guard hold(lock_);

	names_[n.name] = n.ino;
}

std::uint64_t fb_fs::add_file(const std::string &name, std::shared_ptr<served_file> file)
{
	const std::shared_ptr<node> n = insert(name);

	n->file = std::move(file);
	publish(*n);
	return n->ino;
}

void fb_fs::add_rendered(const std::string &name, renderer make, setter set)
{
	const std::shared_ptr<node> n = insert(name);

	n->make = std::move(make);
	n->set = std::move(set);
	publish(*n);
}

void fb_fs::add_stream(const std::string &name, stream_maker make)
{
	const std::shared_ptr<node> n = insert(name);

	n->begin = std::move(make);
	publish(*n);
}

void fb_fs::remove_name(const std::string &name)
{
	std::shared_ptr<node> dropped;
	std::lock_guard hold(lock_);
	const auto it = names_.find(name);

	if (it == names_.end())
		return;
	const std::shared_ptr<node> n = nodes_.at(it->second);
	names_.erase(it);
	n->linked = false;
	if (n->lookups == 0) {
		nodes_.erase(n->ino);
		dropped = n;
	}
}

void fb_fs::forget(std::uint64_t ino, std::uint64_t count)
{
	std::shared_ptr<served_file> last;
	{
		std::lock_guard hold(lock_);
		const auto it = nodes_.find(ino);

		if (it == nodes_.end())
			return;
		node &n = *it->second;
		n.lookups -= std::min(n.lookups, count);
		if (n.lookups > 0 || n.linked)
			return;
		last = std::move(n.file);
		nodes_.erase(it);
	}
	if (last)
		host_.file_forgotten(std::move(last));
}

unsigned fb_fs::users(std::uint64_t ino) const
{
	const std::shared_ptr<node> n = find(ino);

	return n ? n->users.load() : 0;
}

static mode_t file_mode(bool for_others, bool writable)
{
	if (writable)
		return S_IFREG | (for_others ? 0666 : 0600);
	return S_IFREG | (for_others ? 0444 : 0400);
}

void fb_fs::fill_root(struct stat *st) const
{
	*st = {};
	st->st_ino = FUSE_ROOT_ID;
	st->st_mode = S_IFDIR | (for_others_ ? 0777 : 0700);
	st->st_nlink = 2;
	st->st_uid = getuid();
	st->st_gid = getgid();
	st->st_mtim.tv_sec = st->st_ctim.tv_sec = st->st_atim.tv_sec = mounted_at_;
}

void fb_fs::fill(const node &n, struct stat *st) const
{
	*st = {};
	st->st_ino = n.ino;
	st->st_nlink = 1;
	st->st_uid = getuid();
	st->st_gid = getgid();
	st->st_mode = file_mode(for_others_, n.file != nullptr || n.set);
	st->st_blksize = page_bytes;
	st->st_mtim.tv_sec = mounted_at_;
	if (n.file) {
		const std::int64_t ns = n.file->bytes().stats().written_at_ns;

		st->st_size = static_cast<off_t>(n.file->bytes().size());
		st->st_mtim.tv_sec = ns / 1000000000;
		st->st_mtim.tv_nsec = ns % 1000000000;
	} else {
		st->st_size = static_cast<off_t>(n.rendered_size.load());
	}
	st->st_ctim = st->st_atim = st->st_mtim;
	st->st_blocks = (st->st_size + 511) / 512;
}

bool fb_fs::is_own_thread(pid_t tid) const
{
	std::lock_guard hold(lock_);

	return std::find(own_threads_.begin(), own_threads_.end(), tid) != own_threads_.end();
}

fb_fs::own_open::own_open(fb_fs &fs) : fs_(fs), tid_(gettid())
{
	std::lock_guard hold(fs_.lock_);
	fs_.own_threads_.push_back(tid_);
}

fb_fs::own_open::~own_open()
{
	std::lock_guard hold(fs_.lock_);
	std::erase(fs_.own_threads_, tid_);
}

/* Return: false = @req waits for the end of a sole_use; else the caller opens. */
bool fb_fs::add_user(node &n, fuse_req_t req, const fuse_file_info &fi)
{
	std::lock_guard hold(lock_);

	if (n.held_back) {
		n.waiting.push_back({req, fi});
		return false;
	}
	n.users.fetch_add(1);
	return true;
}

fb_fs::sole_use::sole_use(fb_fs &fs, std::uint64_t ino) : fs_(fs), node_(fs.find(ino))
{
	std::lock_guard hold(fs_.lock_);

	alone_ = !node_ || node_->users.load() == 0;
	if (node_ && alone_)
		node_->held_back = true;
}

void fb_fs::set_guard(std::function<bool(const std::function<void()> &)> guard)
{
	guard_ = std::move(guard);
}

bool fb_fs::guarded(const std::function<void()> &touch) const
{
	if (guard_)
		return guard_(touch);
	touch();
	return true;
}

} // namespace fuse_fb
