/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fb_fs.h - the file system: one directory of screens and of files made when they are opened
 *
 *      /                     ino 1
 *      fb0, Xvfb_screenN     served_file: cached by the kernel, mapped by programs
 *      *.png, stats.json     rendered when opened, the same bytes for as long as they stay open
 *      mode                  the same, and each write(2) sets it
 *      damage, screen.y4m    streams (fs_stream.h): read as it comes
 *
 * Handlers are called by the threads of fuse_channel. They copy and go: nothing in them draws,
 * waits for a device, or touches the mount. What takes long (rendering, removing a screen) is
 * handed to the host (fs_host), which answers from its own thread.
 *
 * F1: the size of a file that is mapped changes only when a program asks for it; attributes may
 *     therefore be cached for as long as the kernel likes.
 * F2: the page cache of a file is kept over open and close (keep_cache): stores of one program are
 *     not dropped because another one opens the file.
 * F3: O_TRUNC arrives as a truncation (the kernel must not cut the file by itself): a device keeps
 *     its size.
 * Locks: lock_ (the nodes and names; never held while a reply is sent or a host is called).
 */
#pragma once

#include "fuse_channel.h"

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "content.h"
#include "stream_table.h"

namespace fuse_fb
{

/* A file with bytes that programs map. */
class served_file
{
public:
	virtual ~served_file() = default;
	virtual content &bytes() = 0;
	/* A READ or WRITE was received. Request thread: quick, no waiting. */
	virtual void accessed() = 0;
	/* The last user closed. Likewise. */
	virtual void unused() = 0;
	/*
	 * An ioctl with the bytes @in. Likewise: @answer is called once, now or later, by whichever
	 * thread, with 0 and bytes or a negative errno.
	 */
	using control_answer = std::function<void(int result, const std::string &out)>;
	virtual void control(unsigned request, std::string in, control_answer answer) = 0;
};

/* Who gives files to the file system. Both are called by request threads and must not wait. */
class fs_host
{
public:
	virtual ~fs_host() = default;
	/* A program creates @name. Return: the file, or null and a negative errno in *@error. */
	virtual std::shared_ptr<served_file> create_file(const std::string &name, int *error) = 0;
	/* The node has its number: called once, before anything can be read or written. */
	virtual void file_created(const std::string &name, std::uint64_t ino,
				  std::shared_ptr<served_file> file) = 0;
	/* The name is gone; programs may still have it open. */
	virtual void file_removed(std::uint64_t ino) = 0;
	/* The last reference, to be dropped where waiting is allowed. */
	virtual void file_forgotten(std::shared_ptr<served_file> file) = 0;
	/* Runs @job where waiting is allowed. */
	virtual void run_job(std::function<void()> job) = 0;
};

/*
 * Makes the bytes of a rendered file. Runs by run_job(); empty = the file cannot be made now (EIO).
 */
using renderer = std::function<std::string()>;
/* What was written to such a file, in one piece. Runs by run_job(). 0 or negative errno. */
using setter = std::function<int(const std::string &)>;

class fb_fs
{
	struct node;

public:
	fb_fs(fs_host &host, bool for_others);
	~fb_fs();
	fb_fs(const fb_fs &) = delete;
	fb_fs &operator=(const fb_fs &) = delete;

	/* For fuse_channel, with this object as user data. */
	static const fuse_lowlevel_ops &ops();

	/* Return: the inode number. */
	std::uint64_t add_file(const std::string &name, std::shared_ptr<served_file> file);
	/* Without @set nobody may write. */
	void add_rendered(const std::string &name, renderer make, setter set = {});
	/* A file that is read as it comes. */
	void add_stream(const std::string &name, stream_maker make);
	/* Who waits for a stream hears that there is nothing more. Before the mount goes. */
	void end_streams() { streams_.end(); }
	/* Removes a name that the daemon itself made. */
	void remove_name(const std::string &name);

	/* How many opens of others there are. */
	unsigned users(std::uint64_t ino) const;

	/* In the scope of it, opens by this thread are the daemon's own and count for nothing. */
	class own_open
	{
	public:
		explicit own_open(fb_fs &fs);
		~own_open();
		own_open(const own_open &) = delete;
		own_open &operator=(const own_open &) = delete;

	private:
		fb_fs &fs_;
		const pid_t tid_;
	};

	/*
	 * In the scope of it nobody but the daemon has the file open: opens of others wait. False
	 * when somebody has it open already; then it does nothing. Not in a request thread.
	 */
	class sole_use
	{
	public:
		sole_use(fb_fs &fs, std::uint64_t ino);
		~sole_use();
		sole_use(const sole_use &) = delete;
		sole_use &operator=(const sole_use &) = delete;
		explicit operator bool() const { return alone_; }

	private:
		fb_fs &fs_;
		const std::shared_ptr<node> node_; /* null: the kernel does not know it */
		bool alone_ = false;
	};

	/*
	 * Runs what touches a mapping of the mount; false: a page could not be had. Set before use.
	 */
	void set_guard(std::function<bool(const std::function<void()> &)> guard);
	bool guarded(const std::function<void()> &touch) const;

private:
	struct waiting_open {
		fuse_req_t req;
		fuse_file_info fi;
	};
	struct node {
		std::uint64_t ino;
		std::string name;
		std::shared_ptr<served_file> file; /* or make is set */
		renderer make;
		setter set;         /* of make; may be empty */
		stream_maker begin; /* or this */
		std::atomic<std::size_t> rendered_size{0};
		std::atomic<unsigned> users{0}; /* from 0 to 1 under lock_, unless held_back */
		std::uint64_t lookups = 0;      /* protected by lock_, like the next three */
		bool linked = true;
		bool held_back = false; /* sole_use: opens wait */
		std::vector<waiting_open> waiting;
	};
	struct handle; /* of an open rendered file */
	struct ops_impl;

	std::shared_ptr<node> find(std::uint64_t ino) const;
	std::shared_ptr<node> find_name(const std::string &name) const;
	std::shared_ptr<node> insert(const std::string &name);
	void fill(const node &n, struct stat *st) const;
	void fill_root(struct stat *st) const;
	void publish(const node &n);
	bool is_own_thread(pid_t tid) const;
	bool add_user(node &n, fuse_req_t req, const fuse_file_info &fi);
	void forget(std::uint64_t ino, std::uint64_t count);

	stream_table streams_;
	fs_host &host_;
	const bool for_others_;
	const std::int64_t mounted_at_;
	mutable std::mutex lock_;
	std::map<std::uint64_t, std::shared_ptr<node>>
		nodes_; /* protected by lock_, like the next three */
	std::map<std::string, std::uint64_t> names_;
	std::uint64_t next_ino_ = FUSE_ROOT_ID + 1;
	std::vector<pid_t> own_threads_;
	std::function<bool(const std::function<void()> &)> guard_;
};

} // namespace fuse_fb
