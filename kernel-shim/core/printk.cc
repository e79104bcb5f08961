// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The log and what is counted in it (<linux/printk.h>, <linux/bug.h>, <linux/ratelimit.h>).
 *
 * A line is formatted on the caller's stack and handed to the machine's sink in one call. There is
 * no lock around the sink: a sink may log, sleep or be slow without stopping other threads.
 *
 * Locks: log_state.lock guards the places that have warned once.
 */
#include "core.h"

#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include <stdio.h>

#define LOG_LINE_MAX 1000
#define LOG_ONCE_MAX 64

struct warn_site {
	const char *file;
	int line;
};

struct log_state {
	atomic_t warnings;
	spinlock_t lock;
	struct warn_site once[LOG_ONCE_MAX] __guarded_by(lock);
	unsigned int nr_once __guarded_by(lock);
};

static void log_line(int level, char *line, size_t length)
{
	struct pv_machine *m = current_machine();
	char out[LOG_LINE_MAX + 64];
	int n;

	while (length && line[length - 1] == '\n')
		line[--length] = '\0';
	if (m && level >= m->config.loglevel)
		return;
	if (m && m->config.log) {
		m->config.log(m->config.log_ctx, level, line);
		return;
	}
	n = snprintf(out, sizeof(out), "%s: %s\n", m ? m->config.name : "pvshim", line);
	kshim_write_log(out, min_t(size_t, (size_t)n, sizeof(out) - 1));
}

int vprintk(const char *fmt, va_list args)
{
	char line[LOG_LINE_MAX];
	int level = LOGLEVEL_WARNING, n;

	if (fmt[0] == KERN_SOH[0] && fmt[1]) {
		level = fmt[1] >= '0' && fmt[1] <= '7' ? fmt[1] - '0' : LOGLEVEL_INFO;
		fmt += 2;
	}
	n = vsnprintf(line, sizeof(line), fmt, args);
	if (n < 0)
		return 0;
	n = min_t(int, n, (int)sizeof(line) - 1);
	log_line(level, line, (size_t)n);
	return n;
}

int printk(const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vprintk(fmt, args);
	va_end(args);
	return n;
}

/* False when this place has warned in this machine before. */
static bool first_warning(struct log_state *log, const char *file, int line)
{
	guard(spinlock)(&log->lock);
	for (unsigned int i = 0; i < log->nr_once; i++) {
		if (log->once[i].file == file && log->once[i].line == line)
			return false;
	}
	if (log->nr_once < LOG_ONCE_MAX)
		log->once[log->nr_once++] = {file, line};
	return true;
}

void kshim_warn(const char *file, int line, bool once, const char *fmt, ...)
{
	struct pv_machine *m = current_machine();
	char text[LOG_LINE_MAX - 200];
	va_list args;

	if (m && m->log) {
		if (once && !first_warning(m->log, file, line))
			return;
		atomic_inc(&m->log->warnings);
	}
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	printk(KERN_WARNING "WARNING at %s:%d: %s", file, line, text);
}

int log_init(struct pv_machine *m)
{
	/* The machine has no slab yet, so this belongs to none: it must outlive the leak report. */
	m->log = kzalloc_obj(struct log_state, GFP_KERNEL);
	return m->log ? 0 : -ENOMEM;
}

void log_exit(struct pv_machine *m)
{
	kfree(m->log);
	m->log = nullptr;
}

unsigned int pv_machine_warnings(const struct pv_machine *m)
{
	return (unsigned int)atomic_read(&m->log->warnings);
}

void ratelimit_state_init(struct ratelimit_state *rs, unsigned long interval,
			  unsigned int burst) __no_thread_safety_analysis
{
	*rs = {};
	rs->interval = interval;
	rs->burst = burst;
}

bool __ratelimit(struct ratelimit_state *rs)
{
	unsigned int missed = 0;

	scoped_guard (spinlock, &rs->lock) {
		unsigned long now = jiffies;

		if (!rs->begin || time_after(now, rs->begin + rs->interval)) {
			missed = rs->missed;
			rs->begin = now;
			rs->printed = rs->missed = 0;
		}
		if (rs->printed >= rs->burst) {
			rs->missed++;
			return false;
		}
		rs->printed++;
	}
	if (missed)
		pr_warn("%u messages like the next were left out\n", missed);
	return true;
}
