/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * text.h - paragraphs for a terminal
 */
#ifndef PVSHIM_RACE_TEXT_H
#define PVSHIM_RACE_TEXT_H

#include <string>

namespace races
{

/* Breaks @text at words, so that lines after the first begin in column @indent. */
inline std::string wrapped(const std::string &text, size_t indent)
{
	constexpr size_t width = 100;
	std::string out, line;

	for (size_t at = 0; at < text.size();) {
		size_t end = text.find(' ', at);

		if (end == std::string::npos)
			end = text.size();
		if (!line.empty() && indent + line.size() + 1 + end - at > width) {
			out += line + "\n" + std::string(indent, ' ');
			line.clear();
		}
		line += (line.empty() ? "" : " ") + text.substr(at, end - at);
		at = end + 1;
	}
	return out + line;
}

} // namespace races

#endif
