/* A disk as SQLite sees it. It does what SQLite's own VFS for Unix does, as
** far as that can be seen from outside: see os_unix.c. */
#include "disk.h"
#include "sqlite.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

typedef struct file {
	sqlite3_file base;
	disk *disk;
	node *node;
	const char *path; /* SQLite's; 0 for a temporary file */
	int level;        /* SQLITE_LOCK_… that it holds */
	int sync_names;   /* its first sync is to sync its directory as well */
	int delete_on_close;
	int mapped;
	unsigned shared, exclusive; /* locks of the shared memory that it holds */
} file;

static file *enter(sqlite3_file *f) {
	pthread_mutex_lock(&((file *)f)->disk->mutex);
	return (file *)f;
}

static int leave(file *f, int rc) {
	pthread_mutex_unlock(&f->disk->mutex);
	return rc;
}

/* Content. */

static int x_read(sqlite3_file *sf, void *to, int len, int64_t off) {
	file *f = enter(sf);
	int rc = disk_fault(f->disk, CALL_READ);
	if (rc) return leave(f, rc);
	int64_t n = node_read(f->node, off, to, len);
	if (n == len) return leave(f, SQLITE_OK);
	memset((char *)to + n, 0, len - n);
	return leave(f, SQLITE_IOERR_SHORT_READ);
}

static int x_write(sqlite3_file *sf, const void *from, int len, int64_t off) {
	file *f = enter(sf);
	return leave(f, node_write(f->disk, f->node, off, from, len));
}

static int x_truncate(sqlite3_file *sf, int64_t size) {
	file *f = enter(sf);
	return leave(f, node_truncate(f->disk, f->node, size));
}

/* x_sync syncs the directory too when a journal is synced for the first time.
** As on Unix, nobody hears if that fails. */
static int x_sync(sqlite3_file *sf, int flags) {
	file *f = enter(sf);
	int rc = node_sync(f->disk, f->node);
	if (rc) return leave(f, rc);
	if (f->sync_names && !f->disk->nodirsync) names_sync(f->disk, f->path);
	f->sync_names = 0;
	return leave(f, SQLITE_OK);
}

static int x_size(sqlite3_file *sf, int64_t *size) {
	file *f = enter(sf);
	int rc = disk_fault(f->disk, CALL_SIZE);
	*size = rc || !f->node->now ? 0 : f->node->now->size;
	return leave(f, rc);
}

/* Locks of a file in the rollback modes, and of one in WAL mode when it is
** opened, closed and recovered. */

static void unlock(file *f, int level) {
	node *n = f->node;
	if (f->level >= SQLITE_LOCK_SHARED && level == SQLITE_LOCK_NONE) n->shared--;
	if (n->reserved == f) n->reserved = 0;
	if (n->pending == f) n->pending = 0;
	if (n->exclusive == f) n->exclusive = 0;
	f->level = level;
}

static int lock(file *f, int level) {
	node *n = f->node;
	int others = n->shared - (f->level >= SQLITE_LOCK_SHARED);
	if ((n->pending && n->pending != f) || (n->exclusive && n->exclusive != f)) return SQLITE_BUSY;
	if (level == SQLITE_LOCK_SHARED) {
		n->shared++;
	} else if (level == SQLITE_LOCK_RESERVED) {
		if (n->reserved) return SQLITE_BUSY;
		n->reserved = f;
	} else {
		n->pending = f; /* no new readers, and it waits for the old ones */
		if (others) {
			f->level = SQLITE_LOCK_PENDING;
			return SQLITE_BUSY;
		}
		n->exclusive = f;
	}
	f->level = level;
	return SQLITE_OK;
}

static int x_lock(sqlite3_file *sf, int level) {
	file *f = enter(sf);
	if (f->level >= level) return leave(f, SQLITE_OK);
	int rc = disk_fault(f->disk, CALL_LOCK);
	return leave(f, rc ? rc : lock(f, level));
}

static int x_unlock(sqlite3_file *sf, int level) {
	file *f = enter(sf);
	if (f->level > level) unlock(f, level);
	return leave(f, SQLITE_OK);
}

static int x_reserved(sqlite3_file *sf, int *reserved) {
	file *f = enter(sf);
	node *n = f->node;
	int rc = disk_fault(f->disk, CALL_LOCK);
	*reserved = !rc && (n->reserved || n->pending || n->exclusive);
	return leave(f, rc);
}

/* Memory that the connections to a file in WAL mode share. It holds nothing
** that the "-wal" file does not, and goes away with the last of them. */

static int x_shm_map(sqlite3_file *sf, int i, int size, int extend, void volatile **region) {
	file *f = enter(sf);
	node *n = f->node;
	*region = 0;
	int rc = disk_fault(f->disk, CALL_MAP);
	if (rc) return leave(f, rc);
	if (!n->shm) n->shm = allocate(sizeof *n->shm);
	shm *s = n->shm;
	if (!f->mapped) {
		f->mapped = 1;
		s->maps++;
	}
	if (i >= s->n) {
		if (!extend) return leave(f, SQLITE_OK);
		s->regions = grow(s->regions, (i + 1) * sizeof *s->regions);
		while (s->n <= i) s->regions[s->n++] = allocate(size);
	}
	*region = s->regions[i];
	return leave(f, SQLITE_OK);
}

