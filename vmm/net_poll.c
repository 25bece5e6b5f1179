#include "vmm/net_poll.h"

#include <errno.h>
#include <unistd.h>

int net_poll_init(struct net_poll *np)
{
	np->fd = epoll_create1(EPOLL_CLOEXEC);
	return np->fd < 0 ? -errno : 0;
}

void net_poll_fini(struct net_poll *np)
{
	if (np->fd >= 0)
		close(np->fd);
	np->fd = -1;
}

static void clear_events(struct net_poll *np)
{
	while (np->n_events)
		np->watch[np->events[--np->n_events]].revents = 0;
}

void net_poll_collect(struct net_poll *np)
{
	struct epoll_event evs[NET_POLL_BATCH];
	int n = epoll_wait(np->fd, evs, NET_POLL_BATCH, 0);

	clear_events(np);
	for (int i = 0; i < n; i++) {
		np->watch[evs[i].data.fd].revents = evs[i].events;
		np->events[np->n_events++] = evs[i].data.fd;
	}
}

u32 net_poll_revents(const struct net_poll *np, int fd)
{
	return net_poll_takes(fd) ? np->watch[fd].revents : 0;
}

void net_poll_begin(struct net_poll *np)
{
	np->round++;
}

static void arm(struct net_poll *np, int fd, u32 events)
{
	struct net_watch *w = &np->watch[fd];
	struct epoll_event ev = { .events = events, .data.fd = fd };
	int op = !events ? EPOLL_CTL_DEL : w->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	int ret = epoll_ctl(np->fd, op, fd, &ev);

	if (ret && op == EPOLL_CTL_ADD && errno == EEXIST)
		ret = epoll_ctl(np->fd, EPOLL_CTL_MOD, fd, &ev);
	/* One that cannot be watched is asked for again, and so tried again, in the next round. */
	w->armed = ret ? 0 : events;
	if (w->armed && !w->listed) {
		w->listed = true;
		np->listed[np->n_listed++] = fd;
	}
}

void net_poll_want(struct net_poll *np, int fd, u32 events)
{
	if (!net_poll_takes(fd))
		return;
	np->watch[fd].round = np->round;
	if (np->watch[fd].armed != events)
		arm(np, fd, events);
}

void net_poll_end(struct net_poll *np)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < np->n_listed; i++) {
		int fd = np->listed[i];
		struct net_watch *w = &np->watch[fd];

		if (w->armed && w->round != np->round)
			arm(np, fd, 0);
		w->listed = w->armed != 0;
		if (w->listed)
			np->listed[n++] = fd;
	}
	np->n_listed = n;
}

void net_poll_opened(struct net_poll *np, int fd)
{
	/* The epoll set forgot the other one when that was closed. */
	if (net_poll_takes(fd))
		np->watch[fd].armed = np->watch[fd].revents = 0;
}

void net_poll_closing(struct net_poll *np, int fd)
{
	if (!net_poll_takes(fd))
		return;
	if (np->watch[fd].armed)
		arm(np, fd, 0);
	np->watch[fd].revents = 0;
}
