/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fb_fs_ops.cc - the requests; the rules are in fb_fs.h
 *
 * Which request is not here has a reason too: FLUSH and FSYNC answer ENOSYS once, after which the
 * kernel does its part (send what is dirty, wait for the answers) without asking.
 */
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "fb_fs.h"

namespace fuse_fb
{

/* Sizes and owners never change behind the kernel's back; names made by the daemon do. */
static constexpr double forever = 86400.0;

/* Deep queues: a pull must never find the connection congested (it would send nothing). */
static constexpr unsigned background_requests = 1024;

/* What an open handle (fi->fh) points to. */
struct fb_fs::handle {
	bool own = false;     /* the daemon's own */
	std::string rendered; /* of a rendered file */
	std::shared_ptr<open_stream> stream;
};

struct fb_fs::ops_impl {
	static fb_fs &self(fuse_req_t req) { return *static_cast<fb_fs *>(fuse_req_userdata(req)); }
	static handle *handle_of(const fuse_file_info *fi)
	{
		return reinterpret_cast<handle *>(static_cast<std::uintptr_t>(fi->fh));
	}
	static std::uint64_t fh_of(handle *h)
	{
		return static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(h));
	}

	static void init(void *, fuse_conn_info *conn)
	{
		conn->want &= ~static_cast<unsigned>(
			FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_AUTO_INVAL_DATA |
			FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
			FUSE_CAP_SPLICE_MOVE | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
		conn->max_background = background_requests;
		conn->congestion_threshold = background_requests * 3 / 4;
	}

	static fuse_entry_param entry_of(const fb_fs &fs, const node &n)
	{
		fuse_entry_param e{};

		e.ino = n.ino;
		e.attr_timeout = n.file ? forever : 0;
		e.entry_timeout = n.file ? forever : 0;
		fs.fill(n, &e.attr);
		return e;
	}

	static void lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
	{
		fb_fs &fs = self(req);
		std::shared_ptr<node> n;

		if (parent == FUSE_ROOT_ID) {
			std::lock_guard hold(fs.lock_);
			const auto it = fs.names_.find(name);

			/*
			 * Found and counted in one step: the kernel gets a reference with the
			 * reply.
			 */
			if (it != fs.names_.end()) {
				n = fs.nodes_.at(it->second);
				n->lookups++;
			}
		}
		if (!n) {
			fuse_reply_err(req, ENOENT);
			return;
		}
		const fuse_entry_param e = entry_of(fs, *n);
		if (fuse_reply_entry(req, &e))
			fs.forget(n->ino, 1);
	}

	static void forget(fuse_req_t req, fuse_ino_t ino, std::uint64_t count)
	{
		self(req).forget(ino, count);
		fuse_reply_none(req);
	}

	static void getattr(fuse_req_t req, fuse_ino_t ino, fuse_file_info *fi)
	{
		fb_fs &fs = self(req);
		struct stat st {
		};

		if (ino == FUSE_ROOT_ID) {
			fs.fill_root(&st);
			fuse_reply_attr(req, &st, forever);
			return;
		}
		const std::shared_ptr<node> n = fs.find(ino);
		if (!n) {
			fuse_reply_err(req, ENOENT);
			return;
		}
		fs.fill(*n, &st);
		if (!n->file && fi && fi->fh)
			st.st_size = static_cast<off_t>(handle_of(fi)->rendered.size());
		fuse_reply_attr(req, &st, n->file ? forever : 0);
	}

	/* Times and owners: accepted and not kept, so that touch and cp -p do not fail. */
	static void setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
			    fuse_file_info *)
	{
		fb_fs &fs = self(req);
		const std::shared_ptr<node> n = fs.find(ino);
		struct stat st {
		};

		if (ino == FUSE_ROOT_ID || !n) {
			fuse_reply_err(req, EPERM);
			return;
		}
		if (to_set & FUSE_SET_ATTR_SIZE) {
			if ((!n->file && !n->set) || attr->st_size < 0) {
				fuse_reply_err(req, attr->st_size < 0 ? EINVAL : EACCES);
				return;
			}
			const int error = n->file ? n->file->bytes().resize(
							    static_cast<std::size_t>(attr->st_size))
						  : 0;
			if (error) {
				fuse_reply_err(req, -error);
				return;
			}
			if (n->file)
				n->file->accessed();
		}
		fs.fill(*n, &st);
		fuse_reply_attr(req, &st, n->file ? forever : 0);
	}

