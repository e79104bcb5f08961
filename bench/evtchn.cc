// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * evtchn.cc - what an event costs, beside eventfd, a pipe and a futex
 *
 *      bench-evtchn [--rounds N] [--ms N] [--channels N]
 *
 *      stream    one thread sends as fast as it can, another one, awake, takes what there is
 *      pending   send of an event that is pending already
 *      wake      there and back between two threads that sleep in between
 *      two       two threads send, each through a channel of its own to one vcpu, as fast as they
 *                can; a third one, the vcpu, takes what there is
 *      link      two threads send events of their own, none of them pending, to one vcpu: each is
 *                linked onto the same queue; the queue is emptied between the rounds
 *      idle      send and take one event, while so many channels are bound and idle
 *      priority  how many events of a flood are delivered before an urgent one
 *      fairness  of equal channels that are always sent: deliveries of the least and most served
 *
 * Rounds of everything alternate; a figure is the median. What one thread does is timed by that
 * thread's own clock. stream, link and wake need two processors for themselves: they are timed by
 * the wall's, from the first to the last event; what was sent has arrived by then.
 *
 * Exit status: 0; 1: a figure misses its target; 2: bad arguments.
 */
#include "environment.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdlib>
#include <functional>
#include <linux/futex.h>
#include <map>
#include <memory>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <thread>
#include <vector>

#include <asm/xen/hypercall.h>
#include <kshim/machine.h>
#include <kshim/mmu.h>
#include <kshim/vcpu.h>
#include <kshim/xen.h>
#include <linux/mm.h>
#include <xen/events_fifo.h>

namespace
{

constexpr const char *POLICIES[] = {"event-lock", "old-queue-recheck", "two-queue-locks",
				    "lock-free"};

struct options {
	unsigned rounds = 9;
	unsigned ms = 40;
	unsigned channels = 100000;
};

double clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double now_ns()
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* The processor's time: what others took of it does not count. */
double cpu_ns()
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

[[noreturn]] void fail(const char *what)
{
	std::fprintf(stderr, "bench-evtchn: %s failed; is there enough memory?\n", what);
	std::exit(1);
}

/* Two domains with one vcpu each; channels from domain 0 to domain 1 and back. */
class guest
{
public:
	explicit guest(const char *policy) : params_(std::string("evtchn.policy=") + policy)
	{
		static const machine_initcall *const calls[] = {&mmu_initcall, &mm_initcall,
								&xen_initcall, nullptr};
		pv_machine_config config;

		config.params = params_.c_str();
		machine_ = pv_machine_create(&config, calls);
		if (IS_ERR(machine_))
			fail("making a machine");
		machine_scope bound(machine_);

		for (domid_t d : {XEN_DOM_BACK, XEN_DOM_FRONT}) {
			domains_[d] = xen_domain(d);
			if (events_fifo_init(&fifos_[d], domains_[d]))
				fail("init_control");
		}
	}
	~guest()
	{
		{
			machine_scope bound(machine_);

			for (domid_t d : {XEN_DOM_BACK, XEN_DOM_FRONT}) {
				evtchn_reset reset = {DOMID_SELF};

				if (op(d, EVTCHNOP_reset, &reset))
					fail("reset");
				events_fifo_exit(&fifos_[d]);
			}
		}
		pv_machine_destroy(machine_);
	}
	guest(const guest &) = delete;
	guest &operator=(const guest &) = delete;

	struct channel {
		evtchn_port_t port[2]; /* of each domain */
	};

	channel open()
	{
		evtchn_alloc_unbound alloc = {DOMID_SELF, XEN_DOM_BACK, 0};

		if (op(XEN_DOM_FRONT, EVTCHNOP_alloc_unbound, &alloc))
			fail("alloc_unbound");
		evtchn_bind_interdomain bind = {XEN_DOM_FRONT, alloc.port, 0};

		if (op(XEN_DOM_BACK, EVTCHNOP_bind_interdomain, &bind))
			fail("bind_interdomain");
		channel c = {{bind.local_port, alloc.port}};

		for (domid_t d : {XEN_DOM_BACK, XEN_DOM_FRONT}) {
			if (events_fifo_expand(&fifos_[d], c.port[d]))
				fail("expand_array");
			events_fifo_unmask(&fifos_[d], c.port[d]);
		}
		drain(XEN_DOM_BACK);
		return c;
	}

