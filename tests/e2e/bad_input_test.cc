/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bad_input_test.cc - one line that says what, why and what to do; a documented code; nothing left
 */
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "running_daemon.h"

using namespace e2e;

namespace
{

constexpr uid_t nobody = 65534;

/* Runs the daemon in a way that must fail: with @code, one line with @words, and no mount. */
void expect_refused(const mount_dir &dir, const std::vector<std::string> &argv, int code,
		    const std::vector<std::string> &words, uid_t user = 0)
{
	child::setup with;

	with.user = user;
	const finished f = run_command(argv, with);
	EXPECT_EQ(f.code, code) << f.output;
	EXPECT_EQ(std::count(f.output.begin(), f.output.end(), '\n'), 1)
		<< "one line, not: " << f.output;
	for (const std::string &w : words)
		EXPECT_NE(f.output.find(w), std::string::npos) << "'" << w << "' in: " << f.output;
	EXPECT_EQ(dir.mounts(), 0);
}

class descriptor
{
public:
	descriptor(const std::string &path, int flags)
		: fd(open(path.c_str(), flags | O_CLOEXEC, 0666))
	{
	}
	~descriptor()
	{
		if (fd >= 0)
			close(fd);
	}
	descriptor(const descriptor &) = delete;
	descriptor &operator=(const descriptor &) = delete;
	const int fd;
};

off_t size_of(const std::string &path)
{
	struct stat st {
	};

	return stat(path.c_str(), &st) ? -1 : st.st_size;
}

/* The words of an XWD header, big-endian, at the front of an X server's file. */
struct xwd_words {
	std::uint32_t w[25];

	static xwd_words good(std::uint32_t width, std::uint32_t height)
	{
		return {{160, 7,   2,     24,        width, height,   0,      0,    32,
			 0,   32,  32,    width * 4, 4,     0xff0000, 0xff00, 0xff, 8,
			 256, 256, width, height,    0,     0,        0}};
	}
	void store(int fd) const
	{
		std::uint32_t be[25];

		for (int i = 0; i < 25; i++)
			be[i] = htonl(w[i]);
		ASSERT_EQ(pwrite(fd, be, sizeof(be), 0), static_cast<ssize_t>(sizeof(be)));
	}
};

constexpr std::uint32_t x_width = 320, x_height = 200;
constexpr off_t x_size = 160 + 256 * 12 + x_width * x_height * 4;

} // namespace

TEST(bad_input, command_lines_are_refused_with_a_line_and_a_code)
{
	mount_dir dir;
	const std::string d = daemon_path();

	expect_refused(dir, {d, "-f", dir.path(), "--mode", "huge"}, 6, {"huge", "1024x768x32"});
	expect_refused(dir, {d, dir.path(), "--mode", "1024x768x15"}, 6, {"depth"});
	expect_refused(dir, {d, dir.path(), "--frobnicate"}, 2, {"--help"});
	expect_refused(dir, {d, dir.path(), "-P", "vmap.lazy_pages=many"}, 2,
		       {"vmap.lazy_pages=many", "--help-params"});
	expect_refused(dir, {d, dir.path(), "-P", "vmap.lazy=1"}, 2, {"vmap.lazy=1"});
	expect_refused(dir, {d, dir.path(), "-P", "vmpa.lazy_pages=1"}, 2, {"called 'vmpa'"});
	expect_refused(dir, {d}, 2, {"MOUNTPOINT"});
	expect_refused(dir, {d, dir.path(), "--vnc", "localhost:notaport"}, 7, {"notaport"});
	/* In both ways of running. */
	for (const char *f : {"-f", "--rate=60"}) {
		expect_refused(dir, {d, f, dir.path() + "/no/such"}, 3, {"/no/such", "mkdir"});
		expect_refused(dir, {d, f, "/etc/passwd"}, 3, {"not a directory"});
		expect_refused(dir, {d, f, "/etc/passwd/a/b"}, 3,
			       {"Not a directory", "directory of yours"});
		expect_refused(dir, {d, f, dir.path(), "-o", "nonsense"}, 2, {"nonsense"});
		expect_refused(dir, {d, f, dir.path(), "-o", "ro,max_read=4096"}, 2, {"max_read"});
		expect_refused(dir, {d, f, dir.path(), "--memory", "4M", "--mode", "1920x1080x32"},
			       6, {"--memory"});
		expect_refused(dir,
			       {d, f, dir.path(), "--memory", "4G", "--mode", "16384x16384x32"}, 6,
			       {"page directory"});
	}
}

