/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fb_client.c - a framebuffer program of the old kind, for the end-to-end tests
 *
 * Knows linux/fb.h and /dev/fb0, and nothing of where it runs.
 *
 *   fb_client draw WIDTH HEIGHT BITS   sets the mode, draws a picture (see colour())
 *   fb_client flip                     two screens in one, drawn apart, shown by panning
 *   fb_client calls                    every request, also with nonsense; says what was wrong
 *   fb_client many                     threads, children and copies of descriptors
 *   fb_client modes N                  N times another mode, while others do the same
 *   fb_client console                  a virtual terminal: asks, sets, reads back, prints a lot
 * Exit code 0 and no output: all was as linux/fb.h says.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fb.h>
#include <linux/kd.h>
#include <linux/vt.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static int failures;

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("%d: %s (%s)\n", __LINE__, #condition, strerror(errno));            \
			failures++;                                                                \
		}                                                                                  \
	} while (0)
#define CHECK_ERROR(call, error) CHECK((call) == -1 && errno == (error))
#define NEED(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("%d: %s (%s)\n", __LINE__, #condition, strerror(errno));            \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

struct screen {
	int fd;
	struct fb_var_screeninfo var;
	struct fb_fix_screeninfo fix;
	uint8_t *memory;
};

static void look(struct screen *s)
{
	NEED(ioctl(s->fd, FBIOGET_VSCREENINFO, &s->var) == 0);
	NEED(ioctl(s->fd, FBIOGET_FSCREENINFO, &s->fix) == 0);
}

