#include "disk.h"
#include "sqlite.h"

#include <stdlib.h>
#include <string.h>

/* Memory. Blocks are counted, so that a test sees one that is forgotten. */

static int64_t blocks;

void *allocate(size_t size) {
	void *p = calloc(1, size);
	if (!p) abort();
	__atomic_add_fetch(&blocks, 1, __ATOMIC_RELAXED);
	return p;
}

void *grow(void *p, size_t size) {
	if (!p) return allocate(size);
	if (!(p = realloc(p, size))) abort();
	return p;
}

void release(void *p) {
	if (!p) return;
	__atomic_sub_fetch(&blocks, 1, __ATOMIC_RELAXED);
	free(p);
}

int64_t allocated(void) { return __atomic_load_n(&blocks, __ATOMIC_RELAXED); }

static char *copy_of(const char *s) {
	char *c = allocate(strlen(s) + 1);
	return strcpy(c, s);
}

/* make_room lets a list of items of the given size take one more. */
static void make_room(void **list, int n, int *cap, size_t size) {
	if (n < *cap) return;
	*cap = *cap ? 2 * *cap : 8;
	*list = grow(*list, *cap * size);
}

/* Changes. */

static op *op_new(int kind, const char *path, const char *path2, const void *from, int64_t len) {
	op *o = allocate(sizeof *o + len);
	o->refs = 1;
	o->kind = kind;
	if (path) o->path = copy_of(path);
	if (path2) o->path2 = copy_of(path2);
	if (from) memcpy(o->data, from, len);
	o->len = len;
	return o;
}

static op *op_keep(op *o) {
	__atomic_add_fetch(&o->refs, 1, __ATOMIC_RELAXED);
	return o;
}

void op_drop(op *o) {
	if (__atomic_sub_fetch(&o->refs, 1, __ATOMIC_ACQ_REL)) return;
	release(o->path);
	release(o->path2);
	release(o);
}

int is_content(const op *o) { return o->kind == OP_WRITE || o->kind == OP_TRUNCATE; }

void log_add(oplog *l, op *o) {
	make_room((void **)&l->list, l->n, &l->cap, sizeof *l->list);
	l->list[l->n++] = op_keep(o);
}

void log_free(oplog *l) {
	for (int i = 0; i < l->n; i++) op_drop(l->list[i]);
	release(l->list);
	release(l);
}

/* Content. */

buf *buf_keep(buf *b) {
	if (b) __atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

void buf_drop(buf *b) {
	if (b && !__atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL)) release(b);
}

/* buf_own makes *b the caller's alone, with zeros up to size. */
buf *buf_own(buf **b, int64_t size) {
	buf *old = *b;
	int64_t had = old ? old->size : 0, need = size > had ? size : had;
	if (old && __atomic_load_n(&old->refs, __ATOMIC_ACQUIRE) == 1) {
		if (need > old->cap) {
			old->cap = need + need / 2;
			*b = old = grow(old, sizeof *old + old->cap);
		}
	} else {
		int64_t cap = need > had ? need + need / 2 : need;
		*b = allocate(sizeof **b + cap);
		(*b)->refs = 1;
		(*b)->cap = cap;
		if (had) memcpy((*b)->data, old->data, had);
		buf_drop(old);
	}
	if (size > had) memset((*b)->data + had, 0, size - had);
	(*b)->size = need;
	return *b;
}

/* patch applies a change of content. Of a write it takes the sectors whose bit
** is set in fate, where sector i of the file has bit i modulo 64. */
void patch(buf **b, const op *o, uint64_t fate) {
	if (!fate) return;
	if (o->kind == OP_TRUNCATE) {
		buf_own(b, o->off)->size = o->off;
		return;
	}
	for (int64_t at = o->off, end = o->off + o->len; at < end;) {
		int64_t next = (at / TEAR + 1) * TEAR;
		if (fate == ~(uint64_t)0 || next > end) next = end;
		if (fate >> (at / TEAR & 63) & 1) {
			buf *to = buf_own(b, next);
			memcpy(to->data + at, o->data + (at - o->off), next - at);
		}
		at = next;
	}
}

