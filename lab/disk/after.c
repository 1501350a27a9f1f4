/* Disks made, copied, and as a power cut leaves them. */
#include "disk.h"
#include "sqlite.h"

#include <string.h>

disk *disk_new(void) {
	disk *d = allocate(sizeof *d);
	pthread_mutex_init(&d->mutex, 0);
	d->next = 1;
	d->sector = TEAR;
	return d;
}

static void destroy(disk *d) {
	for (int i = 0; i < d->nchanges; i++) op_drop(d->changes[i].op);
	for (int i = 0; i < d->nnodes; i++) node_free(d->nodes[i]);
	names_free(&d->now);
	names_free(&d->durable);
	release(d->changes);
	release(d->nodes);
	release(d->ignored);
	release(d->vfs_name);
	release(d->vfs);
	pthread_mutex_destroy(&d->mutex);
	release(d);
}

/* disk_free takes the disk from SQLite. Its memory goes now or, if somebody
** has not closed a file, with that file. */
void disk_free(disk *d) {
	if (d->vfs) sqlite3_vfs_unregister(d->vfs);
	pthread_mutex_lock(&d->mutex);
	d->closed = 1;
	int last = !d->handles;
	pthread_mutex_unlock(&d->mutex);
	if (last) destroy(d);
}

void disk_leave(disk *d, node *n) {
	n->handles--;
	d->handles--;
	sweep(d);
	int last = d->closed && !d->handles;
	pthread_mutex_unlock(&d->mutex);
	if (last) destroy(d);
}

/* disk_ignore takes the PRAGMAs of a list that takes size bytes. */
void disk_ignore(disk *d, const char *ignored, size_t size) { d->ignored = memcpy(allocate(size), ignored, size); }

static size_t ignored_size(const char *ignored) {
	const char *end = ignored;
	while (*end) end += strlen(end) + 1, end += strlen(end) + 1;
	return end - ignored + 1;
}

static disk *disk_like(const disk *d) {
	disk *c = disk_new();
	c->sector = d->sector;
	c->characteristics = d->characteristics;
	c->strict = d->strict;
	c->nodirsync = d->nodirsync;
	c->capacity = d->capacity;
	if (d->ignored) disk_ignore(c, d->ignored, ignored_size(d->ignored));
	return c;
}

static node *node_copy(disk *c, const node *n) {
	node *copy = node_new(c, n->id);
	copy->now = buf_keep(n->now);
	copy->durable = buf_keep(n->durable);
	return copy;
}

static void names_copy(disk *c, names *to, const names *from) {
	for (int i = 0; i < from->n; i++) names_put(to, from->list[i].path, node_of(c, from->list[i].node->id));
}

/* disk_clone copies files, and what a power cut may take from them. Locks,
** handles, faults and recordings stay with the original. */
disk *disk_clone(disk *d) {
	pthread_mutex_lock(&d->mutex);
	disk *c = disk_like(d);
	for (int i = 0; i < d->nnodes; i++)
		if (d->nodes[i]->id) node_copy(c, d->nodes[i]);
	names_copy(c, &c->now, &d->now);
	names_copy(c, &c->durable, &d->durable);
	for (int i = 0; i < d->nchanges; i++) {
		pend(c, d->changes[i].op);
		c->changes[i].lost = d->changes[i].lost;
	}
	c->next = d->next;
	pthread_mutex_unlock(&d->mutex);
	sweep(c);
	return c;
}

