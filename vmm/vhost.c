#include "vmm/vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "linux-uapi/vhost.h"

/*
 * Feature bits that change how rings and buffers are read (virtio 1.2 sections 5.1.3 and 6):
 * MRG_RXBUF, INDIRECT_DESC, EVENT_IDX, VERSION_1. All others are between the driver and the tap.
 */
#define RING_FEATURES (BIT(15) | BIT(28) | BIT(29) | BIT(32))

static int real_ioctl(int fd, u32 request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

int vhost_net_open(struct vhost *vh, int tap, struct lkvm_error *err)
{
	int ret;

	*vh = (struct vhost){ .tap = tap, .ioctl = real_ioctl };
	vh->fd = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
	if (vh->fd < 0)
		return err_unsupported(err, errno, "cannot open /dev/vhost-net: %s",
				       err_text(errno));
	ret = vh->ioctl(vh->fd, VHOST_GET_FEATURES, &vh->features);
	/* A card offers all of them. */
	if (!ret && (vh->features & RING_FEATURES) != RING_FEATURES)
		ret = -EOPNOTSUPP;
	if (!ret)
		return 0;
	vhost_net_close(vh);
	return err_unsupported(err, -ret, "/dev/vhost-net cannot serve a modern card: %s",
			       err_text(-ret));
}

void vhost_net_close(struct vhost *vh)
{
	/* The kernel stops the rings with the last descriptor, and waits for that. */
	if (vh->fd >= 0)
		close(vh->fd);
	vh->fd = -1;
}

static int set_state(const struct vhost *vh, u32 request, unsigned int ring, u32 num)
{
	struct vhost_vring_state state = { .index = ring, .num = num };

	return vh->ioctl(vh->fd, request, &state);
}

static int set_file(const struct vhost *vh, u32 request, unsigned int ring, int fd)
{
	struct vhost_vring_file file = { .index = ring, .fd = fd };

	return vh->ioctl(vh->fd, request, &file);
}

static int set_ring(const struct vhost *vh, const struct gmem *gmem, unsigned int i,
		    const struct vhost_ring *ring)
{
	int ret = set_state(vh, VHOST_SET_VRING_NUM, i, ring->size);

	if (!ret)
		ret = set_state(vh, VHOST_SET_VRING_BASE, i, ring->next);
	if (!ret)
		ret = gmem_vhost_ring(gmem, vh, i, ring);
	if (!ret)
		ret = set_file(vh, VHOST_SET_VRING_CALL, i, ring->call);
	if (!ret)
		ret = set_file(vh, VHOST_SET_VRING_ERR, i, ring->err);
	if (!ret)
		ret = set_file(vh, VHOST_SET_VRING_KICK, i, ring->kick);
	return ret;
}

/* What concerns the whole device. */
static int set_device(struct vhost *vh, const struct gmem *gmem, u64 features)
{
	int ret = 0;

	features &= RING_FEATURES;
	if (features & ~vh->features)
		return -EOPNOTSUPP;
	if (!vh->owned)
		ret = vh->ioctl(vh->fd, VHOST_SET_OWNER, NULL);
	vh->owned |= !ret;
	if (!ret)
		ret = vh->ioctl(vh->fd, VHOST_SET_FEATURES, &features);
	return ret ? ret : gmem_vhost_table(gmem, vh);
}

int vhost_net_start(struct vhost *vh, const struct gmem *gmem, u64 features,
		    const struct vhost_ring rings[VHOST_NET_RINGS])
{
	int ret = set_device(vh, gmem, features);

	for (unsigned int i = 0; i < VHOST_NET_RINGS && !ret; i++)
		ret = set_ring(vh, gmem, i, &rings[i]);
	/* Frames are not taken in before they can be sent as well. */
	for (unsigned int i = VHOST_NET_RINGS; i-- && !ret;)
		ret = set_file(vh, VHOST_NET_SET_BACKEND, i, vh->tap);
	for (unsigned int i = 0; i < VHOST_NET_RINGS && ret; i++)
		vhost_net_stop(vh, i);
	return ret;
}

u16 vhost_net_stop(struct vhost *vh, unsigned int ring)
{
	struct vhost_vring_state state = { .index = ring };

	if (!vh->owned) /* has never run, and takes no requests */
		return 0;
	set_file(vh, VHOST_NET_SET_BACKEND, ring, VHOST_FILE_UNBIND);
	set_file(vh, VHOST_SET_VRING_KICK, ring, VHOST_FILE_UNBIND);
	set_file(vh, VHOST_SET_VRING_CALL, ring, VHOST_FILE_UNBIND);
	set_file(vh, VHOST_SET_VRING_ERR, ring, VHOST_FILE_UNBIND);
	return vh->ioctl(vh->fd, VHOST_GET_VRING_BASE, &state) ? 0 : (u16)state.num;
}

int vhost_net_set_call(struct vhost *vh, unsigned int ring, int fd)
{
	return set_file(vh, VHOST_SET_VRING_CALL, ring, fd);
}