static void open_screen(struct screen *s)
{
	s->fd = open("/dev/fb0", O_RDWR);
	NEED(s->fd >= 0);
	look(s);
	s->memory = mmap(NULL, s->fix.smem_len, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
	NEED(s->memory != MAP_FAILED);
}

static void set_mode(struct screen *s, unsigned width, unsigned height, unsigned bits)
{
	s->var.xres = s->var.xres_virtual = width;
	s->var.yres = s->var.yres_virtual = height;
	s->var.xoffset = s->var.yoffset = 0;
	s->var.bits_per_pixel = bits;
	s->var.activate = FB_ACTIVATE_NOW;
	NEED(ioctl(s->fd, FBIOPUT_VSCREENINFO, &s->var) == 0);
	NEED(s->var.xres == width && s->var.yres == height && s->var.bits_per_pixel == bits);
	look(s);
	NEED(s->var.xres == width && s->var.yres == height && s->var.bits_per_pixel == bits);
}

static uint32_t channel(const struct fb_bitfield *field, unsigned value8)
{
	return (value8 >> (8 - field->length)) << field->offset;
}

static void put(struct screen *s, unsigned x, unsigned y, uint32_t pixel)
{
	unsigned bytes = s->var.bits_per_pixel / 8;

	memcpy(s->memory + (size_t)y * s->fix.line_length + (size_t)x * bytes, &pixel, bytes);
}

/* Three bytes that differ from place to place; the test makes the same. */
static void colour(unsigned x, unsigned y, unsigned rgb[3])
{
	rgb[0] = (x * 3 + y) & 255;
	rgb[1] = (x + y * 5) & 255;
	rgb[2] = (x * y + 17) & 255;
}

static int draw(unsigned width, unsigned height, unsigned bits)
{
	struct screen s;

	open_screen(&s);
	set_mode(&s, width, height, bits);
	if (bits == 8) {
		/* A palette in which number n has the colour of (n, 0). */
		uint16_t red[256], green[256], blue[256];
		struct fb_cmap map = {0, 256, red, green, blue, NULL};
		unsigned i, rgb[3];

		for (i = 0; i < 256; i++) {
			colour(i, 0, rgb);
			red[i] = (uint16_t)(rgb[0] * 257);
			green[i] = (uint16_t)(rgb[1] * 257);
			blue[i] = (uint16_t)(rgb[2] * 257);
		}
		NEED(ioctl(s.fd, FBIOPUTCMAP, &map) == 0);
	}
	for (unsigned y = 0; y < height; y++) {
		for (unsigned x = 0; x < width; x++) {
			unsigned rgb[3];

			colour(x, y, rgb);
			put(&s, x, y,
			    bits == 8 ? (x ^ y) & 255
				      : channel(&s.var.red, rgb[0]) |
						channel(&s.var.green, rgb[1]) |
						channel(&s.var.blue, rgb[2]));
		}
	}
	return 0;
}

/* The upper half of the memory red, the lower one green; each shown in its turn. */
static int flip(void)
{
	struct screen s;

	open_screen(&s);
	set_mode(&s, 160, 120, 32);
	s.var.yres_virtual = 240;
	NEED(ioctl(s.fd, FBIOPUT_VSCREENINFO, &s.var) == 0);
	NEED(s.var.yres == 120 && s.var.yres_virtual == 240);
	look(&s);
	NEED(s.fix.ypanstep == 1);
	for (unsigned y = 0; y < 240; y++)
		for (unsigned x = 0; x < 160; x++)
			put(&s, x, y, y < 120 ? 0xff0000 : 0x00ff00);
	for (unsigned turn = 0; turn < 5; turn++) {
		uint32_t screen = 0;

		s.var.yoffset = turn % 2 ? 0 : 120;
		NEED(ioctl(s.fd, FBIOPAN_DISPLAY, &s.var) == 0);
		NEED(ioctl(s.fd, FBIO_WAITFORVSYNC, &screen) == 0);
	}
	look(&s);
	NEED(s.var.yoffset == 120);
	return 0;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void modes_with_nonsense(struct screen *s)
{
	struct fb_var_screeninfo var = s->var;
	const struct fb_var_screeninfo before = s->var;

	var.bits_per_pixel = 64;
	CHECK_ERROR(ioctl(s->fd, FBIOPUT_VSCREENINFO, &var), EINVAL);
	var = before;
	var.xres = 0;
	CHECK_ERROR(ioctl(s->fd, FBIOPUT_VSCREENINFO, &var), EINVAL);
	/* More than there is memory for: less of it. */
	var = before;
	memset(&var, 0xff, sizeof(var));
	var.bits_per_pixel = 32;
	var.activate = FB_ACTIVATE_TEST;
	if (ioctl(s->fd, FBIOPUT_VSCREENINFO, &var) == 0) {
		CHECK((uint64_t)var.xres_virtual * var.yres_virtual * 4 <= s->fix.smem_len);
		CHECK(var.xoffset + var.xres <= var.xres_virtual);
		CHECK(var.yoffset + var.yres <= var.yres_virtual);
	} else {
		CHECK(errno == EINVAL);
	}
	look(s);
	CHECK(memcmp(&before, &s->var, sizeof(before)) == 0);
	/* What one gets one may put. */
	var = before;
	CHECK(ioctl(s->fd, FBIOPUT_VSCREENINFO, &var) == 0);
	CHECK(memcmp(&before, &var, sizeof(before)) == 0);
	CHECK_ERROR(ioctl(s->fd, FBIOPUT_VSCREENINFO, NULL), EFAULT);

	var.xoffset = 1;
	CHECK_ERROR(ioctl(s->fd, FBIOPAN_DISPLAY, &var), EINVAL);
	var.xoffset = 0;
	var.yoffset = UINT32_MAX;
	CHECK_ERROR(ioctl(s->fd, FBIOPAN_DISPLAY, &var), EINVAL);
}

static void palettes_with_nonsense(struct screen *s)
{
	uint16_t red[256], green[256], blue[256], clear[256];
	struct fb_cmap map = {0, 256, red, green, blue, clear};
	uint16_t set[2] = {0x1234, 0xabcd};
	struct fb_cmap two = {7, 2, set, set, set, NULL};

	CHECK(ioctl(s->fd, FBIOPUTCMAP, &two) == 0);
	CHECK(ioctl(s->fd, FBIOGETCMAP, &map) == 0);
	CHECK(red[7] == 0x1234 && green[8] == 0xabcd && blue[8] == 0xabcd);
	two.start = 255;
	CHECK_ERROR(ioctl(s->fd, FBIOPUTCMAP, &two), EINVAL);
	two.start = UINT32_MAX;
	CHECK_ERROR(ioctl(s->fd, FBIOPUTCMAP, &two), EINVAL);
	two.start = 0;
	two.len = UINT32_MAX;
	CHECK_ERROR(ioctl(s->fd, FBIOGETCMAP, &two), EINVAL);
	two.len = 2;
	two.red = NULL;
	CHECK_ERROR(ioctl(s->fd, FBIOPUTCMAP, &two), EFAULT);
}

static int calls(void)
{
	struct screen s;
	struct fb_vblank vblank;
	struct stat st;
	uint32_t screen = 0;
	char byte = 0;

	open_screen(&s);
	CHECK(strcmp(s.fix.id, "xen") == 0);
	CHECK(s.fix.type == FB_TYPE_PACKED_PIXELS);
	CHECK(s.fix.line_length >= s.var.xres * s.var.bits_per_pixel / 8);
	CHECK(stat("/dev/fb0", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(29, 0));
	CHECK(fstat(s.fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(29, 0));
	CHECK(access("/dev/fb0", R_OK | W_OK) == 0);
	modes_with_nonsense(&s);
	palettes_with_nonsense(&s);

	for (int level = FB_BLANK_UNBLANK; level <= FB_BLANK_POWERDOWN; level++)
		CHECK(ioctl(s.fd, FBIOBLANK, level) == 0);
	CHECK(ioctl(s.fd, FBIOBLANK, 99) == 0); /* as Linux: the strongest */
	CHECK(ioctl(s.fd, FBIOBLANK, FB_BLANK_UNBLANK) == 0);

	CHECK(ioctl(s.fd, FBIOGET_VBLANK, &vblank) == 0 && (vblank.flags & FB_VBLANK_HAVE_COUNT));
	const uint32_t count = vblank.count;
	const double begin = now();
	for (int i = 0; i < 30; i++)
		CHECK(ioctl(s.fd, FBIO_WAITFORVSYNC, &screen) == 0);
	CHECK(ioctl(s.fd, FBIOGET_VBLANK, &vblank) == 0);
	/* Each waited for a beat of its own, and for no more than the beats there were. */
	CHECK(vblank.count - count >= 29);
	CHECK(now() - begin >= 29 / 60.0 * 0.9);

	CHECK_ERROR(ioctl(s.fd, FBIO_CURSOR, &vblank), EINVAL);
	CHECK_ERROR(ioctl(s.fd, 0x4601 + 0x70, &vblank), ENOTTY);
	CHECK_ERROR(ioctl(s.fd, _IOW('F', 0x21, uint32_t), &screen), ENOTTY);
	CHECK_ERROR(ioctl(s.fd, TCGETS, &vblank), ENOTTY);

	/* The end: mapped up to it, not beyond; read and written as a device. */
	const size_t end = (s.fix.smem_len + 4095u) & ~(size_t)4095;
	CHECK(mmap(NULL, end + 4096, PROT_READ, MAP_SHARED, s.fd, 0) == MAP_FAILED &&
	      errno == EINVAL);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, s.fd, (off_t)end) == MAP_FAILED &&
	      errno == EINVAL);
	void *last = mmap(NULL, 4096, PROT_READ, MAP_SHARED, s.fd, (off_t)end - 4096);
	CHECK(last != MAP_FAILED && ((volatile char *)last)[4095] == 0);
	CHECK(pread(s.fd, &byte, 1, (off_t)end) == 0);
	CHECK_ERROR(pwrite(s.fd, &byte, 1, (off_t)end), ENOSPC);
	CHECK_ERROR(pwrite(s.fd, &byte, 1, (off_t)end + 1), EFBIG);
	return failures;
}

static void *ask_often(void *arg)
{
	struct fb_var_screeninfo var;

	for (int i = 0; i < 200; i++)
		if (ioctl(*(int *)arg, FBIOGET_VSCREENINFO, &var) || var.xres == 0)
			return "a thread's request failed";
	return NULL;
}

static int many(void)
{
	struct screen s;
	pthread_t thread[4];
	int status;

	open_screen(&s);
	for (int i = 0; i < 4; i++)
		NEED(pthread_create(&thread[i], NULL, ask_often, &s.fd) == 0);
	for (int i = 0; i < 8; i++) {
		const pid_t child = fork();

		if (child == 0) {
			int copy = dup(s.fd);

			close(s.fd);
			_exit(ask_often(&copy) != NULL);
		}
		NEED(child > 0);
		NEED(waitpid(child, &status, 0) == child);
		CHECK(status == 0);
	}
	for (int i = 0; i < 4; i++) {
		void *error;

		pthread_join(thread[i], &error);
		CHECK(error == NULL);
	}
	/* A number that was a framebuffer's and is another file's now. */
	const int number = s.fd;
	close(s.fd);
	NEED(open("/dev/null", O_RDWR) == number);
	CHECK_ERROR(ioctl(number, FBIOGET_VSCREENINFO, &s.var), ENOTTY);
	FILE *f = fopen("/dev/fb0", "r+");
	NEED(f);
	CHECK(ioctl(fileno(f), FBIOGET_VSCREENINFO, &s.var) == 0);
	fclose(f);
	return failures;
}

static int modes(int count)
{
	static const unsigned bits[] = {8, 16, 24, 32};
	struct screen s;

	open_screen(&s);
	for (int i = 0; i < count; i++) {
		/* Another program's mode may be there again before we look. */
		s.var.xres = s.var.xres_virtual = 64 + (unsigned)(rand() % 64);
		s.var.yres = s.var.yres_virtual = 48 + (unsigned)(rand() % 64);
		s.var.xoffset = s.var.yoffset = 0;
		s.var.bits_per_pixel = bits[rand() % 4];
		CHECK(ioctl(s.fd, FBIOPUT_VSCREENINFO, &s.var) == 0);
		memset(s.memory, i, s.fix.smem_len);
	}
	return failures;
}

static int virtual_terminal(void)
{
	const int fd = open("/dev/tty0", O_RDWR);
	struct vt_stat state;
	struct vt_mode mode = {VT_PROCESS, 0, 10, 12, 0}, found;
	struct termios t;
	int number = 0;

	NEED(fd >= 0);
	CHECK(isatty(fd) && tcgetattr(fd, &t) == 0);
	CHECK(ioctl(fd, VT_GETSTATE, &state) == 0 && state.v_active == 1);
	CHECK(ioctl(fd, VT_OPENQRY, &number) == 0 && number > 0);
	CHECK(ioctl(fd, VT_ACTIVATE, number) == 0 && ioctl(fd, VT_WAITACTIVE, number) == 0);
	CHECK(ioctl(fd, VT_SETMODE, &mode) == 0 && ioctl(fd, VT_GETMODE, &found) == 0);
	CHECK(found.mode == VT_PROCESS && found.relsig == 10 && found.acqsig == 12);
	CHECK(ioctl(fd, KDSETMODE, KD_GRAPHICS) == 0);
	CHECK(ioctl(fd, KDGETMODE, &number) == 0 && number == KD_GRAPHICS);
	CHECK(ioctl(fd, KDSKBMODE, K_OFF) == 0);
	CHECK(ioctl(fd, KDGKBMODE, &number) == 0 && number == K_OFF);
	/* Whoever prints never waits: more than any buffer on the way holds. */
	for (int i = 0; i < 4000; i++)
		CHECK(write(fd, "\033[2J text on a console, which nobody reads\r\n", 44) == 44);
	/* What is no terminal does not become one. */
	const int null = open("/dev/null", O_RDWR);
	CHECK_ERROR(ioctl(null, KDGETMODE, &number), ENOTTY);
	return failures;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "draw") && argc == 5)
		return draw((unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]),
			    (unsigned)atoi(argv[4]));
	if (!strcmp(what, "flip"))
		return flip();
	if (!strcmp(what, "calls"))
		return calls();
	if (!strcmp(what, "many"))
		return many();
	if (!strcmp(what, "modes") && argc == 3)
		return modes(atoi(argv[2]));
	if (!strcmp(what, "console"))
		return virtual_terminal();
	fprintf(stderr, "fb_client: see the comment at its head\n");
	return 2;
}