	static void close_file(node &n, handle *h)
	{
		const bool own = h->own;

		delete h;
		/* The last user's stores came with its close: nothing to wait for any more. */
		if (!own && n.users.fetch_sub(1) == 1)
			n.file->unused();
	}

	/* A file that programs map: cached, and kept cached. A user was counted, unless @own. */
	static void fill_opened(fuse_file_info *fi, bool own)
	{
		auto *h = new handle;

		h->own = own;
		fi->fh = fh_of(h);
		fi->keep_cache = 1;
		/*
		 * What we store was answered when our write(2) returned. And a daemon that is
		 * killed must not wait, in closing this, for the answer to a WRITE which it cannot
		 * give any more.
		 */
		fi->noflush = own;
	}

	static void open_file(fuse_req_t req, node &n, fuse_file_info *fi, bool own)
	{
		fill_opened(fi, own);
		if (fuse_reply_open(req, fi))
			close_file(n, handle_of(fi));
	}

	/* What makes a stream may wait for whoever feeds it. */
	/* A file whose bytes the kernel does not keep. */
	static void reply_opened(fuse_req_t req, fuse_file_info *fi, std::unique_ptr<handle> h)
	{
		fi->direct_io = 1;
		fi->fh = fh_of(h.get());
		/* From now on release() of the file owns it. */
		if (fuse_reply_open(req, fi) == 0)
			(void)h.release();
	}

	static void open_stream_file(fb_fs &fs, fuse_req_t req, const std::shared_ptr<node> &n,
				     const fuse_file_info &fi)
	{
		fs.host_.run_job([&fs, req, n, info = fi]() mutable {
			auto h = std::make_unique<handle>();
			const std::weak_ptr<open_stream> to = h->stream =
				std::make_shared<open_stream>();

			h->stream->stream = n->begin([&fs, to] { fs.streams_.wake(to); });
			if (!h->stream->stream) {
				fuse_reply_err(req, EIO);
				return;
			}
			info.nonseekable = 1;
			reply_opened(req, &info, std::move(h));
		});
	}

	static void open(fuse_req_t req, fuse_ino_t ino, fuse_file_info *fi)
	{
		fb_fs &fs = self(req);
		const std::shared_ptr<node> n = fs.find(ino);

		if (!n) {
			fuse_reply_err(req, ENOENT);
			return;
		}
		if (n->file) {
			const bool own = fs.is_own_thread(fuse_req_ctx(req)->pid);

			if (own || fs.add_user(*n, req, *fi))
				open_file(req, *n, fi, own);
			return;
		}
		if ((fi->flags & O_ACCMODE) != O_RDONLY && !n->set) {
			fuse_reply_err(req, EACCES);
			return;
		}
		if (n->begin) {
			open_stream_file(fs, req, n, *fi);
			return;
		}
		fs.host_.run_job([req, n, info = *fi]() mutable {
			std::unique_ptr<handle> h;

			try {
				h = std::make_unique<handle>();
				h->rendered = n->make();
			} catch (const std::bad_alloc &) {
				fuse_reply_err(req, ENOMEM);
				return;
			}
			if (h->rendered.empty()) {
				fuse_reply_err(req, EIO);
				return;
			}
			n->rendered_size = h->rendered.size();
			reply_opened(req, &info, std::move(h));
		});
	}