TEST(bad_input, vnc_port_taken)
{
	mount_dir dir;
	const int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sockaddr_in a{};
	socklen_t size = sizeof(a);

	a.sin_family = AF_INET;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ASSERT_EQ(bind(s, reinterpret_cast<sockaddr *>(&a), sizeof(a)), 0);
	ASSERT_EQ(listen(s, 1), 0);
	ASSERT_EQ(getsockname(s, reinterpret_cast<sockaddr *>(&a), &size), 0);
	const std::string address = "127.0.0.1:" + std::to_string(ntohs(a.sin_port));
	for (const char *f : {"-f", "--rate=60"})
		expect_refused(dir, {daemon_path(), f, dir.path(), "--vnc", address}, 7, {address});
	close(s);
}

TEST(bad_input, mount_point_in_use)
{
	if (geteuid() != 0)
		GTEST_SKIP() << "mounting needs root";
	mount_dir dir;
	ASSERT_EQ(mount("none", dir.path().c_str(), "tmpfs", 0, "size=64k"), 0);
	const finished f = run_command({daemon_path(), "-f", dir.path()});
	EXPECT_EQ(f.code, 3) << f.output;
	EXPECT_NE(f.output.find("in use"), std::string::npos) << f.output;
	EXPECT_EQ(dir.mounts(), 1) << "and was left alone";
	ASSERT_EQ(umount(dir.path().c_str()), 0);

	running_daemon d(dir);
	const finished g = run_command({daemon_path(), "-f", dir.path()});
	EXPECT_EQ(g.code, 3) << g.output;
	EXPECT_NE(g.output.find("in use by pvshim-fb"), std::string::npos) << g.output;
	EXPECT_NE(g.output.find(std::to_string(d.process().pid())), std::string::npos) << g.output;
	EXPECT_TRUE(d.shown("fb0")) << "the first one lives";
}

TEST(bad_input, too_few_descriptors)
{
	/* Whatever cannot be opened any more: a line, a code, and nothing is left. */
	for (int most = 4;; most++) {
		mount_dir dir;
		child c({"sh", "-c", "ulimit -n \"$0\" && exec \"$1\" -f \"$2\"",
			 std::to_string(most), daemon_path(), dir.path()});

		ASSERT_TRUE(eventually([&] {
			return c.wait(milliseconds(0)) ||
			       c.output().find("now run:") != std::string::npos;
		}));
		if (c.code() < 0)
			break;
		ASSERT_LT(most, 100);
		if (c.output().find("error while loading shared libraries") != std::string::npos)
			continue;
		const std::string said = c.output();
		EXPECT_TRUE(c.code() == 1 || c.code() == 4) << c.code() << ": " << said;
		EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
		EXPECT_NE(said.find("Too many open files"), std::string::npos) << said;
		EXPECT_EQ(said.find("install"), std::string::npos) << "wrong advice: " << said;
		EXPECT_EQ(dir.mounts(), 0);
	}
}

TEST(bad_input, no_fuse_device)
{
	if (geteuid() != 0)
		GTEST_SKIP() << "hiding /dev/fuse needs root";
	mount_dir dir;
	/* In a mount namespace of its own with an empty /dev. */
	expect_refused(dir,
		       {"unshare", "-m", "sh", "-c",
			"mount -t tmpfs none /dev && exec \"$0\" -f \"$1\"", daemon_path(),
			dir.path()},
		       4, {"/dev/fuse", "modprobe"});
}

