// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tokens: a schedule as text, to be run again.
 *
 *	x1:SCENARIO:MUTANT+MUTANT:DECISION.OPTION,DECISION.OPTION,...
 *
 * The decisions that are not in it take option 0.
 */
#include "token.h"

#include <stdlib.h>

std::string make_token(const explore_scenario &scenario, const explore_options &options,
		       const std::vector<deviation> &path)
{
	std::string token = "x1:" + scenario.name + ":";

	for (size_t i = 0; i < options.mutants.size(); i++)
		token += (i ? "+" : "") + options.mutants[i];
	token += ':';
	for (size_t i = 0; i < path.size(); i++)
		token += (i ? "," : "") + std::to_string(path[i].ordinal) + "." +
			 std::to_string(path[i].option);
	return token;
}

static bool parse_number(const char **p, u32 *value)
{
	char *end;
	unsigned long n;

	if (**p < '0' || **p > '9')
		return false;
	n = strtoul(*p, &end, 10);
	if (n > 0xffffffffu)
		return false;
	*p = end;
	*value = (u32)n;
	return true;
}

static bool parse_path(const char *p, std::vector<deviation> *path)
{
	while (*p) {
		deviation d;

		if (!parse_number(&p, &d.ordinal) || *p++ != '.' || !parse_number(&p, &d.option))
			return false;
		if (!path->empty() && d.ordinal <= path->back().ordinal)
			return false;
		path->push_back(d);
		if (*p == ',' && p[1])
			p++;
		else if (*p)
			return false;
	}
	return true;
}

std::string parse_token(const explore_scenario &scenario, const std::string &token,
			std::vector<std::string> *mutants, std::vector<deviation> *path)
{
	size_t name = token.find(':'), mutant, decisions;

	if (name == std::string::npos || token.compare(0, name, "x1") != 0)
		return "token '" + token + "' does not begin with x1:";
	mutant = token.find(':', name + 1);
	decisions = mutant == std::string::npos ? mutant : token.find(':', mutant + 1);
	if (decisions == std::string::npos)
		return "token '" + token +
		       "' is cut short: x1:SCENARIO:MUTANTS:DECISIONS is wanted";
	if (token.compare(name + 1, mutant - name - 1, scenario.name) != 0)
		return "token '" + token + "' is of another scenario than " + scenario.name;
	mutants->clear();
	for (size_t at = mutant + 1; at < decisions;) {
		size_t end = token.find('+', at);

		if (end == std::string::npos || end > decisions)
			end = decisions;
		mutants->push_back(token.substr(at, end - at));
		at = end + 1;
	}
	if (!parse_path(token.c_str() + decisions + 1, path))
		return "token '" + token +
		       "': the decisions are not NUMBER.NUMBER,... in "
		       "ascending order";
	return "";
}
