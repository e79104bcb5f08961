// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tokens: a schedule as text, to be run again.
 *
 *	x1:SCENARIO:WORD+WORD:DECISION.OPTION,DECISION.OPTION,...
 *
 * The decisions that are not in it take option 0. Words are mutants, and the options on which the
 * numbers of decisions depend: memory=tso, faults=N.
 */
#include "token.h"

#include <stdlib.h>

static std::vector<std::string> words_of(const explore_options &options)
{
	std::vector<std::string> words = options.mutants;

	if (options.memory == explore_memory::tso)
		words.push_back("memory=tso");
	if (options.faults > 0)
		words.push_back("faults=" + std::to_string(options.faults));
	return words;
}

/* False: nobody knows @word. */
static bool take_word(const std::string &word, explore_options *options)
{
	if (word == "memory=tso")
		options->memory = explore_memory::tso;
	else if (word.compare(0, 7, "faults=") == 0)
		options->faults = atoi(word.c_str() + 7);
	else if (word.find('=') != std::string::npos)
		return false;
	else
		options->mutants.push_back(word);
	return true;
}

std::string make_token(const explore_scenario &scenario, const explore_options &options,
		       const std::vector<deviation> &path)
{
	std::string token = "x1:" + scenario.name + ":";

	const std::vector<std::string> words = words_of(options);

	for (size_t i = 0; i < words.size(); i++)
		token += (i ? "+" : "") + words[i];
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
			explore_options *options, std::vector<deviation> *path)
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
	options->mutants.clear();
	options->memory = explore_memory::sc;
	options->faults = 0;
	for (size_t at = mutant + 1; at < decisions;) {
		size_t end = token.find('+', at);

		if (end == std::string::npos || end > decisions)
			end = decisions;
		if (!take_word(token.substr(at, end - at), options))
			return "token '" + token + "': '" + token.substr(at, end - at) +
			       "' is neither a mutant nor memory=tso nor faults=N";
		at = end + 1;
	}
	if (!parse_path(token.c_str() + decisions + 1, path))
		return "token '" + token +
		       "': the decisions are not NUMBER.NUMBER,... in "
		       "ascending order";
	return "";
}
