/* A disk of files in memory that knows what a power cut may take from it.
** disk.c has the disk, vfs.c shows it to SQLite, and the Go files of this
** package are the interface of both. */
#ifndef QUANCUN_DISK_H
#define QUANCUN_DISK_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

/* What changes a disk. Go's Kind has the same numbers. */
enum {
	OP_WRITE = 1,    /* len bytes of data at off of node */
	OP_TRUNCATE = 2, /* node to off bytes */
	OP_CREATE = 3,   /* path, for a new node */
	OP_DELETE = 4,   /* path */
	OP_RENAME = 5,   /* path to path2 */
	OP_SYNC = 6,     /* node's content is durable */
	OP_SYNCDIR = 7,  /* the names in directory path are durable */
	OP_FAILSYNC = 8, /* node could not be synced, and what was written is forgotten */
	OP_MARK = 9,     /* off transactions were acknowledged by now */
};

/* Calls that can fail. Go's Call has the same bits. */
enum {
	CALL_OPEN = 1,
	CALL_READ = 2,
	CALL_WRITE = 4,
	CALL_TRUNCATE = 8,
	CALL_SYNC = 16,
	CALL_SYNCDIR = 32,
	CALL_DELETE = 64,
	CALL_ACCESS = 128,
	CALL_SIZE = 256,
	CALL_LOCK = 512,
	CALL_MAP = 1024,
	CALL_RENAME = 2048,
	CALL_KINDS = 12,
};

/* How they fail. Go's Failure has the same numbers. */
enum {
	FAIL_IO = 1,    /* EIO */
	FAIL_FULL = 2,  /* ENOSPC */
	FAIL_SHORT = 3, /* half of a write is done, then ENOSPC */
};

enum { TEAR = 512 }; /* bytes that a power cut leaves whole */

/* op is a change. It is never changed itself, so disks and logs share it. */
typedef struct op {
	int refs; /* atomic */
	int kind;
	int node;
	int64_t off;
	int64_t len;
	char *path, *path2;
	unsigned char data[];
} op;

/* buf is content that files share until one of them writes. */
typedef struct buf {
	int refs; /* atomic */
	int64_t size, cap;
	unsigned char data[];
} buf;

/* shm is the memory that connections to a file in WAL mode share. */
enum { SHM_LOCKS = 8 };
typedef struct shm {
	int maps; /* handles that use it */
	int n;
	void **regions;
	int shared[SHM_LOCKS]; /* holders of each lock */
	void *exclusive[SHM_LOCKS];
} shm;

/* node is a file without its name. */
typedef struct node {
	int id;
	int handles;   /* open ones; it lives on without a name until they close */
	buf *now;      /* as programs see it */
	buf *durable;  /* as of its last sync */
	int shared;    /* holders of SHARED or more */
	void *reserved, *pending, *exclusive;
	shm *shm;
} node;

/* name is a directory's entry. */
typedef struct name {
	char *path;
	node *node;
} name;

typedef struct names {
	name *list;
	int n, cap;
} names;

/* change is an op that a power cut may take. */
typedef struct change {
	op *op;
	int lost; /* its sync failed: no later one will write it */
} change;

typedef struct oplog {
	op **list;
	int n, cap;
} oplog;

typedef struct fault {
	int calls;   /* bits of those that can fail */
	int failure; /* 0: none */
	int nth;     /* counts down; fails at 1 */
	int forever;
} fault;

typedef struct disk {
	pthread_mutex_t mutex; /* guards all below */

	char *vfs_name;
	void *vfs;
	int handles; /* open ones */
	int closed;  /* goes away with its last handle */
	int off;     /* without power */

	int sector, characteristics;
	int strict;    /* no name is durable before its directory is synced */
	int nodirsync; /* SQLite's own syncs of a directory do nothing */
	int64_t capacity; /* bytes, 0: no end */
	char *ignored; /* PRAGMAs, each with what it says instead; ends with an empty name */

	int next;     /* id of the next node */
	node **nodes; /* all that a name, a change or a handle may still need */
	int nnodes, capnodes;
	names now, durable;
	change *changes; /* in the order they were made */
	int nchanges, capchanges;

	oplog *log; /* not owned; 0: nobody records */
	fault fault;
	int64_t calls[CALL_KINDS];
} disk;

/* For Go. Whatever takes a disk locks it itself. Results are 0, or an error
** code of SQLite's. */
disk *disk_new(void);
void disk_free(disk *);
disk *disk_clone(disk *);
disk *disk_after(disk *, const uint64_t *fates, int n);
uint64_t disk_hash(disk *);
void disk_do(disk *, op *);
void disk_mark(disk *, int64_t);
void disk_off(disk *);
void disk_break(disk *, fault);
int64_t disk_calls(disk *, int calls);
int64_t disk_used(disk *);
void disk_resize(disk *, int64_t capacity);
int disk_flip(disk *, const char *path, int64_t off, unsigned char mask);
oplog *disk_pending(disk *);
oplog *disk_record(disk *);
void disk_stop(disk *, oplog *);
void log_free(oplog *);

/* Files without SQLite. A file is named by its node while it is open. */
int file_open(disk *, const char *path, int create, int *node);
void file_close(disk *, int node);
int64_t file_size(disk *, int node);
int file_read(disk *, int node, int64_t off, void *to, int64_t *len);
int file_write(disk *, int node, int64_t off, const void *from, int64_t len);
int file_truncate(disk *, int node, int64_t size);
int file_sync(disk *, int node);
int file_delete(disk *, const char *path);
int file_rename(disk *, const char *path, const char *path2);
int dir_sync(disk *, const char *dir);
char *dir_list(disk *);

void disk_ignore(disk *, const char *ignored, size_t size);
int vfs_register(disk *, const char *vfs_name);
void vfs_uncounted(void);
void vfs_seed(int);

/* Between the C files. The caller has locked the disk. */
int disk_fault(disk *, int call);
void disk_leave(disk *, node *); /* closes a handle, and unlocks */
node *node_at(disk *, const char *path);
node *node_new(disk *, int id);
int64_t node_read(node *, int64_t off, void *to, int64_t len);
int node_write(disk *, node *, int64_t off, const void *from, int64_t len);
int node_truncate(disk *, node *, int64_t size);
int node_sync(disk *, node *);
int name_create(disk *, const char *path, node **);
int name_delete(disk *, const char *path);
int name_rename(disk *, const char *path, const char *path2);
int names_sync(disk *, const char *path); /* the directory that path is in */
int dir_sync_locked(disk *, const char *dir);
void sweep(disk *);
void names_put(names *, const char *path, node *);
void names_free(names *);
buf *buf_keep(buf *);
void buf_drop(buf *);
buf *buf_own(buf **, int64_t size);
void relink(disk *, names *, const op *);
void patch(buf **, const op *, uint64_t fate);
int is_content(const op *);
node *node_of(disk *, int id);
void node_free(node *);
void pend(disk *, op *);
void log_add(oplog *, op *);
void op_drop(op *);
int code_of(int call, int failure);
int64_t used_locked(disk *);
void *allocate(size_t);
void *grow(void *, size_t);
void release(void *);
int64_t allocated(void); /* blocks that live */

#endif