	int op(domid_t d, int cmd, void *arg)
	{
		return HYPERVISOR_event_channel_op(domains_[d], cmd, arg);
	}

	/* From the domain. */
	void send(domid_t from, const channel &c)
	{
		evtchn_send send = {c.port[from]};

		if (op(from, EVTCHNOP_send, &send))
			fail("send");
	}

	evtchn_port_t take(domid_t d)
	{
		evtchn_port_t port;

		while (events_fifo_turn(&fifos_[d], 0, &port)) {
			if (events_fifo_take(&fifos_[d], port))
				return port;
		}
		return 0;
	}

	unsigned drain(domid_t d)
	{
		unsigned n = 0;

		while (take(d))
			n++;
		return n;
	}

	/* Sleeps until an event comes, takes them all. */
	void wait(domid_t d)
	{
		struct xen_vcpu *v = xen_vcpu(domains_[d], 0);

		while (!drain(d)) {
			if (!xen_vcpu_upcall(v))
				(void)xen_vcpu_block(v, KSHIM_FOREVER);
		}
	}

	void priority(const channel &c, u32 priority)
	{
		evtchn_set_priority set = {c.port[XEN_DOM_FRONT], priority};

		if (op(XEN_DOM_FRONT, EVTCHNOP_set_priority, &set))
			fail("set_priority");
	}

	std::thread thread(std::function<void()> body)
	{
		return std::thread([this, body] {
			machine_scope bound(machine_);

			body();
		});
	}

	pv_machine *machine() const { return machine_; }

private:
	std::string params_;
	pv_machine *machine_;
	struct xen_domain *domains_[2];
	struct events_fifo fifos_[2] = {};
};

/* Producer and consumer: @send says that something happened, @take returns how much it found. */
struct pair_of_threads {
	std::function<void()> send;
	std::function<void()> take;
};

/* Events a second: sent by one thread, the last of them seen by the other. */
double stream(unsigned ms, const std::function<std::thread(std::function<void()>)> &start,
	      const pair_of_threads &p)
{
	std::atomic<u64> sent = 0, seen = 0;
	std::atomic<bool> ready = false;
	std::thread consumer = start([&] {
		ready = true;
		while (seen.load(std::memory_order_relaxed) != ~0ull) {
			p.take();
			seen.store(sent.load());
		}
	});

	while (!ready)
		std::this_thread::yield();
	const double begin = now_ns(), end = begin + ms * 1e6;
	u64 n = 0;

	do {
		for (int i = 0; i < 64; i++) {
			sent.store(++n, std::memory_order_release);
			p.send();
		}
	} while (now_ns() < end);
	while (seen.load() != n)
		;
	const double took = now_ns() - begin;

	sent = ~0ull;
	p.send();
	consumer.join();
	return (double)n / took * 1e9;
}

void futex(std::atomic<u32> *word, int what, u32 value)
{
	(void)syscall(SYS_futex, word, what | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0);
}

/* A word: 0 nothing, 1 something, 2 somebody sleeps. */
struct futex_word {
	std::atomic<u32> word{0};

	void send()
	{
		if (word.exchange(1) == 2)
			futex(&word, FUTEX_WAKE, 1);
	}
	void take()
	{
		u32 nothing = 0;

		while (word.exchange(0) != 1) {
			nothing = 0;
			if (word.compare_exchange_strong(nothing, 2))
				futex(&word, FUTEX_WAIT, 2);
		}
	}
};

std::thread plain(std::function<void()> body)
{
	return std::thread(std::move(body));
}

double stream_eventfd(unsigned ms)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	double rate = stream(ms, plain,
			     {[fd] {
				      u64 one = 1;
				      if (write(fd, &one, 8) != 8)
					      fail("eventfd");
			      },
			      [fd] {
				      u64 n;
				      if (read(fd, &n, 8) != 8)
					      fail("eventfd");
			      }});

	close(fd);
	return rate;
}

