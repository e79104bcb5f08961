/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The VNC server against a small client: what the source holds arrives, of a change only the
 * change; nobody can stop the others; nothing runs while nothing happens.
 */
#include <gtest/gtest.h>

#include <atomic>
#include <ctime>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include "viewers/vnc_server.h"
#include "viewers_rfb_client.h"
#include "viewers_source.h"

using namespace fuse_fb;

namespace
{

bool soon(const std::function<bool()> &is)
{
	const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);

	while (!is()) {
		if (std::chrono::steady_clock::now() > end)
			return false;
		std::this_thread::yield();
	}
	return true;
}

class viewers_vnc : public testing::Test
{
protected:
	array_source source{333, 111, default_pixel_format(32)};
	vnc_server server{"127.0.0.1", 0, "a title"};

	void SetUp() override
	{
		source.scribble(1);
		server.show(&source);
	}
	void TearDown() override { server.show(nullptr); }
};

} // namespace

TEST_F(viewers_vnc, a_client_gets_the_picture_and_then_only_what_changes)
{
	rfb_client c(server.port());

	c.shake_hands();
	EXPECT_EQ(c.title, "a title");
	EXPECT_EQ(c.width, 333u);
	EXPECT_EQ(c.height, 111u);
	c.request(false);
	EXPECT_EQ(c.update(), 333u * 111);
	EXPECT_EQ(c.rgb, source.rgb_bytes());

	c.request(true);
	source.scribble(2, {17, 5, 20, 10});
	EXPECT_EQ(c.update(), 20u * 10);
	EXPECT_EQ(c.rgb, source.rgb_bytes());
}

TEST_F(viewers_vnc, every_depth)
{
	for (const unsigned bits : {8u, 16u, 24u, 32u}) {
		source.become(101, 50, default_pixel_format(bits));
		source.scribble(bits);
		rfb_client c(server.port());
		c.shake_hands();
		c.request(false);
		c.update();
		EXPECT_EQ(c.rgb, source.rgb_bytes()) << bits << " bits";
	}
}

TEST_F(viewers_vnc, clients_follow_size_palette_and_source)
{
	rfb_client c(server.port());

	c.shake_hands();
	ASSERT_TRUE(c.becomes(source.rgb_bytes()));
	source.become(640, 200, default_pixel_format(16));
	source.scribble(3);
	ASSERT_TRUE(c.becomes(source.rgb_bytes()));
	EXPECT_EQ(c.width, 640u);

	/* Only the palette changes, not a pixel. */
	pixel_format f = default_pixel_format(8);
	f.indexed = true;
	f.palette[0] = {9, 8, 7};
	source.become(64, 64, f);
	ASSERT_TRUE(c.becomes(source.rgb_bytes()));

	array_source other(50, 40, default_pixel_format(32));
	other.scribble(4);
	server.show(&other);
	EXPECT_EQ(source.listeners(), 0u);
	ASSERT_TRUE(c.becomes(other.rgb_bytes()));
	server.show(nullptr);
	EXPECT_EQ(other.listeners(), 0u);
	ASSERT_TRUE(c.becomes(std::vector<std::uint8_t>(std::size_t{640} * 480 * 3)));
}

TEST_F(viewers_vnc, several_clients_while_drawing)
{
	std::vector<std::unique_ptr<rfb_client>> clients;

	for (int i = 0; i < 4; i++) {
		clients.push_back(std::make_unique<rfb_client>(server.port()));
		clients.back()->shake_hands();
		clients.back()->request(false);
	}
	for (unsigned i = 0; i < 300; i++)
		source.scribble(i, {i % 300, i % 90, 1 + i % 30, 1 + i % 20});
	const std::vector<std::uint8_t> last = source.rgb_bytes();
	for (const auto &c : clients)
		EXPECT_TRUE((c->update(), c->becomes(last)));
	EXPECT_EQ(server.clients(), 4u);
	clients.clear();
	EXPECT_TRUE(soon([&] { return server.clients() == 0; }));
}

/* A client that comes must not touch what the threads of the others are using. */
TEST_F(viewers_vnc, many_come_and_go_while_others_are_served)
{
	std::atomic<bool> stop{false};
	std::vector<std::thread> visitors;
	rfb_client stays(server.port());

	stays.shake_hands();
	stays.request(false);
	stays.update();
	for (int i = 0; i < 4; i++)
		visitors.emplace_back([&] {
			while (!stop) {
				rfb_client c(server.port());
				c.shake_hands();
				c.request(false);
				c.update();
			}
		});
	for (unsigned i = 0; i < 200; i++) {
		source.scribble(i, {i % 300, i % 90, 1 + i % 30, 1 + i % 20});
		EXPECT_TRUE(stays.becomes(source.rgb_bytes()));
	}
	stop = true;
	for (std::thread &v : visitors)
		v.join();
	EXPECT_TRUE(soon([&] { return server.clients() == 1; }));
}