/* Names. */

static name *names_find(names *l, const char *path) {
	for (int i = 0; i < l->n; i++)
		if (!strcmp(l->list[i].path, path)) return &l->list[i];
	return 0;
}

void names_put(names *l, const char *path, node *n) {
	name *e = names_find(l, path);
	if (!e) {
		make_room((void **)&l->list, l->n, &l->cap, sizeof *l->list);
		e = &l->list[l->n++];
		e->path = copy_of(path);
	}
	e->node = n;
}

static void names_remove(names *l, const char *path) {
	name *e = names_find(l, path);
	if (!e) return;
	release(e->path);
	*e = l->list[--l->n];
}

void names_free(names *l) {
	for (int i = 0; i < l->n; i++) release(l->list[i].path);
	release(l->list);
}

/* parent returns the length of the directory's part of path. */
static size_t parent(const char *path) {
	const char *slash = strrchr(path, '/');
	return slash && slash != path ? (size_t)(slash - path) : 1;
}

static int is_in(const char *path, const char *dir) {
	size_t n = parent(path);
	return strlen(dir) == n && !strncmp(path, dir, n);
}

/* Nodes. */

node *node_of(disk *d, int id) {
	for (int i = 0; i < d->nnodes; i++)
		if (d->nodes[i]->id == id) return d->nodes[i];
	return 0;
}

node *node_at(disk *d, const char *path) {
	name *e = names_find(&d->now, path);
	return e ? e->node : 0;
}

/* node_new adds an empty file. With id 0 it never gets a name: a temporary
** file, which no power cut leaves behind. */
node *node_new(disk *d, int id) {
	node *n = allocate(sizeof *n);
	n->id = id;
	if (id >= d->next) d->next = id + 1;
	make_room((void **)&d->nodes, d->nnodes, &d->capnodes, sizeof *d->nodes);
	return d->nodes[d->nnodes++] = n;
}

void node_free(node *n) {
	buf_drop(n->now);
	buf_drop(n->durable);
	release(n);
}

/* relink does a change of names, in the present or in the durable ones. */
void relink(disk *d, names *l, const op *o) {
	name *e;
	switch (o->kind) {
	case OP_CREATE:
		names_put(l, o->path, node_of(d, o->node));
		break;
	case OP_DELETE:
		names_remove(l, o->path);
		break;
	case OP_RENAME:
		if (!(e = names_find(l, o->path))) break;
		names_put(l, o->path2, e->node);
		names_remove(l, o->path);
		break;
	}
}

static int needed(disk *d, node *n) {
	if (n->handles) return 1;
	for (int i = 0; i < d->now.n; i++)
		if (d->now.list[i].node == n) return 1;
	for (int i = 0; i < d->durable.n; i++)
		if (d->durable.list[i].node == n) return 1;
	for (int i = 0; i < d->nchanges; i++)
		if (d->changes[i].op->kind == OP_CREATE && d->changes[i].op->node == n->id) return 1;
	return 0;
}

/* forget drops the changes that keep returns 0 for. */
static void forget(disk *d, int (*keep)(disk *, change *, const op *), const op *o) {
	int n = 0;
	for (int i = 0; i < d->nchanges; i++) {
		change c = d->changes[i];
		if (keep(d, &c, o))
			d->changes[n++] = c;
		else
			op_drop(c.op);
	}
	d->nchanges = n;
}

static int has_node(disk *d, change *c, const op *o) { return !is_content(c->op) || node_of(d, c->op->node); }

/* sweep frees the files that nobody can reach any more. */
void sweep(disk *d) {
	int n = 0;
	for (int i = 0; i < d->nnodes; i++) {
		if (needed(d, d->nodes[i]))
			d->nodes[n++] = d->nodes[i];
		else
			node_free(d->nodes[i]);
	}
	if (n == d->nnodes) return;
	d->nnodes = n;
	forget(d, has_node, 0);
}