TEST(bad_input, what_a_user_may_not)
{
	if (geteuid() != 0)
		GTEST_SKIP() << "becoming another user needs root";
	mount_dir dir;
	child::setup with;
	with.user = nobody;
	if (run_command({daemon_path(), "--version"}, with).code != 0)
		GTEST_SKIP() << "user nobody cannot run " << daemon_path();

	expect_refused(dir, {daemon_path(), "-f", dir.path()}, 3, {"ermission"}, nobody);
	std::ifstream conf("/etc/fuse.conf");
	std::string line;
	bool allowed = false;
	while (std::getline(conf, line))
		allowed |= line.rfind("user_allow_other", 0) == 0;
	ASSERT_EQ(chown(dir.path().c_str(), nobody, nobody), 0);
	if (!allowed)
		expect_refused(dir, {daemon_path(), "-f", dir.path(), "-o", "allow_other"}, 5,
			       {"allow_other", "/etc/fuse.conf"}, nobody);
}

TEST(bad_input, a_user_mounts_through_fusermount3)
{
	if (geteuid() != 0)
		GTEST_SKIP() << "becoming another user needs root";
	mount_dir dir;
	child::setup with;
	with.user = nobody;
	if (run_command({daemon_path(), "--version"}, with).code != 0)
		GTEST_SKIP() << "user nobody cannot run " << daemon_path();
	ASSERT_EQ(chown(dir.path().c_str(), nobody, nobody), 0);

	/*
	 * In a mount namespace of its own, where everybody may open /dev/fuse, as on a usual
	 * Debian. What is said there comes out; the mount is seen from inside only and goes with
	 * the namespace.
	 */
	const std::string script = R"(
		set -e
		mount -t tmpfs none /media
		mknod -m 666 /media/fuse c 10 229
		mount --bind /media/fuse /dev/fuse
		as="setpriv --reuid=65534 --regid=65534 --clear-groups"
		$as "$0" "$2"
		grep -c " $2 fuse.pvshim-fb" /proc/self/mounts
		$as "$1" draw "$2/fb0" 0.1 </dev/null
		$as ls "$2"
		tries=0
		until $as fusermount3 -u "$2" 2>&1; do
			tries=$((tries + 1))
			[ $tries -lt 600 ] || exit 1
			sleep 0.1
		done
		grep -c " $2 fuse.pvshim-fb" /proc/self/mounts || echo unmounted
	)";
	const finished f = run_command(
		{"unshare", "-m", "sh", "-c", script, daemon_path(), helper_path(), dir.path()});
	EXPECT_EQ(f.code, 0) << f.output;
	for (const char *word : {"now run:", "\n1\n", "drew", "screen.png", "unmounted"})
		EXPECT_NE(f.output.find(word), std::string::npos) << word << " in: " << f.output;
}

TEST(bad_input, fb0_keeps_its_size_and_its_end)
{
	mount_dir dir;
	running_daemon d(dir);
	const std::string fb0 = dir.file("fb0");
	const off_t size = 1024 * 768 * 4;
	char buf[16] = {};

	ASSERT_EQ(size_of(fb0), size);
	{
		descriptor f(fb0, O_RDWR);
		ASSERT_EQ(pwrite(f.fd, "keep", 4, 4096), 4);
	}
	{
		descriptor f(fb0, O_RDWR | O_TRUNC);
		ASSERT_GE(f.fd, 0);
		EXPECT_EQ(size_of(fb0), size);
		EXPECT_EQ(ftruncate(f.fd, 5), 0);
		EXPECT_EQ(ftruncate(f.fd, size * 2), 0);
		EXPECT_EQ(size_of(fb0), size);
		EXPECT_EQ(pread(f.fd, buf, 4, 4096), 4);
		EXPECT_EQ(std::memcmp(buf, "keep", 4), 0) << "truncating a device loses nothing";

		EXPECT_EQ(pread(f.fd, buf, 16, size), 0);
		EXPECT_EQ(pread(f.fd, buf, 16, size + 12345), 0);
		EXPECT_EQ(pread(f.fd, buf, 16, size - 6), 6);
		EXPECT_EQ(pwrite(f.fd, buf, 16, size), -1);
		EXPECT_EQ(errno, ENOSPC);
		EXPECT_EQ(pwrite(f.fd, buf, 16, size + 1), -1);
		EXPECT_EQ(errno, EFBIG);
		EXPECT_EQ(pwrite(f.fd, buf, 16, size - 6), 6) << "as much as there is room for";
		EXPECT_EQ(size_of(fb0), size);
	}
	EXPECT_EQ(unlink(fb0.c_str()), -1);
	EXPECT_EQ(errno, EPERM);
	EXPECT_EQ(differing_pixels(dir), 0u);
}