/* shm_free reports whether nobody but f has lock i, or more than share it. */
static int shm_free(file *f, int i, int share) {
	shm *s = f->node->shm;
	if (s->exclusive[i] && s->exclusive[i] != f) return 0;
	return share || s->shared[i] == (int)(f->shared >> i & 1);
}

static void shm_unlock(file *f, int i) {
	shm *s = f->node->shm;
	unsigned bit = 1u << i;
	if (f->shared & bit) s->shared[i]--;
	if (f->exclusive & bit) s->exclusive[i] = 0;
	f->shared &= ~bit;
	f->exclusive &= ~bit;
}

static void shm_lock(file *f, int i, int share) {
	shm *s = f->node->shm;
	unsigned bit = 1u << i;
	if (!share) {
		s->exclusive[i] = f;
		f->exclusive |= bit;
	} else if (!(f->shared & bit)) {
		s->shared[i]++;
		f->shared |= bit;
	}
}

static int x_shm_lock(sqlite3_file *sf, int first, int n, int flags) {
	file *f = enter(sf);
	int share = flags & SQLITE_SHM_SHARED;
	if (!f->mapped) return leave(f, SQLITE_IOERR_SHMLOCK);
	for (int i = first; flags & SQLITE_SHM_UNLOCK && i < first + n; i++) shm_unlock(f, i);
	if (flags & SQLITE_SHM_UNLOCK) return leave(f, SQLITE_OK);
	if (f->disk->off) return leave(f, SQLITE_IOERR_SHMLOCK);
	for (int i = first; i < first + n; i++)
		if (!shm_free(f, i, share)) return leave(f, SQLITE_BUSY);
	for (int i = first; i < first + n; i++) shm_lock(f, i, share);
	return leave(f, SQLITE_OK);
}

static void x_shm_barrier(sqlite3_file *sf) { __sync_synchronize(); }

static void unmap(file *f) {
	shm *s = f->node->shm;
	if (!f->mapped) return;
	for (int i = 0; i < SHM_LOCKS; i++) shm_unlock(f, i);
	f->mapped = 0;
	if (--s->maps) return;
	for (int i = 0; i < s->n; i++) release(s->regions[i]);
	release(s->regions);
	release(s);
	f->node->shm = 0;
}

static int x_shm_unmap(sqlite3_file *sf, int delete) {
	file *f = enter(sf);
	unmap(f);
	return leave(f, SQLITE_OK);
}

/* Files. */

static int x_close(sqlite3_file *sf) {
	file *f = enter(sf);
	unmap(f);
	unlock(f, SQLITE_LOCK_NONE);
	if (f->delete_on_close && f->path && node_at(f->disk, f->path) == f->node) name_delete(f->disk, f->path);
	disk_leave(f->disk, f->node);
	return SQLITE_OK;
}

/* pragma answers those that are ignored. words are the answer, the name, and
** the new value or 0. */
static int pragma(file *f, char **words) {
	for (const char *name = f->disk->ignored; name && *name;) {
		const char *answer = name + strlen(name) + 1;
		if (!strcasecmp(name, words[1])) {
			if (!words[2]) words[0] = sqlite3_mprintf("%s", answer);
			return SQLITE_OK;
		}
		name = answer + strlen(answer) + 1;
	}
	return SQLITE_NOTFOUND;
}

static int x_control(sqlite3_file *f, int op, void *arg) {
	return op == SQLITE_FCNTL_PRAGMA ? pragma((file *)f, arg) : SQLITE_NOTFOUND;
}

static int x_sector(sqlite3_file *f) { return ((file *)f)->disk->sector; }
static int x_characteristics(sqlite3_file *f) { return ((file *)f)->disk->characteristics; }

static const sqlite3_io_methods methods = {
	.iVersion = 2, /* no memory mapping */
	.xClose = x_close,
	.xRead = x_read,
	.xWrite = x_write,
	.xTruncate = x_truncate,
	.xSync = x_sync,
	.xFileSize = x_size,
	.xLock = x_lock,
	.xUnlock = x_unlock,
	.xCheckReservedLock = x_reserved,
	.xFileControl = x_control,
	.xSectorSize = x_sector,
	.xDeviceCharacteristics = x_characteristics,
	.xShmMap = x_shm_map,
	.xShmLock = x_shm_lock,
	.xShmBarrier = x_shm_barrier,
	.xShmUnmap = x_shm_unmap,
};