/* not_synced makes what o, a sync, reaches durable, and keeps the rest.
**
** A sync of a file writes its content. Unless the disk is strict it commits
** the names made so far as well, as a journaling file system does. */
static int not_synced(disk *d, change *c, const op *o) {
	if (is_content(c->op)) {
		if (o->kind != OP_SYNC || c->op->node != o->node) return 1;
		if (!c->lost) patch(&node_of(d, o->node)->durable, c->op, ~(uint64_t)0);
		return 0;
	}
	if (o->kind == OP_SYNC ? d->strict : !is_in(c->op->path, o->path)) return 1;
	relink(d, &d->durable, c->op);
	return 0;
}

void pend(disk *d, op *o) {
	make_room((void **)&d->changes, d->nchanges, &d->capchanges, sizeof *d->changes);
	d->changes[d->nchanges++] = (change){op_keep(o), 0};
}

static void lose(disk *d, const op *o) {
	for (int i = 0; i < d->nchanges; i++)
		if (is_content(d->changes[i].op) && d->changes[i].op->node == o->node) d->changes[i].lost = 1;
}

/* apply does o to the disk, whose handle it was or whose recording is played. */
static void apply(disk *d, op *o) {
	node *n;
	if (d->log) log_add(d->log, o);
	switch (o->kind) {
	case OP_WRITE:
	case OP_TRUNCATE:
		if (!(n = node_of(d, o->node))) return; /* deleted long ago, when it was recorded */
		patch(&n->now, o, ~(uint64_t)0);
		pend(d, o);
		return;
	case OP_CREATE:
		node_new(d, o->node);
		relink(d, &d->now, o);
		pend(d, o);
		return;
	case OP_DELETE:
	case OP_RENAME:
		relink(d, &d->now, o);
		pend(d, o);
		return;
	case OP_SYNC:
	case OP_SYNCDIR:
		forget(d, not_synced, o);
		sweep(d);
		return;
	case OP_FAILSYNC:
		lose(d, o);
		return;
	}
}

static void apply_new(disk *d, op *o, int node, int64_t off) {
	o->node = node;
	o->off = off;
	apply(d, o);
	op_drop(o);
}

void disk_do(disk *d, op *o) {
	pthread_mutex_lock(&d->mutex);
	apply(d, o);
	pthread_mutex_unlock(&d->mutex);
}

void disk_mark(disk *d, int64_t n) {
	pthread_mutex_lock(&d->mutex);
	apply_new(d, op_new(OP_MARK, 0, 0, 0, 0), 0, n);
	pthread_mutex_unlock(&d->mutex);
}

/* Calls. */

/* code_of returns what SQLite's VFS for Unix would, when a call fails. */
int code_of(int call, int failure) {
	switch (call) {
	case CALL_OPEN: return SQLITE_CANTOPEN;
	case CALL_READ: return SQLITE_IOERR_READ;
	case CALL_WRITE: return failure == FAIL_IO ? SQLITE_IOERR_WRITE : SQLITE_FULL;
	case CALL_TRUNCATE: return SQLITE_IOERR_TRUNCATE;
	case CALL_SYNC: return SQLITE_IOERR_FSYNC;
	case CALL_SYNCDIR: return SQLITE_IOERR_DIR_FSYNC;
	case CALL_DELETE: return SQLITE_IOERR_DELETE;
	case CALL_ACCESS: return SQLITE_IOERR_ACCESS;
	case CALL_SIZE: return SQLITE_IOERR_FSTAT;
	case CALL_LOCK: return SQLITE_IOERR_LOCK;
	case CALL_MAP: return failure == FAIL_IO ? SQLITE_IOERR_SHMMAP : SQLITE_IOERR_SHMSIZE;
	}
	return SQLITE_IOERR;
}