/* It asks for far more than sockets hold and reads nothing. */
TEST_F(viewers_vnc, who_does_not_read_stops_nobody)
{
	source.become(2000, 1500, default_pixel_format(32));
	source.scribble(9);
	rfb_client deaf(server.port(), 4096);
	deaf.shake_hands();
	deaf.request(false);

	rfb_client c(server.port());
	c.shake_hands();
	c.request(false);
	c.update();
	for (unsigned i = 0; i < 20; i++) {
		source.scribble(i, {i * 7, i * 3, 30, 30});
		ASSERT_TRUE(c.becomes(source.rgb_bytes()));
	}
	/* And the server goes down without waiting for it. */
}

TEST_F(viewers_vnc, hostile_clients_are_dropped_and_others_served)
{
	const std::string hello("RFB 003.008\n");
	const std::string begun = hello + "\1\1";
	const std::vector<std::string> talks = {
		std::string("HELO nonsense\n"),
		std::string(4096, '\xff'),
		hello + std::string("\377", 1),       /* a security type that is not there */
		begun + std::string("\377\0\0\0", 4), /* an unknown message */
		begun + std::string("\6\0\0\0\177\377\377\377", 8), /* a clipboard of 2 GiB */
		begun + std::string("\0\0\0\0\7\30\0\1\0\0\0\0", 12) + std::string(64, '\0'),
		begun + std::string("\2\0\377\377", 4) + std::string(4 * 65535, '\x7f') + "\377",
	};

	for (std::size_t i = 0; i < talks.size(); i++) {
		rfb_client bad(server.port());

		try {
			bad.put(talks[i]);
		} catch (const std::runtime_error &) {
			continue; /* dropped already */
		}
		shutdown(bad.fd(), SHUT_WR);
		EXPECT_TRUE(bad.is_hung_up_on()) << "talk " << i;
	}
	rfb_client c(server.port());
	c.shake_hands();
	EXPECT_TRUE(c.becomes(source.rgb_bytes()));
}

TEST_F(viewers_vnc, no_more_clients_than_it_says_and_places_come_free)
{
	std::vector<std::unique_ptr<rfb_client>> clients;

	for (unsigned i = 0; i < vnc_server::clients_most; i++) {
		clients.push_back(std::make_unique<rfb_client>(server.port()));
		clients.back()->shake_hands();
	}
	rfb_client late(server.port());
	EXPECT_TRUE(late.is_hung_up_on());
	clients.clear();
	ASSERT_TRUE(soon([&] { return server.clients() == 0; }));
	rfb_client c(server.port());
	c.shake_hands();
	EXPECT_TRUE(c.becomes(source.rgb_bytes()));
}

TEST(viewers_vnc_listen, silence_at_the_handshake_ends_the_connection)
{
	vnc_server server("127.0.0.1", 0, "impatient", {}, 300);
	rfb_client silent(server.port()), half(server.port());

	half.put("RFB 003.008\n");
	EXPECT_TRUE(silent.is_hung_up_on());
	EXPECT_TRUE(half.is_hung_up_on());
	EXPECT_TRUE(soon([&] { return server.clients() == 0; }));
}

TEST_F(viewers_vnc, nobody_there_nothing_done)
{
	const unsigned before = source.locks();

	for (unsigned i = 0; i < 100; i++)
		source.scribble(i);
	EXPECT_EQ(source.locks(), before);
}

/* Context switches of all threads of this program but the calling one. */
static std::uint64_t others_switches()
{
	std::uint64_t sum = 0;
	DIR *tasks = opendir("/proc/self/task");

	while (const dirent *d = readdir(tasks)) {
		std::ifstream status("/proc/self/task/" + std::string(d->d_name) + "/status");
		std::string word;
		std::uint64_t n;

		if (d->d_name[0] == '.' || std::stoi(d->d_name) == gettid())
			continue;
		while (status >> word)
			if (word == "voluntary_ctxt_switches:" && status >> n)
				sum += n;
	}
	closedir(tasks);
	return sum;
}

/*
 * With a client that waits for a change which does not come, its thread and the painter sleep. A
 * period of 5 ms or so between polls would be seen in the time the two must take to settle and
 * stay.
 */
TEST_F(viewers_vnc, a_still_picture_wakes_nobody)
{
	rfb_client c(server.port());

	c.shake_hands();
	ASSERT_TRUE(c.becomes(source.rgb_bytes()));
	c.request(true);
	EXPECT_TRUE(soon([&] {
		const std::uint64_t before = others_switches();

		return !c.readable(1000) && others_switches() == before;
	}));
}

