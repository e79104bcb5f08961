// SPDX-License-Identifier: GPL-2.0-or-later
#include "names.h"

/* "&w->lock" is the text of an argument. */
static std::string without_ampersand(const char *text)
{
	return *text == '&' ? text + 1 : text;
}

std::string name_table::find(const void *object) const
{
	for (size_t i = names_.size(); i-- > 0;) {
		const name &n = names_[i];
		u64 offset = (u64)object - n.start;
		long number = n.number;

		if (offset >= n.bytes)
			continue;
		if (n.stride) {
			number += (long)(offset / n.stride);
			offset %= n.stride;
		}

		std::string text = without_ampersand(n.text);

		if (number >= 0)
			text += " " + std::to_string(number);
		if (offset)
			text += "+" + std::to_string(offset);
		return text;
	}
	return "";
}