TEST(bad_input, names_and_sizes_of_files_are_bounded)
{
	mount_dir dir;
	running_daemon d(dir);

	for (const char *name :
	     {"x", "Xvfb_screen", "Xvfb_screen0x", "Xvfb_screen-1", "Xvfb_screen99999999999"}) {
		descriptor f(dir.file(name), O_RDWR | O_CREAT);
		EXPECT_EQ(f.fd, -1) << name;
		EXPECT_EQ(errno, EPERM) << name;
	}
	EXPECT_EQ(mkdir(dir.file("Xvfb_screen7").c_str(), 0777), -1);
	EXPECT_EQ(errno, EPERM);
	EXPECT_EQ(mkfifo(dir.file("Xvfb_screen7").c_str(), 0777), -1);
	EXPECT_EQ(errno, EPERM);
	EXPECT_EQ(symlink("fb0", dir.file("Xvfb_screen7").c_str()), -1);
	EXPECT_EQ(errno, EPERM);
	EXPECT_EQ(rename(dir.file("fb0").c_str(), dir.file("Xvfb_screen1").c_str()), -1);
	EXPECT_EQ(errno, EPERM);
	{
		descriptor png(dir.file("screen.png"), O_WRONLY);
		EXPECT_EQ(png.fd, -1);
	}

	/* Sixteen, and not one more, until one goes. */
	const std::size_t before = d.open_descriptors();
	for (int i = 0; i < 16; i++) {
		descriptor f(dir.file("Xvfb_screen" + std::to_string(i)), O_RDWR | O_CREAT);
		ASSERT_GE(f.fd, 0) << i;
	}
	{
		descriptor f(dir.file("Xvfb_screen16"), O_RDWR | O_CREAT);
		EXPECT_EQ(f.fd, -1);
		EXPECT_EQ(errno, ENOSPC);
	}
	{
		descriptor f(dir.file("Xvfb_screen3"), O_RDWR);
		const off_t limit = 240l << 20;

		EXPECT_EQ(ftruncate(f.fd, limit + 1), -1);
		EXPECT_EQ(errno, EFBIG);
		EXPECT_EQ(pwrite(f.fd, "x", 1, limit), -1);
		EXPECT_EQ(errno, EFBIG);
		EXPECT_EQ(ftruncate(f.fd, limit), 0);
		EXPECT_EQ(pwrite(f.fd, "x", 1, limit - 1), 1);
	}
	for (int i = 0; i < 16; i++)
		EXPECT_EQ(unlink(dir.file("Xvfb_screen" + std::to_string(i)).c_str()), 0) << i;
	EXPECT_TRUE(eventually([&] {
		descriptor f(dir.file("Xvfb_screen16"), O_RDWR | O_CREAT);
		return f.fd >= 0;
	})) << "room again";
	EXPECT_EQ(unlink(dir.file("Xvfb_screen16").c_str()), 0);
	EXPECT_TRUE(eventually([&] { return d.open_descriptors() <= before; }))
		<< "descriptors leak";
}

