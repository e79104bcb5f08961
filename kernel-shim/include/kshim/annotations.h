/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lock annotations in Linux's words, checked by clang's thread-safety analysis.
 *
 *	struct counter {
 *		struct mutex lock;
 *		int value __guarded_by(lock);
 *	};
 *	void counter_bump_locked(struct counter *c) __must_hold(c->lock);
 *
 * KSHIM: Linux's words are read by sparse, which only balances contexts. Here an access to `value`
 * without c->lock fails to compile under clang (-Werror=thread-safety). g++ sees nothing.
 * An attribute stands behind the declarator of a declaration, never of a g++ definition.
 */
#ifndef KSHIM_ANNOTATIONS_H
#define KSHIM_ANNOTATIONS_H

#if defined(__clang__)
#define __kshim_attr(...) __attribute__((__VA_ARGS__))
#else
#define __kshim_attr(...)
#endif

/* A type that can be held; a type whose constructor takes and whose destructor drops. */
#define __capability(name) __kshim_attr(capability(name))
#define __scoped_lockable __kshim_attr(scoped_lockable)

/* Data: the lock that guards the field, or what the field points to. */
#define __guarded_by(lock) __kshim_attr(guarded_by(lock))
#define __pt_guarded_by(lock) __kshim_attr(pt_guarded_by(lock))

/* Functions: what the caller holds, must not hold, gains and loses. */
#define __must_hold(...) __kshim_attr(requires_capability(__VA_ARGS__))
#define __must_hold_shared(...) __kshim_attr(requires_shared_capability(__VA_ARGS__))
#define __must_not_hold(...) __kshim_attr(locks_excluded(__VA_ARGS__))
#define __acquires(...) __kshim_attr(acquire_capability(__VA_ARGS__))
#define __acquires_shared(...) __kshim_attr(acquire_shared_capability(__VA_ARGS__))
#define __releases(...) __kshim_attr(release_capability(__VA_ARGS__))
#define __releases_shared(...) __kshim_attr(release_shared_capability(__VA_ARGS__))
#define __releases_any(...) __kshim_attr(release_generic_capability(__VA_ARGS__))
#define __try_acquires(result, ...) __kshim_attr(try_acquire_capability(result, __VA_ARGS__))
#define __try_acquires_shared(result, ...)                                                         \
	__kshim_attr(try_acquire_shared_capability(result, __VA_ARGS__))
#define __asserts_held(...) __kshim_attr(assert_capability(__VA_ARGS__))

/* For the bodies of the locks themselves, and where the analysis cannot follow: say why. */
#define __no_thread_safety_analysis __kshim_attr(no_thread_safety_analysis)

#endif