TEST_F(viewers_vnc, a_client_that_there_is_no_descriptor_for_waits_and_costs_nothing)
{
	rlimit usual{};
	ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &usual), 0);
	const int next = dup(0);
	ASSERT_GE(next, 0);
	close(next);
	/* Room for the client's own socket, for none of the server's. */
	const rlimit tight{static_cast<rlim_t>(next) + 1, usual.rlim_max};
	ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
	rfb_client c(server.port());
	timespec before{}, after{};
	const timespec watched{0, 300000000};

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	nanosleep(&watched, nullptr);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &usual), 0);
	const long spent =
		(after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
	EXPECT_LT(spent, watched.tv_nsec / 20) << "it tries all the time";
	c.shake_hands();
	EXPECT_EQ(c.width, 333u);
}

TEST(viewers_vnc_service, a_client_may_ask_for_another_size)
{
	array_source source{320, 200, default_pixel_format(32)};
	vnc_service service;

	service.resize = [&](unsigned width, unsigned height) {
		if (width > 640)
			return false;
		source.become(width, height, default_pixel_format(32));
		return true;
	};
	vnc_server server("127.0.0.1", 0, "", {}, vnc_server::handshake_ms_default, service);
	server.show(&source);
	rfb_client c(server.port());
	c.shake_hands();
	c.can_resize();
	c.ask_for_size(400, 300);
	while (c.answer != 0 || c.width != 400) {
		c.request(true);
		c.update();
	}
	EXPECT_EQ(c.height, 300u);
	EXPECT_TRUE(c.becomes(source.rgb_bytes()));

	c.answer = -1;
	c.ask_for_size(641, 300);
	while (c.answer == -1) {
		c.request(true);
		c.update();
	}
	EXPECT_NE(c.answer, 0);
	EXPECT_EQ(c.width, 400u);
	server.show(nullptr);
}

TEST(viewers_vnc_service, what_a_client_holds_down_is_let_go_when_it_goes)
{
	std::mutex lock;
	std::vector<std::string> said;
	const auto count = [&] {
		std::lock_guard hold(lock);
		return said.size();
	};
	array_source source{32, 20, default_pixel_format(32)};
	vnc_service service;

	service.key = [&](bool down, std::uint32_t symbol) {
		std::lock_guard hold(lock);
		said.push_back((down ? "+" : "-") + std::to_string(symbol));
	};
	service.pointer = [&](unsigned buttons, unsigned x, unsigned y) {
		std::lock_guard hold(lock);
		said.push_back(std::to_string(buttons) + "@" + std::to_string(x) + "," +
			       std::to_string(y));
	};
	vnc_server server("127.0.0.1", 0, "", {}, vnc_server::handshake_ms_default, service);
	server.show(&source);
	{
		rfb_client c(server.port());
		c.shake_hands();
		c.key(true, 'a');
		c.key(false, 'a');
		c.key(true, 0xffe1);
		c.pointer(1, 17, 3);
		ASSERT_TRUE(soon([&] { return count() == 4; }));
	}
	ASSERT_TRUE(soon([&] { return count() == 6; }));
	EXPECT_EQ(said,
		  (std::vector<std::string>{"+97", "-97", "+65505", "1@17,3", "-65505", "0@17,3"}));
	server.show(nullptr);
}

TEST(viewers_vnc_service, who_does_not_know_the_password_sees_nothing)
{
	array_source source{32, 20, default_pixel_format(32)};
	vnc_service service;

	service.password = "sesame";
	vnc_server server("127.0.0.1", 0, "", {}, vnc_server::handshake_ms_default, service);
	server.show(&source);
	EXPECT_TRUE(rfb_client(server.port()).shake_hands_with("sesame"));
	EXPECT_FALSE(rfb_client(server.port()).shake_hands_with("sesamy"));
	EXPECT_FALSE(rfb_client(server.port()).shake_hands_with(""));
	server.show(nullptr);
}

TEST(viewers_vnc_listen, a_taken_port_is_a_clear_error)
{
	vnc_server first("127.0.0.1", 0, "first");

	try {
		vnc_server second("127.0.0.1", first.port(), "second");
		FAIL() << "two servers at one port";
	} catch (const vnc_error &e) {
		EXPECT_EQ(std::string(e.what()),
			  "cannot listen for VNC at " + first.address() +
				  ": Address already in use; stop who listens there "
				  "or give another port");
	}
	EXPECT_THROW(vnc_server("nowhere.invalid", 0, ""), vnc_error);
	EXPECT_THROW(vnc_server("192.0.2.1", 0, ""), vnc_error);
}

/* Sockets of this program that accept connections. */
static int own_listeners()
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++) {
		int accepts = 0;
		socklen_t len = sizeof(accepts);

		n += getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &len) == 0 && accepts;
	}
	return n;
}

TEST(viewers_vnc_listen, libvncserver_opens_no_port_of_its_own)
{
	const int before = own_listeners();
	vnc_server server("127.0.0.1", 0, "");
	rfb_client c(server.port());

	c.shake_hands();
	EXPECT_EQ(own_listeners(), before + 1);
}