TEST(bad_input, a_dump_copied_in_from_the_front_becomes_a_screen)
{
	mount_dir dir;
	running_daemon d(dir);
	descriptor f(dir.file("Xvfb_screen0"), O_RDWR | O_CREAT);
	std::vector<std::uint8_t> rest(x_size - 4096);

	/* As `cp` writes it: the header first, and time passes before the rest comes. */
	xwd_words::good(x_width, x_height).store(f.fd);
	EXPECT_FALSE(d.shown("Xvfb_screen0"));
	EXPECT_FALSE(d.shown("Xvfb_screen0")) << "what the header set off ran before this";
	ASSERT_EQ(pwrite(f.fd, rest.data(), rest.size(), 4096), static_cast<ssize_t>(rest.size()));
	EXPECT_TRUE(eventually([&] { return d.shown("Xvfb_screen0"); })) << d.process().output();
	EXPECT_EQ(d.process().output().find("ignoring"), std::string::npos)
		<< "it was never wrong: " << d.process().output();
	EXPECT_EQ(read_png(dir.file("Xvfb_screen0.png")).width, x_width);
}

TEST(bad_input, a_screen_removed_while_it_is_drawn_into_is_let_go_of)
{
	mount_dir dir;
	running_daemon d(dir);
	const std::string path = dir.file("Xvfb_screen0");
	const std::size_t before = d.open_descriptors();

	for (int round = 0; round < 60; round++) {
		descriptor f(path, O_RDWR | O_CREAT);
		ASSERT_GE(f.fd, 0);
		ASSERT_EQ(ftruncate(f.fd, x_size), 0);
		xwd_words::good(x_width, x_height).store(f.fd);
		ASSERT_TRUE(eventually([&] { return d.shown("Xvfb_screen0"); }));
		void *p = mmap(nullptr, x_size, PROT_READ | PROT_WRITE, MAP_SHARED, f.fd, 0);
		ASSERT_NE(p, MAP_FAILED);
		auto *bytes = static_cast<volatile unsigned char *>(p);
		for (off_t at = 8192; at < x_size; at += 4096)
			bytes[at] = static_cast<unsigned char>(round + 1);
		EXPECT_EQ(unlink(path.c_str()), 0);
		munmap(p, x_size);
	}
	EXPECT_TRUE(eventually([&] { return d.open_descriptors() <= before; },
			       std::chrono::seconds(20)))
		<< "the mount stays busy: " << d.open_descriptors() << " > " << before;
}

TEST(bad_input, a_daemon_out_of_memory_refuses_and_lives)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	GTEST_SKIP() << "a sanitizer needs addresses of its own";
#endif
	/*
	 * A file takes 240 MiB of addresses until it is shown, and again when it grows or goes.
	 * What is left over stays large enough for small things: only files are refused.
	 */
	for (const rlim_t more : {200, 320, 400, 440, 680}) {
		mount_dir dir;
		running_daemon d(dir, {"--mode", "320x200x32"});
		const pid_t pid = d.process().pid();
		std::ifstream statm("/proc/" + std::to_string(pid) + "/statm");
		rlim_t pages = 0;

		ASSERT_TRUE(statm >> pages);
		const rlimit tight{pages * 4096 + (more << 20), RLIM_INFINITY};
		ASSERT_EQ(prlimit(pid, RLIMIT_AS, &tight, nullptr), 0);
		for (int i = 0; i < 4; i++) {
			descriptor f(dir.file("Xvfb_screen" + std::to_string(i)), O_RDWR | O_CREAT);
			if (f.fd < 0 || ftruncate(f.fd, x_size))
				continue;
			xwd_words::good(x_width, x_height).store(f.fd);
			/* The header is seen before this is rendered. */
			descriptor stats(dir.file("stats.json"), O_RDONLY);
			EXPECT_TRUE(stats.fd >= 0 || errno == ENOMEM || errno == EIO);
			(void)!ftruncate(f.fd, x_size * 2);
		}
		for (int i = 0; i < 4; i++)
			(void)unlink(dir.file("Xvfb_screen" + std::to_string(i)).c_str());
		descriptor after(dir.file("stats.json"), O_RDONLY);
		const rlimit usual{RLIM_INFINITY, RLIM_INFINITY};
		ASSERT_EQ(prlimit(pid, RLIMIT_AS, &usual, nullptr), 0);
		ASSERT_EQ(d.process().code(), -1);
		ASSERT_FALSE(d.process().wait(milliseconds(0))) << d.process().output();
		EXPECT_EQ(read_png(dir.file("screen.png")).width, 320u) << "and works again";
		d.process().signal(SIGTERM);
		ASSERT_TRUE(d.process().wait());
		EXPECT_EQ(d.process().code(), 0) << more << ": " << d.process().output();
	}
}

