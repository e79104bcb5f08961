/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small RFB 3.8 client for tests: raw pixels and changes of size, nothing else. Every wait has a
 * deadline; what does not come in time throws.
 */
#pragma once

#include <chrono>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rfb/rfb.h>

namespace fuse_fb
{

class rfb_client
{
public:
	static constexpr int deadline_s = 60;

	/* Connected, not a word said. @receive_buffer: bytes, 0 as usual. */
	explicit rfb_client(std::uint16_t port, int receive_buffer = 0)
		: fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
	{
		sockaddr_in to{};

		to.sin_family = AF_INET;
		to.sin_port = htons(port);
		to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		if (receive_buffer)
			setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer,
				   sizeof(receive_buffer));
		if (fd_ < 0 || connect(fd_, reinterpret_cast<sockaddr *>(&to), sizeof(to)))
			throw std::runtime_error("cannot connect");
	}
	~rfb_client() { close(fd_); }
	rfb_client(const rfb_client &) = delete;
	rfb_client &operator=(const rfb_client &) = delete;

	void shake_hands()
	{
		get(12);
		put(std::string("RFB 003.008\n"));
		const std::vector<std::uint8_t> kinds = get(get(1)[0]);
		put(std::string("\1", 1)); /* no password */
		if (be(get(4)) != 0)
			throw std::runtime_error("refused");
		put(std::string("\1", 1)); /* shared */
		const std::vector<std::uint8_t> init = get(24);
		resize(be({init[0], init[1]}), be({init[2], init[3]}));
		title = text(get(be({init[20], init[21], init[22], init[23]})));
		/* 32 bits, red highest. */
		put(std::string("\0\0\0\0\40\30\0\1\0\377\0\377\0\377\20\10\0\0\0\0", 20));
		/* Raw, DesktopSize. */
		put(std::string("\2\0\0\2\0\0\0\0\377\377\377\41", 12));
	}
	/* As shake_hands(), with a password. Return: false when it was not the right one. */
	bool shake_hands_with(const std::string &password)
	{
		get(12);
		put(std::string("RFB 003.008\n"));
		const std::vector<std::uint8_t> kinds = get(get(1)[0]);
		if (kinds != std::vector<std::uint8_t>{2})
			throw std::runtime_error("who knows no password gets in as well");
		put(std::string("\2", 1));
		std::vector<std::uint8_t> challenge = get(16);
		rfbEncryptBytes(challenge.data(), const_cast<char *>(password.c_str()));
		put(text(challenge));
		return be(get(4)) == 0;
	}
	/* Says that it follows changes of size, and may ask for one. */
	void can_resize()
	{
		/* Raw, ExtendedDesktopSize. */
		put(std::string("\2\0\0\2\0\0\0\0\377\377\376\314", 12));
	}
	void ask_for_size(unsigned w, unsigned h)
	{
		const std::string size = {static_cast<char>(w >> 8), static_cast<char>(w),
					  static_cast<char>(h >> 8), static_cast<char>(h)};

		/* One screen, number 0 at (0, 0), as large as the whole. */
		put(std::string("\373\0", 2) + size + std::string("\1\0", 2) +
		    std::string(8, '\0') + size + std::string(4, '\0'));
	}
	void key(bool down, std::uint32_t symbol)
	{
		put({4, static_cast<char>(down), 0, 0, static_cast<char>(symbol >> 24),
		     static_cast<char>(symbol >> 16), static_cast<char>(symbol >> 8),
		     static_cast<char>(symbol)});
	}
	void pointer(unsigned buttons, unsigned x, unsigned y)
	{
		put({5, static_cast<char>(buttons), static_cast<char>(x >> 8), static_cast<char>(x),
		     static_cast<char>(y >> 8), static_cast<char>(y)});
	}
	void request(bool incremental)
	{
		std::string m(10, 0);

		m[0] = 3;
		m[1] = incremental;
		m[6] = static_cast<char>(width >> 8);
		m[7] = static_cast<char>(width);
		m[8] = static_cast<char>(height >> 8);
		m[9] = static_cast<char>(height);
		put(m);
	}
	/* One FramebufferUpdate. Return: pixels that came. */
	std::size_t update()
	{
		std::size_t pixels = 0;

		if (get(1)[0] != 0)
			throw std::runtime_error("an unexpected message");
		get(1);
		for (unsigned n = be(get(2)); n > 0; n--) {
			const std::vector<std::uint8_t> h = get(12);
			const unsigned x = be({h[0], h[1]}), y = be({h[2], h[3]});
			const unsigned w = be({h[4], h[5]}), t = be({h[6], h[7]});
			const unsigned encoding = be({h[8], h[9], h[10], h[11]});

			if (encoding == 0xffffff21u) {
				resize(w, t);
				continue;
			}
			if (encoding == 0xfffffeccu) {
				get(std::size_t{16} * get(4)[0]); /* the screens */
				if (x == 1)
					answer = static_cast<int>(y);
				if (y == 0 && (w != width || t != height))
					resize(w, t);
				continue;
			}
			if (encoding != 0 || x + w > width || y + t > height)
				throw std::runtime_error("a rectangle that makes no sense");
			const std::vector<std::uint8_t> raw = get(std::size_t{4} * w * t);
			for (unsigned i = 0; i < w * t; i++)
				for (unsigned c = 0; c < 3; c++)
					rgb[3 * (std::size_t{y + i / w} * width + x + i % w) + c] =
						raw[4 * i + 2 - c];
			pixels += std::size_t{w} * t;
		}
		return pixels;
	}
	/* Asks and reads until the picture is @wanted. False: not within the deadline. */
	bool becomes(const std::vector<std::uint8_t> &wanted)
	{
		const auto end =
			std::chrono::steady_clock::now() + std::chrono::seconds(deadline_s);

		while (rgb != wanted) {
			if (std::chrono::steady_clock::now() > end)
				return false;
			request(true);
			update();
		}
		return true;
	}
	void put(const std::string &bytes)
	{
		if (send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
		    static_cast<ssize_t>(bytes.size()))
			throw std::runtime_error("the server hung up");
	}
	std::vector<std::uint8_t> get(std::size_t n)
	{
		std::vector<std::uint8_t> bytes(n);

		for (std::size_t have = 0; have < n;) {
			if (!readable(deadline_s * 1000))
				throw std::runtime_error("the server is silent");
			const ssize_t got = recv(fd_, bytes.data() + have, n - have, 0);
			if (got <= 0)
				throw std::runtime_error("the server hung up");
			have += static_cast<std::size_t>(got);
		}
		return bytes;
	}
	bool readable(int timeout_ms)
	{
		pollfd p{fd_, POLLIN, 0};

		return poll(&p, 1, timeout_ms) == 1;
	}
	/* The server closes the connection; whatever it still says is thrown away. */
	bool is_hung_up_on()
	{
		std::uint8_t buf[4096];

		for (;;) {
			if (!readable(deadline_s * 1000))
				return false;
			if (recv(fd_, buf, sizeof(buf), 0) <= 0)
				return true;
		}
	}

	int fd() const { return fd_; }

	unsigned width = 0, height = 0;
	int answer = -1; /* to ask_for_size(): 0 done, else why not */
	std::string title;
	std::vector<std::uint8_t> rgb;

private:
	static unsigned be(const std::vector<std::uint8_t> &bytes)
	{
		unsigned v = 0;

		for (const std::uint8_t b : bytes)
			v = v << 8 | b;
		return v;
	}
	static std::string text(const std::vector<std::uint8_t> &bytes)
	{
		return {bytes.begin(), bytes.end()};
	}
	void resize(unsigned w, unsigned h)
	{
		width = w;
		height = h;
		rgb.assign(std::size_t{3} * w * h, 0);
	}

	const int fd_;
};

} // namespace fuse_fb