/* open_node finds or makes the file that x_open is for. */
static int open_node(disk *d, const char *path, int flags, node **n) {
	int rc = disk_fault(d, CALL_OPEN);
	if (rc) return rc;
	if (!path) {
		*n = node_new(d, 0);
		return SQLITE_OK;
	}
	*n = node_at(d, path);
	if (*n) return flags & SQLITE_OPEN_EXCLUSIVE ? SQLITE_CANTOPEN : SQLITE_OK;
	return flags & SQLITE_OPEN_CREATE ? name_create(d, path, n) : SQLITE_CANTOPEN;
}

static int x_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *sf, int flags, int *out) {
	disk *d = vfs->pAppData;
	file *f = (file *)sf;
	int journal = SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;
	memset(f, 0, sizeof *f);
	pthread_mutex_lock(&d->mutex);
	int rc = open_node(d, path, flags, &f->node);
	if (!rc) {
		f->base.pMethods = &methods;
		f->disk = d;
		f->path = path;
		f->sync_names = flags & SQLITE_OPEN_CREATE && flags & journal;
		f->delete_on_close = flags & SQLITE_OPEN_DELETEONCLOSE;
		f->node->handles++;
		d->handles++;
		if (out) *out = flags;
	}
	pthread_mutex_unlock(&d->mutex);
	return rc;
}

static int x_delete(sqlite3_vfs *vfs, const char *path, int sync) {
	disk *d = vfs->pAppData;
	pthread_mutex_lock(&d->mutex);
	int rc = name_delete(d, path);
	if (!rc && sync && !d->nodirsync) rc = names_sync(d, path);
	pthread_mutex_unlock(&d->mutex);
	return rc;
}

/* x_access finds no empty file when it is asked for existence, as on Unix: an
** empty journal is none. */
static int x_access(sqlite3_vfs *vfs, const char *path, int flags, int *there) {
	disk *d = vfs->pAppData;
	pthread_mutex_lock(&d->mutex);
	int rc = disk_fault(d, CALL_ACCESS);
	node *n = node_at(d, path);
	*there = !rc && n && (flags != SQLITE_ACCESS_EXISTS || (n->now && n->now->size > 0));
	pthread_mutex_unlock(&d->mutex);
	return rc;
}

static int x_full_pathname(sqlite3_vfs *vfs, const char *path, int size, char *to) {
	int n = snprintf(to, size, "%s%s", path[0] == '/' ? "" : "/", path);
	return n < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

static void *x_dl_open(sqlite3_vfs *vfs, const char *path) { return 0; }
static void x_dl_error(sqlite3_vfs *vfs, int size, char *to) { snprintf(to, size, "no libraries on this disk"); }
static void (*x_dl_sym(sqlite3_vfs *vfs, void *lib, const char *name))(void) { return 0; }
static void x_dl_close(sqlite3_vfs *vfs, void *lib) {}
static int x_last_error(sqlite3_vfs *vfs, int size, char *to) { return 0; }

/* What is the machine's and not the disk's. */

static int x_randomness(sqlite3_vfs *vfs, int size, char *to) {
	vfs = sqlite3_vfs_find(0);
	return vfs->xRandomness(vfs, size, to);
}

static int x_sleep(sqlite3_vfs *vfs, int microseconds) {
	vfs = sqlite3_vfs_find(0);
	return vfs->xSleep(vfs, microseconds);
}

static int x_time(sqlite3_vfs *vfs, double *days) {
	vfs = sqlite3_vfs_find(0);
	return vfs->xCurrentTime(vfs, days);
}

static int x_time64(sqlite3_vfs *vfs, int64_t *ms) {
	vfs = sqlite3_vfs_find(0);
	return vfs->xCurrentTimeInt64(vfs, ms);
}

/* vfs_uncounted has SQLite not add up the memory that it uses, for which it would
** lock at each block. It does nothing once SQLite has been used. */
void vfs_uncounted(void) { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }

/* vfs_seed begins SQLite's own chance anew, from a seed, or from the machine's
** if that is 0. */
void vfs_seed(int seed) { sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, seed, (void *)0); }

/* vfs_register shows the disk to SQLite under the given name. */
int vfs_register(disk *d, const char *vfs_name) {
	sqlite3_vfs *v = d->vfs = allocate(sizeof *v);
	d->vfs_name = strcpy(allocate(strlen(vfs_name) + 1), vfs_name);
	*v = (sqlite3_vfs){
		.iVersion = 2,
		.szOsFile = sizeof(file),
		.mxPathname = 512,
		.zName = d->vfs_name,
		.pAppData = d,
		.xOpen = x_open,
		.xDelete = x_delete,
		.xAccess = x_access,
		.xFullPathname = x_full_pathname,
		.xDlOpen = x_dl_open,
		.xDlError = x_dl_error,
		.xDlSym = x_dl_sym,
		.xDlClose = x_dl_close,
		.xRandomness = x_randomness,
		.xSleep = x_sleep,
		.xCurrentTime = x_time,
		.xGetLastError = x_last_error,
		.xCurrentTimeInt64 = x_time64,
	};
	return sqlite3_vfs_register(v, 0);
}