double stream_pipe(unsigned ms)
{
	int fd[2];

	if (pipe(fd))
		fail("pipe");
	double rate = stream(ms, plain,
			     {[&] {
				      if (write(fd[1], "x", 1) != 1)
					      fail("pipe");
			      },
			      [&] {
				      char bytes[4096];
				      if (read(fd[0], bytes, sizeof(bytes)) <= 0)
					      fail("pipe");
			      }});

	close(fd[0]);
	close(fd[1]);
	return rate;
}

double stream_futex(unsigned ms)
{
	futex_word w;

	return stream(ms, plain, {[&] { w.send(); }, [&] { w.take(); }});
}

double stream_evtchn(unsigned ms, guest &g, const guest::channel &c)
{
	return stream(ms, [&](std::function<void()> body) { return g.thread(std::move(body)); },
		      {[&] { g.send(XEN_DOM_BACK, c); }, [&] { g.drain(XEN_DOM_FRONT); }});
}

/* ns a send. */
double pending(unsigned ms, guest &g, const guest::channel &c)
{
	const double begin = cpu_ns();
	u64 n = 0;

	g.send(XEN_DOM_BACK, c);
	do {
		for (int i = 0; i < 1000; i++)
			g.send(XEN_DOM_BACK, c);
		n += 1000;
	} while (cpu_ns() < begin + ms * 1e6);
	const double took = cpu_ns() - begin;

	g.drain(XEN_DOM_FRONT);
	return took / (double)n;
}

/* ns there and back. */
double there_and_back(unsigned ms, const std::function<std::thread(std::function<void()>)> &start,
		      const std::function<void(int)> &send, const std::function<void(int)> &wait)
{
	std::atomic<bool> over = false;
	std::thread other = start([&] {
		for (;;) {
			wait(1);
			if (over)
				return;
			send(1);
		}
	});
	const double begin = now_ns();
	u64 n = 0;

	do {
		send(0);
		wait(0);
		n++;
	} while (now_ns() < begin + ms * 1e6);
	const double took = now_ns() - begin;

	over = true;
	send(0);
	other.join();
	return took / (double)n;
}

double wake_evtchn(unsigned ms, guest &g, const guest::channel &c)
{
	double ns = there_and_back(
		ms, [&](std::function<void()> body) { return g.thread(std::move(body)); },
		[&](int who) { g.send((domid_t)who, c); }, [&](int who) { g.wait((domid_t)who); });

	g.drain(XEN_DOM_BACK);
	return ns;
}

double wake_futex(unsigned ms)
{
	futex_word w[2];

	return there_and_back(
		ms, plain, [&](int who) { w[!who].send(); }, [&](int who) { w[who].take(); });
}

/* ns of a producer's processor a send. */
double two_producers(unsigned ms, guest &g, const std::vector<guest::channel> &channels)
{
	std::atomic<unsigned> busy = 2;
	double took[2];
	u64 n[2] = {0, 0};
	auto producer = [&](unsigned who) {
		const double begin = cpu_ns(), end = now_ns() + ms * 1e6;

		do {
			for (int i = 0; i < 64; i++)
				g.send(XEN_DOM_BACK, channels[who * 32]);
			n[who] += 64;
		} while (now_ns() < end);
		took[who] = cpu_ns() - begin;
		busy--;
	};
	std::thread vcpu = g.thread([&] {
		while (busy) {
			if (!g.drain(XEN_DOM_FRONT))
				std::this_thread::yield();
		}
	});
	std::thread other = g.thread([&] { producer(1); });

	producer(0);
	other.join();
	vcpu.join();
	g.drain(XEN_DOM_FRONT);
	return (took[0] + took[1]) / (double)(n[0] + n[1]);
}

/* Both threads' events a second; each event is linked. */
double link(unsigned ms, guest &g, const std::vector<guest::channel> &channels)
{
	std::atomic<bool> over = false;
	double begin = 0, took = 0;
	u64 n = 0;
	std::barrier start(2, [&]() noexcept { begin = now_ns(); });
	std::barrier end(2, [&]() noexcept {
		machine_scope bound(g.machine());

		took += now_ns() - begin;
		n += channels.size();
		if (g.drain(XEN_DOM_FRONT) != channels.size())
			fail("linking");
		over = took > ms * 1e6;
	});
	/* Each has its half: neighbours' words share a cache line. */
	auto producer = [&](size_t half) {
		const size_t n = channels.size() / 2;

		do {
			start.arrive_and_wait();
			for (size_t i = half * n; i < (half + 1) * n; i++)
				g.send(XEN_DOM_BACK, channels[i]);
			end.arrive_and_wait();
		} while (!over);
	};
	std::thread other = g.thread([&] { producer(1); });

	producer(0);
	other.join();
	return (double)n / took * 1e9;
}