	static void create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t,
			   fuse_file_info *fi)
	{
		fb_fs &fs = self(req);
		int error = -EPERM;

		if (parent != FUSE_ROOT_ID || fs.find_name(name)) {
			fuse_reply_err(req, parent == FUSE_ROOT_ID ? EEXIST : ENOTDIR);
			return;
		}
		const std::shared_ptr<served_file> file = fs.host_.create_file(name, &error);
		if (!file) {
			fuse_reply_err(req, -error);
			return;
		}
		const std::shared_ptr<node> n = fs.insert(name);
		n->file = file;
		n->lookups = 1;
		n->users = 1;
		/* The host knows the number before anybody can use the file. */
		fs.host_.file_created(name, n->ino, file);
		fs.publish(*n);
		fill_opened(fi, false);
		const fuse_entry_param e = entry_of(fs, *n);
		if (fuse_reply_create(req, &e, fi)) {
			close_file(*n, handle_of(fi));
			fs.forget(n->ino, 1);
		}
	}

	static void read(fuse_req_t req, fuse_ino_t ino, std::size_t size, off_t off,
			 fuse_file_info *fi)
	{
		const std::shared_ptr<node> n = self(req).find(ino);

		if (!n || off < 0) {
			fuse_reply_err(req, n ? EINVAL : ENOENT);
			return;
		}
		const auto pos = static_cast<std::size_t>(off);
		if (n->begin) {
			self(req).streams_.read(req, handle_of(fi)->stream, size,
						!(fi->flags & O_NONBLOCK));
			return;
		}
		if (!n->file) {
			const std::string &text = handle_of(fi)->rendered;
			const std::size_t at = std::min(pos, text.size());

			fuse_reply_buf(req, text.data() + at, std::min(size, text.size() - at));
			return;
		}
		n->file->accessed();
		n->file->bytes().read(pos, size, [req](const std::byte *bytes, std::size_t len) {
			fuse_reply_buf(req, reinterpret_cast<const char *>(bytes), len);
		});
	}

	static void write(fuse_req_t req, fuse_ino_t ino, const char *buf, std::size_t size,
			  off_t off, fuse_file_info *fi)
	{
		const std::shared_ptr<node> n = self(req).find(ino);

		if (n && n->set) {
			self(req).host_.run_job([req, n, text = std::string(buf, size)] {
				const int error = n->set(text);

				if (error)
					fuse_reply_err(req, -error);
				else
					fuse_reply_write(req, text.size());
			});
			return;
		}
		if (!n || !n->file || off < 0) {
			fuse_reply_err(req, n ? EINVAL : ENOENT);
			return;
		}
		const content::write_result r = n->file->bytes().write(
			fuse_channel::current_ticket(), static_cast<std::size_t>(off), buf, size,
			fi->writepage);
		/*
		 * After the bytes are in, before the answer: a harvest that this kick causes can
		 * send them.
		 */
		n->file->accessed();
		if (r.error)
			fuse_reply_err(req, -r.error);
		else
			fuse_reply_write(req, r.written);
	}

	static void release(fuse_req_t req, fuse_ino_t ino, fuse_file_info *fi)
	{
		const std::shared_ptr<node> n = self(req).find(ino);

		if (n && n->file)
			close_file(*n, handle_of(fi));
		else if (handle_of(fi)->stream)
			end_stream(self(req), std::unique_ptr<handle>(handle_of(fi)));
		else
			delete handle_of(fi);
		fuse_reply_err(req, 0);
	}

	/* Whoever feeds it lets go of it, which may take waiting. */
	static void end_stream(fb_fs &fs, std::unique_ptr<handle> h)
	{
		std::shared_ptr<open_stream> last = std::move(h->stream);

		fs.streams_.closed(last);
		fs.host_.run_job([last = std::move(last)]() mutable { last.reset(); });
	}

	/* A file but a stream is always ready. */
	static void poll(fuse_req_t req, fuse_ino_t ino, fuse_file_info *fi, fuse_pollhandle *ph)
	{
		const std::shared_ptr<node> n = self(req).find(ino);

		if (n && n->begin) {
			self(req).streams_.poll(req, handle_of(fi)->stream, ph);
			return;
		}
		if (ph)
			fuse_pollhandle_destroy(ph);
		fuse_reply_poll(req, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
	}

	/* Numbers with sizes in them (fb_request.h): the kernel has copied what they say. */
	static void ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *, fuse_file_info *,
			  unsigned flags, const void *in, std::size_t in_size, std::size_t)
	{
		const std::shared_ptr<node> n = self(req).find(ino);

		if (!n || !n->file || (flags & FUSE_IOCTL_COMPAT)) {
			fuse_reply_err(req, ENOTTY);
			return;
		}
		n->file->control(cmd, std::string(static_cast<const char *>(in), in_size),
				 [req](int result, const std::string &out) {
					 if (result < 0)
						 fuse_reply_err(req, -result);
					 else
						 fuse_reply_ioctl(req, result, out.data(),
								  out.size());
				 });
	}

	static void unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
	{
		fb_fs &fs = self(req);
		const std::shared_ptr<node> n =
			parent == FUSE_ROOT_ID ? fs.find_name(name) : nullptr;

		/*
		 * Only what a program made can a program remove: fb0 is a device, the rest is ours.
		 */
		if (!n || !n->file || n->file->bytes().is_device()) {
			fuse_reply_err(req, n ? EPERM : ENOENT);
			return;
		}
		fs.remove_name(name);
		fs.host_.file_removed(n->ino);
		fuse_reply_err(req, 0);
	}

	/* Names that a program may not make; without these it would hear ENOSYS. */
	static void mkdir(fuse_req_t req, fuse_ino_t, const char *, mode_t)
	{
		fuse_reply_err(req, EPERM);
	}
	static void mknod(fuse_req_t req, fuse_ino_t, const char *, mode_t, dev_t)
	{
		fuse_reply_err(req, EPERM);
	}
	static void symlink(fuse_req_t req, const char *, fuse_ino_t, const char *)
	{
		fuse_reply_err(req, EPERM);
	}
	static void rename(fuse_req_t req, fuse_ino_t, const char *, fuse_ino_t, const char *,
			   unsigned)
	{
		fuse_reply_err(req, EPERM);
	}

	static void readdir(fuse_req_t req, fuse_ino_t ino, std::size_t size, off_t off,
			    fuse_file_info *)
	{
		fb_fs &fs = self(req);
		std::vector<std::pair<std::string, struct stat>> entries(2);
		std::vector<char> out(size);
		std::size_t used = 0;

		if (ino != FUSE_ROOT_ID) {
			fuse_reply_err(req, ENOTDIR);
			return;
		}
		entries[0].first = ".";
		entries[1].first = "..";
		fs.fill_root(&entries[0].second);
		fs.fill_root(&entries[1].second);
		{
			std::lock_guard hold(fs.lock_);
			for (const auto &[name, number] : fs.names_) {
				entries.emplace_back(name, (struct stat){});
				fs.fill(*fs.nodes_.at(number), &entries.back().second);
			}
		}
		for (auto i = static_cast<std::size_t>(std::max<off_t>(off, 0)); i < entries.size();
		     i++) {
			const std::size_t n = fuse_add_direntry(
				req, out.data() + used, size - used, entries[i].first.c_str(),
				&entries[i].second, static_cast<off_t>(i) + 1);
			if (n > size - used)
				break;
			used += n;
		}
		fuse_reply_buf(req, out.data(), used);
	}

	static void statfs(fuse_req_t req, fuse_ino_t)
	{
		struct statvfs s {
		};
		const fb_fs &fs = self(req);

		s.f_bsize = s.f_frsize = page_bytes;
		s.f_namemax = 255;
		{
			std::lock_guard hold(fs.lock_);
			s.f_files = fs.nodes_.size() + 1;
			for (const auto &[number, n] : fs.nodes_)
				if (n->file)
					s.f_blocks +=
						page_round_up(n->file->bytes().size()) / page_bytes;
		}
		fuse_reply_statfs(req, &s);
	}
};