TEST(bad_input, hostile_headers_are_ignored_with_a_line_and_change_nothing)
{
	mount_dir dir;
	running_daemon d(dir);
	const std::string path = dir.file("Xvfb_screen0");
	descriptor f(path, O_RDWR | O_CREAT);
	ASSERT_GE(f.fd, 0);
	ASSERT_EQ(ftruncate(f.fd, x_size), 0);

	const auto with = [](int word, std::uint32_t value) {
		xwd_words w = xwd_words::good(x_width, x_height);

		w.w[word] = value;
		return w;
	};
	const xwd_words hostile[] = {
		with(0, 0),
		with(0, 99),
		with(0, 0xffffffff),
		with(1, 6),
		with(4, 0),
		with(4, 0xffffffff),
		with(4, 0x80000000),
		with(5, 0),
		with(5, 0xffffffff),
		with(5, x_height + 1),
		with(11, 7),
		with(11, 0xffffffff),
		with(12, 0),
		with(12, 1),
		with(12, 0xffffffff),
		with(12, 0x80000000),
		with(19, 0xffffffff),
		with(19, 0x15555556),
		with(3, 0),
		xwd_words::good(0xffff, 0xffff),
		xwd_words::good(1 << 30, 4),
	};

	for (const bool shown : {false, true}) {
		if (shown) {
			xwd_words::good(x_width, x_height).store(f.fd);
			ASSERT_TRUE(eventually([&] { return d.shown("Xvfb_screen0"); }))
				<< d.process().output();
			ASSERT_EQ(pwrite(f.fd, "\x30\x20\x10", 3, 160 + 256 * 12), 3);
		}
		for (const xwd_words &w : hostile) {
			w.store(f.fd);
			/* A picture that is made on purpose runs after what the header set off. */
			const nlohmann::json s = d.screen("Xvfb_screen0");
			ASSERT_FALSE(s.is_null());
			EXPECT_EQ(s["shown"], shown);
			if (shown) {
				EXPECT_EQ(s["width"], x_width);
				EXPECT_EQ(s["height"], x_height);
			}
			EXPECT_EQ(s["size"], x_size) << "the bytes stay";
		}
	}
	EXPECT_NE(d.process().output().find("ignoring its XWD header"), std::string::npos)
		<< d.process().output();
	/* The picture was there all the time. */
	const picture_file p = read_png(dir.file("Xvfb_screen0.png"));
	EXPECT_EQ(p.width, x_width);
	EXPECT_EQ(p.height, x_height);
	EXPECT_EQ(p.rgb[0], 0x10);
	EXPECT_EQ(p.rgb[2], 0x30);

	/* And a good one that asks for another size is believed. */
	xwd_words::good(x_width / 2, x_height).store(f.fd);
	EXPECT_TRUE(eventually([&] { return d.screen("Xvfb_screen0")["width"] == x_width / 2; }));
}

TEST(bad_input, a_password_that_is_none_or_everybodys)
{
	mount_dir dir;
	const std::string file = dir.path() + ".password";
	const std::vector<std::string> argv = {
		daemon_path(), "-f", dir.path(), "--vnc", "127.0.0.1:5999", "--vnc-password", file};

	expect_refused(dir, argv, 7, {file, "No such file"});
	std::ofstream(file) << "secret\n";
	chmod(file.c_str(), 0644);
	expect_refused(dir, argv, 7, {file, "others may read it", "chmod 600"});
	std::ofstream(file) << "\n";
	chmod(file.c_str(), 0600);
	expect_refused(dir, argv, 7, {file, "empty"});
	unlink(file.c_str());
}
