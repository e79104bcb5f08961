// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Settings by name (<linux/moduleparam.h>).
 */
#include <kshim/machine.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

/* One module.name=value of the machine's parameters; longer ones are no parameter of ours. */
#define PARAM_WORD_MAX 128

int param_set_bool(const char *value, void *field)
{
	bool on = !value[0] || !strcmp(value, "1") || !strcmp(value, "y");

	if (!on && strcmp(value, "0") != 0 && strcmp(value, "n") != 0)
		return -EINVAL;
	*(bool *)field = on;
	return 0;
}

int param_set_ulong(const char *value, void *field)
{
	unsigned long long number;
	int err = kstrtoull(value, 0, &number);

	if (!err)
		*(unsigned long *)field = number;
	return err;
}

static int set_param(const struct kernel_param *params, size_t nr, void *fields, const char *name,
		     const char *value)
{
	for (size_t i = 0; i < nr; i++) {
		if (!strcmp(params[i].name, name))
			return params[i].set(value, (char *)fields + params[i].offset);
	}
	return -ENOENT;
}

static int parse_word(const char *module, const struct kernel_param *params, size_t nr,
		      void *fields, char *word)
{
	char *name = word + strlen(module) + 1;
	char *equals = strchr(name, '=');
	int err;

	if (equals)
		*equals = '\0';
	err = set_param(params, nr, fields, name, equals ? equals + 1 : "");
	if (!err)
		return 0;
	if (err == -ENOENT) {
		pr_err("%s has no parameter '%s'\n", module, name);
		for (size_t i = 0; i < nr; i++)
			pr_err("it has %s.%s: %s\n", module, params[i].name, params[i].help);
		return -EINVAL;
	}
	pr_err("%s.%s=%s: not a value of it (error %d)\n", module, name, equals ? equals + 1 : "",
	       err);
	return err;
}

int parse_params(const char *module, const struct kernel_param *params, size_t nr, void *fields)
{
	const struct pv_machine_config *config = &current_machine()->config;
	const char *text = config->params;
	size_t length = strlen(module);

	if (config->on_params)
		config->on_params(config->on_params_ctx, module, params, nr);

	while (text && *text) {
		size_t word_length = strcspn(text, " ");
		char word[PARAM_WORD_MAX];

		if (word_length > length && !strncmp(text, module, length) && text[length] == '.') {
			int err = -EINVAL;

			if (word_length < sizeof(word)) {
				memcpy(word, text, word_length);
				word[word_length] = '\0';
				err = parse_word(module, params, nr, fields, word);
			}
			if (err)
				return err;
		}
		text += word_length + strspn(text + word_length, " ");
	}
	return 0;
}
