/*
 * net_poll.h - descriptors that are asked for anew in each round, as in poll(2) (layer 2).
 *
 * For a library that names, before each wait, the descriptors and events it waits for, and
 * makes and closes descriptors in between. An epoll set keeps what stays the same, so a round
 * costs system calls only for what changed, and a loop watches one descriptor for all of them.
 *
 *	net_poll_collect();	what happened, then: net_poll_revents() of each
 *	net_poll_begin();	then: net_poll_want() for each
 *	net_poll_end();		what was not wanted is not watched
 *
 * One thread. Nothing is allocated: a descriptor is an index below NET_POLL_MAX_FD, of a table
 * of which only what is used takes memory.
 */
#ifndef LKVM_VMM_NET_POLL_H
#define LKVM_VMM_NET_POLL_H

#include <sys/epoll.h>

#include "vmm/base.h"

#define NET_POLL_MAX_FD 65536
#define NET_POLL_BATCH	64 /* events in one round; those beyond come in the next */

struct net_watch {
	u32 round;   /* in which it was wanted last */
	u32 armed;   /* EPOLL* in the epoll set; 0: not there */
	u32 revents; /* what happened, since the last net_poll_collect() */
	bool listed;
};

/* Zeroed, then net_poll_init(). */
struct net_poll {
	int fd; /* the epoll set, readable when something happened; -1: none */
	u32 round;
	unsigned int n_listed, n_events;
	int events[NET_POLL_BATCH];  /* whose revents are set */
	int listed[NET_POLL_MAX_FD]; /* what is in the epoll set, and some that was */
	struct net_watch watch[NET_POLL_MAX_FD];
};

/* 0 or -errno. */
int net_poll_init(struct net_poll *np);
void net_poll_fini(struct net_poll *np); /* accepts one whose init failed */

/* False for a number that cannot be watched; all that follow ignore those. */
static inline bool net_poll_takes(int fd)
{
	return fd >= 0 && fd < NET_POLL_MAX_FD;
}

void net_poll_collect(struct net_poll *np);
u32 net_poll_revents(const struct net_poll *np, int fd);

void net_poll_begin(struct net_poll *np);
void net_poll_want(struct net_poll *np, int fd, u32 events);
void net_poll_end(struct net_poll *np);

/* @fd was just opened: whatever had that number is forgotten. */
void net_poll_opened(struct net_poll *np, int fd);

/* @fd is about to be closed. */
void net_poll_closing(struct net_poll *np, int fd);

#endif