double send_and_take(unsigned ms, guest &g, const guest::channel &c)
{
	const double begin = cpu_ns();
	u64 n = 0;

	do {
		for (int i = 0; i < 100; i++) {
			g.send(XEN_DOM_BACK, c);
			g.drain(XEN_DOM_FRONT);
		}
		n += 100;
	} while (cpu_ns() < begin + ms * 1e6);
	return (cpu_ns() - begin) / (double)n;
}

double median(std::vector<double> v)
{
	std::sort(v.begin(), v.end());
	return v[v.size() / 2];
}

struct figures {
	std::map<std::string, std::vector<double>> all;

	void add(const std::string &name, double value) { all[name].push_back(value); }
	double operator[](const std::string &name) const { return median(all.at(name)); }
};

/* Events of a flood of 64 channels that come before an urgent one, at most. */
unsigned priority_latency(guest &g, const std::vector<guest::channel> &flood,
			  const guest::channel &urgent)
{
	unsigned worst = 0;

	g.priority(urgent, 0);
	for (unsigned before = 0; before < 64; before++) {
		unsigned n = 0;

		for (unsigned i = 0; i < 64; i++)
			g.send(XEN_DOM_BACK, flood[i]);
		for (unsigned i = 0; i < before; i++)
			(void)g.take(XEN_DOM_FRONT);
		g.send(XEN_DOM_BACK, urgent);
		while (g.take(XEN_DOM_FRONT) != urgent.port[XEN_DOM_FRONT])
			n++;
		worst = std::max(worst, n);
		g.drain(XEN_DOM_FRONT);
	}
	return worst;
}

/* Least and most deliveries of 64 channels, each of which is sent again as soon as it came. */
std::pair<u64, u64> fairness(guest &g, const std::vector<guest::channel> &channels)
{
	std::map<evtchn_port_t, u64> served;
	std::map<evtchn_port_t, const guest::channel *> by_port;

	for (unsigned i = 0; i < 64; i++) {
		by_port[channels[i].port[XEN_DOM_FRONT]] = &channels[i];
		g.send(XEN_DOM_BACK, channels[i]);
	}
	for (int i = 0; i < 100000; i++) {
		const evtchn_port_t port = g.take(XEN_DOM_FRONT);

		served[port]++;
		g.send(XEN_DOM_BACK, *by_port[port]);
	}
	g.drain(XEN_DOM_FRONT);
	auto [least, most] =
		std::minmax_element(served.begin(), served.end(), [](const auto &a, const auto &b) {
			return a.second < b.second;
		});
	return {served.size() == 64 ? least->second : 0, most->second};
}

struct bench {
	options o;
	std::map<std::string, std::unique_ptr<guest>> guests;
	std::map<std::string, std::vector<guest::channel>> channels;
	std::unique_ptr<guest> crowded;
	guest::channel in_crowd = {};
	figures f;

	void setup()
	{
		for (const char *policy : POLICIES) {
			auto g = std::make_unique<guest>(policy);
			machine_scope bound(g->machine());

			for (int i = 0; i < 512; i++)
				channels[policy].push_back(g->open());
			guests[policy] = std::move(g);
		}
		crowded = std::make_unique<guest>("lock-free");
		machine_scope bound(crowded->machine());

		for (unsigned i = 0; i < o.channels; i++)
			in_crowd = crowded->open();
	}

	void round(unsigned ms)
	{
		f.add("eventfd", stream_eventfd(ms));
		f.add("pipe", stream_pipe(ms));
		f.add("futex", stream_futex(ms));
		f.add("wake futex", wake_futex(ms));
		for (const char *policy : POLICIES) {
			guest &g = *guests[policy];
			const std::string name = policy;
			machine_scope bound(g.machine());

			f.add("stream " + name, stream_evtchn(ms, g, channels[policy][0]));
			f.add("pending " + name, pending(ms / 4, g, channels[policy][0]));
			f.add("two " + name, two_producers(ms, g, channels[policy]));
			f.add("link " + name, link(ms, g, channels[policy]));
			f.add("wake " + name, wake_evtchn(ms, g, channels[policy][0]));
			f.add("take " + name, send_and_take(ms / 4, g, channels[policy][0]));
		}
		machine_scope bound(crowded->machine());

		f.add("crowded", send_and_take(ms / 4, *crowded, in_crowd));
	}
};