fb_fs::sole_use::~sole_use()
{
	std::vector<waiting_open> came;

	if (!node_ || !alone_)
		return;
	{
		std::lock_guard hold(fs_.lock_);
		node_->held_back = false;
		came.swap(node_->waiting);
		node_->users.fetch_add(static_cast<unsigned>(came.size()));
	}
	for (waiting_open &w : came)
		ops_impl::open_file(w.req, *node_, &w.fi, false);
}

const fuse_lowlevel_ops &fb_fs::ops()
{
	static const fuse_lowlevel_ops table = [] {
		fuse_lowlevel_ops o{};

		o.init = ops_impl::init;
		o.lookup = ops_impl::lookup;
		o.forget = ops_impl::forget;
		o.getattr = ops_impl::getattr;
		o.setattr = ops_impl::setattr;
		o.open = ops_impl::open;
		o.create = ops_impl::create;
		o.read = ops_impl::read;
		o.write = ops_impl::write;
		o.release = ops_impl::release;
		o.ioctl = ops_impl::ioctl;
		o.poll = ops_impl::poll;
		o.unlink = ops_impl::unlink;
		o.mkdir = ops_impl::mkdir;
		o.mknod = ops_impl::mknod;
		o.symlink = ops_impl::symlink;
		o.rename = ops_impl::rename;
		o.readdir = ops_impl::readdir;
		o.statfs = ops_impl::statfs;
		return o;
	}();
	return table;
}

} // namespace fuse_fb