/* disk_after returns the disk as it is after a power cut. fates[i] says what
** becomes of change i: 0 if it never reached the disk, all bits if it did, and
** otherwise which sectors of a write did. */
disk *disk_after(disk *d, const uint64_t *fates, int n) {
	pthread_mutex_lock(&d->mutex);
	disk *c = disk_like(d);
	for (int i = 0; i < d->nnodes; i++) {
		if (!d->nodes[i]->id) continue;
		node *copy = node_copy(c, d->nodes[i]);
		buf_drop(copy->now);
		copy->now = buf_keep(copy->durable);
	}
	names_copy(c, &c->now, &d->durable);
	int cut = 0; /* a change of names was lost: without strict, so are all after it */
	for (int i = 0; i < d->nchanges && i < n; i++) {
		op *o = d->changes[i].op;
		if (is_content(o))
			patch(&node_of(c, o->node)->now, o, fates[i]);
		else if (fates[i] && !(cut && !d->strict))
			relink(c, &c->now, o);
		else
			cut = 1;
	}
	c->next = d->next;
	pthread_mutex_unlock(&d->mutex);

	names_copy(c, &c->durable, &c->now);
	for (int i = 0; i < c->nnodes; i++) {
		buf_drop(c->nodes[i]->durable);
		c->nodes[i]->durable = buf_keep(c->nodes[i]->now);
	}
	sweep(c);
	return c;
}

static uint64_t mix(uint64_t h, const void *from, int64_t len) {
	const unsigned char *p = from;
	uint64_t word;
	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		h = (h ^ word) * 0x9E3779B97F4A7C15u;
		h ^= h >> 32;
	}
	word = len;
	memcpy(&word, p, len);
	h = (h ^ word ^ (uint64_t)len << 56) * 0x9E3779B97F4A7C15u;
	return h ^ h >> 29;
}

/* disk_hash tells disks with other names or other content apart. */
uint64_t disk_hash(disk *d) {
	pthread_mutex_lock(&d->mutex);
	uint64_t sum = 0;
	for (int i = 0; i < d->now.n; i++) {
		name *e = &d->now.list[i];
		uint64_t h = mix(1469598103934665603u, e->path, strlen(e->path));
		if (e->node->now) h = mix(h, e->node->now->data, e->node->now->size);
		sum += h; /* in any order */
	}
	pthread_mutex_unlock(&d->mutex);
	return sum;
}

/* disk_pending returns what a power cut may take now. The caller frees it. */
oplog *disk_pending(disk *d) {
	oplog *l = allocate(sizeof *l);
	pthread_mutex_lock(&d->mutex);
	for (int i = 0; i < d->nchanges; i++) log_add(l, d->changes[i].op);
	pthread_mutex_unlock(&d->mutex);
	return l;
}

/* disk_record writes down what is done to the disk from now on, until
** disk_stop, instead of where it did until now. */
oplog *disk_record(disk *d) {
	oplog *l = allocate(sizeof *l);
	pthread_mutex_lock(&d->mutex);
	d->log = l;
	pthread_mutex_unlock(&d->mutex);
	return l;
}

void disk_stop(disk *d, oplog *l) {
	pthread_mutex_lock(&d->mutex);
	if (d->log == l) d->log = 0;
	pthread_mutex_unlock(&d->mutex);
}

void disk_off(disk *d) {
	pthread_mutex_lock(&d->mutex);
	d->off = 1;
	pthread_mutex_unlock(&d->mutex);
}

void disk_break(disk *d, fault f) {
	pthread_mutex_lock(&d->mutex);
	d->fault = f;
	pthread_mutex_unlock(&d->mutex);
}

int64_t disk_calls(disk *d, int calls) {
	int64_t sum = 0;
	pthread_mutex_lock(&d->mutex);
	for (int i = 0; i < CALL_KINDS; i++)
		if (calls >> i & 1) sum += d->calls[i];
	pthread_mutex_unlock(&d->mutex);
	return sum;
}

int64_t disk_used(disk *d) {
	pthread_mutex_lock(&d->mutex);
	int64_t used = used_locked(d);
	pthread_mutex_unlock(&d->mutex);
	return used;
}

void disk_resize(disk *d, int64_t capacity) {
	pthread_mutex_lock(&d->mutex);
	d->capacity = capacity;
	pthread_mutex_unlock(&d->mutex);
}