bool target(const char *what, double value, const char *relation, double limit)
{
	const bool met = *relation == '<' ? value <= limit : value >= limit;

	std::printf("target: %-52s %8.2f  %s %6.2f  %s\n", what, value,
		    *relation == '<' ? "at most " : "at least", limit, met ? "met" : "MISSED");
	return met;
}

int print(bench &b)
{
	const figures &f = b.f;
	std::string best = POLICIES[0];

	std::printf("\n%-20s %12s %14s %12s %12s %12s\n", "", "stream", "pending, two", "link, 2",
		    "wake", "send, take");
	std::printf("%-20s %12s %14s %12s %12s %12s\n", "", "M events/s", "ns, 2: ns", "M events/s",
		    "us, to+fro", "ns");
	for (const char *name : {"eventfd", "pipe", "futex"})
		std::printf("%-20s %12.2f\n", name, f[name] / 1e6);
	std::printf("%-20s %12s %14s %12s %12.2f\n", "futex, bare", "", "", "",
		    f["wake futex"] / 1e3);
	for (const std::string policy : POLICIES) {
		std::printf("%-20s %12.2f %7.1f %6.1f %12.2f %12.2f %12.1f\n", policy.c_str(),
			    f["stream " + policy] / 1e6, f["pending " + policy], f["two " + policy],
			    f["link " + policy] / 1e6, f["wake " + policy] / 1e3,
			    f["take " + policy]);
		if (f["two " + policy] < f["two " + best])
			best = policy;
	}
	std::printf("%-20s %12s %14s %12s %12s %12.1f\n", "  100,000 bound", "", "", "", "",
		    f["crowded"]);

	guest &g = *b.guests["lock-free"];
	auto &channels = b.channels["lock-free"];
	machine_scope bound(g.machine());
	const auto [least, most] = fairness(g, channels);

	std::printf("\nfairness: 64 equal channels, 100000 events: %lu to %lu each\n",
		    (unsigned long)least, (unsigned long)most);
	std::printf("priority: an urgent event waits for %u others of a flood at most\n",
		    priority_latency(g, channels, channels[100]));
	std::printf("winner of two producers: %s\n\n", best.c_str());

	bool met =
		target("lock-free stream / eventfd", f["stream lock-free"] / f["eventfd"], ">", 10);

	met &= target("lock-free pending, ns", f["pending lock-free"], "<", 20);
	met &= target("lock-free wake / futex", f["wake lock-free"] / f["wake futex"], "<", 1.3);
	met &= target("two producers, event-lock / winner", f["two event-lock"] / f["two " + best],
		      ">", 1.5);
	met &= target("100,000 channels / few", f["crowded"] / f["take lock-free"], "<", 1.2);
	return met ? 0 : 1;
}

bool parse(int argc, char **argv, options *o)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		const std::string option = argv[i];
		unsigned *to = option == "--rounds"     ? &o->rounds
			       : option == "--ms"       ? &o->ms
			       : option == "--channels" ? &o->channels
							: nullptr;
		char *rest;
		const unsigned long value = std::strtoul(argv[i + 1], &rest, 10);

		if (!to || *rest || value < 1 || value > 131000)
			return false;
		*to = (unsigned)value;
	}
	return argc % 2 == 1;
}

} // namespace

int main(int argc, char **argv)
{
	bench b;

	if (!parse(argc, argv, &b.o)) {
		std::fprintf(
			stderr,
			"usage: bench-evtchn [--rounds N] [--ms N] [--channels 1 to 131000]\n");
		return 2;
	}
	print_environment("all");
	std::printf("# rounds: %u of %u ms each\n", b.o.rounds, b.o.ms);
	b.setup();
	for (unsigned i = 0; i < b.o.rounds; i++)
		b.round(b.o.ms);
	return print(b);
}
