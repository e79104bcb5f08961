/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * running_daemon.cc - pvshim-fb as a process of its own; see running_daemon.h
 */
#include "running_daemon.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <png.h>
#include <sys/socket.h>
#include <unistd.h>

namespace e2e
{

static std::vector<std::string> command(const mount_dir &dir, const std::vector<std::string> &more)
{
	std::vector<std::string> words = {daemon_path(), "-f", dir.path()};

	words.insert(words.end(), more.begin(), more.end());
	return words;
}

running_daemon::running_daemon(const mount_dir &dir, const std::vector<std::string> &more,
			       const child::setup &with)
	: dir_(dir), process_(command(dir, more), with)
{
	const bool up = eventually([&] {
		return process_.output().find("now run:") != std::string::npos ||
		       process_.wait(milliseconds(0));
	});

	if (!up || process_.code() >= 0)
		throw std::runtime_error("pvshim-fb does not start: " + process_.output());
}

nlohmann::json running_daemon::stats() const
{
	const std::vector<std::uint8_t> text = read_file(dir_.file("stats.json"));

	return nlohmann::json::parse(text.begin(), text.end());
}

nlohmann::json running_daemon::screen(const std::string &name) const
{
	const nlohmann::json all = stats();

	for (const nlohmann::json &s : all["screens"])
		if (s["name"] == name)
			return s;
	return nullptr;
}

bool running_daemon::shown(const std::string &name) const
{
	const nlohmann::json s = screen(name);

	return !s.is_null() && s["shown"] == true;
}

std::uint16_t running_daemon::vnc_port() const
{
	const std::string address = stats()["vnc"]["address"];

	return static_cast<std::uint16_t>(std::stoul(address.substr(address.rfind(':') + 1)));
}

std::string free_address()
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sockaddr_in a{};
	socklen_t len = sizeof(a);

	a.sin_family = AF_INET;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	const bool found = fd >= 0 && bind(fd, reinterpret_cast<sockaddr *>(&a), len) == 0 &&
			   getsockname(fd, reinterpret_cast<sockaddr *>(&a), &len) == 0;
	if (fd >= 0)
		close(fd);
	if (!found)
		throw std::runtime_error(std::string("no free port: ") + std::strerror(errno));
	return "127.0.0.1:" + std::to_string(ntohs(a.sin_port));
}

std::uint64_t running_daemon::context_switches() const
{
	const std::string tasks = "/proc/" + std::to_string(process_.pid()) + "/task";
	std::uint64_t sum = 0;

	for (const auto &entry : std::filesystem::directory_iterator(tasks)) {
		std::ifstream status(entry.path() / "status");
		std::string line;

		while (std::getline(status, line))
			if (line.find("ctxt_switches:") != std::string::npos)
				sum += std::stoull(line.substr(line.find(':') + 1));
	}
	return sum;
}

std::size_t running_daemon::open_descriptors() const
{
	const std::string fds = "/proc/" + std::to_string(process_.pid()) + "/fd";
	std::size_t n = 0;

	for ([[maybe_unused]] const auto &entry : std::filesystem::directory_iterator(fds))
		n++;
	return n;
}

picture_file read_png(const std::string &path)
{
	const std::vector<std::uint8_t> file = read_file(path);
	picture_file p;
	png_image image{};

	image.version = PNG_IMAGE_VERSION;
	if (!png_image_begin_read_from_memory(&image, file.data(), file.size()))
		throw std::runtime_error(path + ": " + image.message);
	image.format = PNG_FORMAT_RGB;
	p.width = image.width;
	p.height = image.height;
	p.rgb.resize(PNG_IMAGE_SIZE(image));
	if (!png_image_finish_read(&image, nullptr, p.rgb.data(), 0, nullptr))
		throw std::runtime_error(path + ": " + image.message);
	return p;
}

std::vector<std::uint8_t> read_file(const std::string &path)
{
	const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
	std::vector<std::uint8_t> bytes;
	std::uint8_t buf[65536];
	ssize_t n = -1;

	while (fd >= 0 && (n = read(fd, buf, sizeof(buf))) > 0)
		bytes.insert(bytes.end(), buf, buf + n);
	const int error = errno;
	if (fd >= 0)
		close(fd);
	if (n < 0)
		throw std::runtime_error(path + ": " + std::strerror(error));
	return bytes;
}

child drawer(const mount_dir &dir, const std::string &seconds)
{
	child::setup with;

	with.with_stdin = true;
	child c({helper_path(), "draw", dir.file("fb0"), seconds}, with);
	if (!c.wait_for_output("drawing"))
		throw std::runtime_error("the drawing program does not begin: " + c.output());
	return c;
}

std::size_t differing_pixels(const mount_dir &dir)
{
	const picture_file p = read_png(dir.file("fb0.png"));
	const std::vector<std::uint8_t> frame = read_file(dir.file("fb0"));
	const std::size_t pixels = std::size_t{p.width} * p.height;
	std::size_t wrong = 0;

	if (frame.size() < pixels * 4)
		throw std::runtime_error("fb0 is shorter than its picture");
	/* Blue, green, red, unused in memory. */
	for (std::size_t i = 0; i < pixels; i++)
		wrong += frame[i * 4 + 2] != p.rgb[i * 3] || frame[i * 4 + 1] != p.rgb[i * 3 + 1] ||
			 frame[i * 4] != p.rgb[i * 3 + 2];
	return wrong;
}

} // namespace e2e
