# faults.mk - the calls that tests/faults.c catches. Names are those of the symbols, so with
# _FILE_OFFSET_BITS=64 open() is open64; one that nobody refers to does no harm.

FAULT_CALLS := malloc calloc realloc strdup mmap64 madvise mlock2 \
	open64 mkostemp64 socket opendir fcntl64 ioctl connect \
	eventfd memfd_create timerfd_create signalfd epoll_create1 \
	pthread_create \
	read readv pread64 preadv64 getrandom recv fstat64 statfs64 fstatfs64 \
	write writev pwritev64 fdatasync fallocate64 ftruncate64 send \
	epoll_ctl epoll_wait poll \
	io_uring_queue_init io_uring_submit io_uring_submit_and_get_events \
	io_uring_submit_and_wait_timeout \
	elf_begin elf_getdata elf_getdata_rawchunk

FAULT_WRAP := $(FAULT_CALLS:%=-Wl,--wrap=%)
