#include "vmm/net.h"

#include "vmm/dev.h"

int net_open(struct net **net, const struct lkvm_net *cfg, struct loop *loop, const struct log *log,
	     struct lkvm_error *err)
{
	*net = NULL;
	switch (cfg->mode) {
	case LKVM_NET_NONE:
		return 0;
	case LKVM_NET_TAP:
		return net_tap_open(net, cfg, loop, log, err);
	case LKVM_NET_USER:
		return net_user_open(net, cfg, loop, log, err);
	case LKVM_NET_UNIX:
		return net_unix_open(net, cfg, loop, log, err);
	}
	return err_input(err, "--network: there is no mode %d", (int)cfg->mode);
}

void net_close(struct net *net)
{
	if (net)
		net->ops->close(net);
}

void net_attach(struct net *net, struct dev *dev, void (*ready)(struct dev *dev, void *net))
{
	net->dev = dev;
	net->ready = ready;
	if (dev)
		return;
	/* The next device finds what the first one found. */
	for (unsigned int i = 0; i < net->max_pairs; i++)
		net->ops->want_recv(net, i, false);
	if (net->ops->set_offloads)
		net->ops->set_offloads(net, 0);
	if (net->ops->set_pairs)
		net->ops->set_pairs(net, 1);
}

void net_ready(struct net *net)
{
	if (net->dev)
		dev_call(net->dev, net->ready, net);
}
