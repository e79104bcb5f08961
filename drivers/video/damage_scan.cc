/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * damage_scan.cc - comparing at the speed of memory (see damage_scan.h)
 *
 * Two forms: AVX2, and what the machine's baseline makes of vectors of 16 bytes. Which one runs
 * is decided at each call from the processor's flags, a load and a test. Asking ahead for the
 * next page (prefetch) was measured and made it 10 % slower.
 */
#include "video/damage_scan.h"

#include <linux/string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace
{

u64 scan_baseline(const char *a, const char *b, unsigned int nr)
{
	typedef u64 vec __attribute__((vector_size(16), aligned(1), may_alias));
	u64 mask = 0;

	for (unsigned int i = 0; i < nr; i++) {
		const vec *va = (const vec *)(a + i * FB_SCAN_BLOCK);
		const vec *vb = (const vec *)(b + i * FB_SCAN_BLOCK);
		vec differ = (va[0] ^ vb[0]) | (va[1] ^ vb[1]) | (va[2] ^ vb[2]) | (va[3] ^ vb[3]);

		mask |= (u64)((differ[0] | differ[1]) != 0) << i;
	}
	return mask;
}

u64 copy_baseline(char *dst, const char *src, const char *with, unsigned int nr)
{
	/* In two steps, so it is the copy that is compared: @src may change. */
	memcpy(dst, src, nr * FB_SCAN_BLOCK);
	return scan_baseline(dst, with, nr);
}

#ifdef __x86_64__
__attribute__((target("avx2"), always_inline)) inline __m256i load(const char *p)
{
	return _mm256_loadu_si256((const __m256i *)p);
}

__attribute__((target("avx2"), always_inline)) inline void store(char *p, __m256i value)
{
	_mm256_storeu_si256((__m256i *)p, value);
}

__attribute__((target("avx2"), always_inline)) inline __m256i differ64(const char *a, const char *b)
{
	return _mm256_or_si256(_mm256_xor_si256(load(a), load(b)),
			       _mm256_xor_si256(load(a + 32), load(b + 32)));
}

__attribute__((target("avx2"), always_inline)) inline u64 is_set(__m256i differ)
{
	return !_mm256_testz_si256(differ, differ);
}

/* Four blocks at a time: nearly always all of them are equal, and then one test does. */
__attribute__((target("avx2"))) u64 scan_avx2(const char *a, const char *b, unsigned int nr)
{
	u64 mask = 0;
	unsigned int i = 0;

	for (; i + 4 <= nr; i += 4) {
		const char *pa = a + i * FB_SCAN_BLOCK, *pb = b + i * FB_SCAN_BLOCK;
		__m256i d0 = differ64(pa, pb), d1 = differ64(pa + 64, pb + 64);
		__m256i d2 = differ64(pa + 128, pb + 128), d3 = differ64(pa + 192, pb + 192);
		__m256i any = _mm256_or_si256(_mm256_or_si256(d0, d1), _mm256_or_si256(d2, d3));

		if (!is_set(any))
			continue;
		mask |= (is_set(d0) | is_set(d1) << 1 | is_set(d2) << 2 | is_set(d3) << 3) << i;
	}
	for (; i < nr; i++) {
		__m256i d = differ64(a + i * FB_SCAN_BLOCK, b + i * FB_SCAN_BLOCK);

		mask |= is_set(d) << i;
	}
	return mask;
}

__attribute__((target("avx2"))) u64 copy_avx2(char *dst, const char *src, const char *with,
					      unsigned int nr)
{
	u64 mask = 0;

	for (unsigned int i = 0; i < nr; i++) {
		size_t at = i * FB_SCAN_BLOCK;
		__m256i low = load(src + at), high = load(src + at + 32);

		mask |= is_set(_mm256_or_si256(_mm256_xor_si256(low, load(with + at)),
					       _mm256_xor_si256(high, load(with + at + 32))))
			<< i;
		store(dst + at, low);
		store(dst + at + 32, high);
	}
	return mask;
}
#endif

} // namespace

u64 fb_scan_blocks(const void *a, const void *b, unsigned int nr)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		return scan_avx2((const char *)a, (const char *)b, nr);
#endif
	return scan_baseline((const char *)a, (const char *)b, nr);
}

u64 fb_scan_copy(void *dst, const void *src, const void *with, unsigned int nr)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		return copy_avx2((char *)dst, (const char *)src, (const char *)with, nr);
#endif
	return copy_baseline((char *)dst, (const char *)src, (const char *)with, nr);
}

static u64 load64(const char *p)
{
	u64 value;

	memcpy(&value, p, sizeof(value));
	return value;
}

size_t fb_scan_first(const void *a, const void *b, size_t len)
{
	const char *pa = (const char *)a, *pb = (const char *)b;
	size_t i = 0;

	for (; i + 8 <= len; i += 8) {
		u64 differ = load64(pa + i) ^ load64(pb + i);

		if (differ)
			return i + (size_t)__builtin_ctzll(differ) / 8;
	}
	while (i < len && pa[i] == pb[i])
		i++;
	return i;
}

size_t fb_scan_last(const void *a, const void *b, size_t len)
{
	const char *pa = (const char *)a, *pb = (const char *)b;

	for (; len >= 8; len -= 8) {
		u64 differ = load64(pa + len - 8) ^ load64(pb + len - 8);

		if (differ)
			return len - (size_t)__builtin_clzll(differ) / 8;
	}
	while (len > 0 && pa[len - 1] == pb[len - 1])
		len--;
	return len;
}