int disk_fault(disk *d, int call) {
	fault *f = &d->fault;
	if (d->off) return code_of(call, FAIL_IO);
	d->calls[__builtin_ctz(call)]++;
	if (!f->failure || !(f->calls & call)) return 0;
	if (f->nth > 1) {
		f->nth--;
		return 0;
	}
	int failure = f->failure;
	if (!f->forever) f->failure = 0;
	return failure == FAIL_SHORT && call == CALL_WRITE ? -1 : code_of(call, failure);
}

static int64_t size_of(node *n) { return n->now ? n->now->size : 0; }

int64_t used_locked(disk *d) {
	int64_t used = 0;
	for (int i = 0; i < d->nnodes; i++) used += size_of(d->nodes[i]);
	return used;
}

/* node_read returns how many bytes of len there were. */
int64_t node_read(node *n, int64_t off, void *to, int64_t len) {
	int64_t left = size_of(n) - off;
	if (left < len) len = left > 0 ? left : 0;
	if (len) memcpy(to, n->now->data + off, len);
	return len;
}

int node_write(disk *d, node *n, int64_t off, const void *from, int64_t len) {
	int rc = disk_fault(d, CALL_WRITE);
	if (rc > 0) return rc;
	if (rc < 0) {
		len /= 2;
		rc = SQLITE_FULL;
	}
	int64_t more = off + len - size_of(n);
	if (d->capacity && more > 0 && used_locked(d) + more > d->capacity) return SQLITE_FULL;
	if (len == 0) return rc;
	if (n->id) {
		apply_new(d, op_new(OP_WRITE, 0, 0, from, len), n->id, off);
	} else {
		memcpy(buf_own(&n->now, off + len)->data + off, from, len);
	}
	return rc;
}

int node_truncate(disk *d, node *n, int64_t size) {
	int rc = disk_fault(d, CALL_TRUNCATE);
	if (rc) return rc;
	if (n->id)
		apply_new(d, op_new(OP_TRUNCATE, 0, 0, 0, 0), n->id, size);
	else
		buf_own(&n->now, size)->size = size;
	return 0;
}

/* node_sync makes the file durable. When it fails, what was not written is
** lost for good, although programs still read it: the kernel has marked the
** pages clean, and the next sync will succeed without them. */
int node_sync(disk *d, node *n) {
	int rc = disk_fault(d, CALL_SYNC);
	if (n->id && !d->off) apply_new(d, op_new(rc ? OP_FAILSYNC : OP_SYNC, 0, 0, 0, 0), n->id, 0);
	return rc;
}

int name_create(disk *d, const char *path, node **n) {
	apply_new(d, op_new(OP_CREATE, path, 0, 0, 0), d->next, 0);
	*n = node_at(d, path);
	return 0;
}

int name_delete(disk *d, const char *path) {
	int rc = disk_fault(d, CALL_DELETE);
	if (rc) return rc;
	if (!node_at(d, path)) return SQLITE_IOERR_DELETE_NOENT;
	apply_new(d, op_new(OP_DELETE, path, 0, 0, 0), 0, 0);
	sweep(d);
	return 0;
}

int name_rename(disk *d, const char *path, const char *path2) {
	int rc = disk_fault(d, CALL_RENAME);
	if (rc) return rc;
	if (!node_at(d, path)) return SQLITE_IOERR_DELETE_NOENT;
	apply_new(d, op_new(OP_RENAME, path, path2, 0, 0), 0, 0);
	sweep(d);
	return 0;
}

int dir_sync_locked(disk *d, const char *dir) {
	int rc = disk_fault(d, CALL_SYNCDIR);
	if (!rc) apply_new(d, op_new(OP_SYNCDIR, dir, 0, 0, 0), 0, 0);
	return rc;
}

int names_sync(disk *d, const char *path) {
	char *dir = copy_of(path);
	dir[parent(path)] = 0;
	int rc = dir_sync_locked(d, dir);
	release(dir);
	return rc;
}
