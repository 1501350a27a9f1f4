/* Files for programs other than SQLite: lock files, backups, mirrors. */
#include "disk.h"
#include "sqlite.h"

#include <string.h>

enum { MISSING = SQLITE_IOERR_DELETE_NOENT };

/* file_open opens path and says which node that is. create is 0 if the file
** must be there, 1 if it is made where need be, 2 if it must not be there. */
int file_open(disk *d, const char *path, int create, int *id) {
	pthread_mutex_lock(&d->mutex);
	int rc = disk_fault(d, CALL_OPEN);
	node *n = node_at(d, path);
	if (!rc && !n && !create) rc = MISSING;
	if (!rc && n && create == 2) rc = SQLITE_BUSY;
	if (!rc && !n) rc = name_create(d, path, &n);
	if (!rc) {
		n->handles++;
		d->handles++;
		*id = n->id;
	}
	pthread_mutex_unlock(&d->mutex);
	return rc;
}

void file_close(disk *d, int id) {
	pthread_mutex_lock(&d->mutex);
	disk_leave(d, node_of(d, id));
}

int64_t file_size(disk *d, int id) {
	pthread_mutex_lock(&d->mutex);
	node *n = node_of(d, id);
	int64_t size = disk_fault(d, CALL_SIZE) ? -1 : n->now ? n->now->size : 0;
	pthread_mutex_unlock(&d->mutex);
	return size;
}

/* file_read reads up to *len bytes, and says how many there were. */
int file_read(disk *d, int id, int64_t off, void *to, int64_t *len) {
	pthread_mutex_lock(&d->mutex);
	int rc = disk_fault(d, CALL_READ);
	if (!rc) *len = node_read(node_of(d, id), off, to, *len);
	pthread_mutex_unlock(&d->mutex);
	return rc;
}

int file_write(disk *d, int id, int64_t off, const void *from, int64_t len) {
	pthread_mutex_lock(&d->mutex);
	int rc = node_write(d, node_of(d, id), off, from, len);
	pthread_mutex_unlock(&d->mutex);
	return rc;
}

int file_truncate(disk *d, int id, int64_t size) {
	pthread_mutex_lock(&d->mutex);
	int rc = node_truncate(d, node_of(d, id), size);
	pthread_mutex_unlock(&d->mutex);
	return rc;
}

int file_sync(disk *d, int id) {
	pthread_mutex_lock(&d->mutex);
	int rc = node_sync(d, node_of(d, id));
	pthread_mutex_unlock(&d->mutex);
	return rc;
}

int file_delete(disk *d, const char *path) {
	pthread_mutex_lock(&d->mutex);
	int rc = name_delete(d, path);
	pthread_mutex_unlock(&d->mutex);
	return rc;
}

int file_rename(disk *d, const char *path, const char *path2) {
	pthread_mutex_lock(&d->mutex);
	int rc = name_rename(d, path, path2);
	pthread_mutex_unlock(&d->mutex);
	return rc;
}

int dir_sync(disk *d, const char *dir) {
	pthread_mutex_lock(&d->mutex);
	int rc = dir_sync_locked(d, dir);
	pthread_mutex_unlock(&d->mutex);
	return rc;
}

/* dir_list returns the names of all files, each ending with a zero byte, and
** the whole with another. The caller releases it. */
char *dir_list(disk *d) {
	pthread_mutex_lock(&d->mutex);
	size_t size = 1;
	for (int i = 0; i < d->now.n; i++) size += strlen(d->now.list[i].path) + 1;
	char *list = allocate(size), *end = list;
	for (int i = 0; i < d->now.n; i++) end = stpcpy(end, d->now.list[i].path) + 1;
	pthread_mutex_unlock(&d->mutex);
	return list;
}

/* disk_flip inverts the bits of mask in one byte, as programs and a later
** power cut see it: the medium has decayed. */
int disk_flip(disk *d, const char *path, int64_t off, unsigned char mask) {
	pthread_mutex_lock(&d->mutex);
	node *n = node_at(d, path);
	int rc = n && n->now && off < n->now->size ? SQLITE_OK : MISSING;
	if (!rc) buf_own(&n->now, 0)->data[off] ^= mask;
	if (!rc && n->durable && off < n->durable->size) buf_own(&n->durable, 0)->data[off] ^= mask;
	pthread_mutex_unlock(&d->mutex);
	return rc;
}
