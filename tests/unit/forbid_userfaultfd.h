/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * forbid_userfaultfd.h - what a host without userfaultfd looks like
 */
#ifndef TESTS_UNIT_FORBID_USERFAULTFD_H
#define TESTS_UNIT_FORBID_USERFAULTFD_H

#include <cerrno>
#include <cstddef>
#include <gtest/gtest.h>
#include <iterator>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* From here on the process has no userfaultfd, as in many containers. Exits with 77 where
 * that cannot be done. */
inline void forbid_userfaultfd()
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog filter = {.len = std::size(code), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		_exit(77);
}

/* A death test: @body in a process of its own, since what is forbidden stays so. 0: passed. */
inline void expect_passes_without_userfaultfd(int (*body)())
{
	GTEST_FLAG_SET(death_test_style, "threadsafe");
	EXPECT_EXIT(
		{
			forbid_userfaultfd();
			_exit(body());
		},
		[](int status) {
			/* 77: filters are not available here. */
			return WIFEXITED(status) &&
			       (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
		},
		"");
}

#endif
