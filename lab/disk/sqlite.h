/* The part of SQLite's C interface that a VFS needs, as sqlite3.h has had it
** since 3.7.6. The program has SQLite from the Go driver, which compiles it, and
** must not get another from here. So this package has neither the header nor
** the library, and finds the functions when the whole program is linked. Until
** then they are missing, which is why they are weak: cgo links each package
** for itself first. */
#ifndef QUANCUN_SQLITE_H
#define QUANCUN_SQLITE_H

#include <stdint.h>

enum {
	SQLITE_OK = 0,
	SQLITE_BUSY = 5,
	SQLITE_IOERR = 10,
	SQLITE_NOTFOUND = 12,
	SQLITE_FULL = 13,
	SQLITE_CANTOPEN = 14,

	SQLITE_IOERR_READ = SQLITE_IOERR | 1 << 8,
	SQLITE_IOERR_SHORT_READ = SQLITE_IOERR | 2 << 8,
	SQLITE_IOERR_WRITE = SQLITE_IOERR | 3 << 8,
	SQLITE_IOERR_FSYNC = SQLITE_IOERR | 4 << 8,
	SQLITE_IOERR_DIR_FSYNC = SQLITE_IOERR | 5 << 8,
	SQLITE_IOERR_TRUNCATE = SQLITE_IOERR | 6 << 8,
	SQLITE_IOERR_FSTAT = SQLITE_IOERR | 7 << 8,
	SQLITE_IOERR_DELETE = SQLITE_IOERR | 10 << 8,
	SQLITE_IOERR_ACCESS = SQLITE_IOERR | 13 << 8,
	SQLITE_IOERR_LOCK = SQLITE_IOERR | 15 << 8,
	SQLITE_IOERR_SHMSIZE = SQLITE_IOERR | 19 << 8,
	SQLITE_IOERR_SHMLOCK = SQLITE_IOERR | 20 << 8,
	SQLITE_IOERR_SHMMAP = SQLITE_IOERR | 21 << 8,
	SQLITE_IOERR_DELETE_NOENT = SQLITE_IOERR | 23 << 8,

	SQLITE_OPEN_CREATE = 0x4,
	SQLITE_OPEN_DELETEONCLOSE = 0x8,
	SQLITE_OPEN_EXCLUSIVE = 0x10,
	SQLITE_OPEN_MAIN_JOURNAL = 0x800,
	SQLITE_OPEN_SUPER_JOURNAL = 0x4000,
	SQLITE_OPEN_WAL = 0x80000,

	SQLITE_ACCESS_EXISTS = 0,

	SQLITE_LOCK_NONE = 0,
	SQLITE_LOCK_SHARED = 1,
	SQLITE_LOCK_RESERVED = 2,
	SQLITE_LOCK_PENDING = 3,

	SQLITE_SHM_UNLOCK = 1,
	SQLITE_SHM_SHARED = 4,

	SQLITE_IOCAP_POWERSAFE_OVERWRITE = 0x1000,

	SQLITE_FCNTL_PRAGMA = 14,

	SQLITE_CONFIG_MEMSTATUS = 9,

	SQLITE_TESTCTRL_PRNG_SEED = 28,
};

typedef struct sqlite3_file {
	const struct sqlite3_io_methods *pMethods;
} sqlite3_file;

typedef struct sqlite3_io_methods {
	int iVersion;
	int (*xClose)(sqlite3_file *);
	int (*xRead)(sqlite3_file *, void *, int, int64_t);
	int (*xWrite)(sqlite3_file *, const void *, int, int64_t);
	int (*xTruncate)(sqlite3_file *, int64_t);
	int (*xSync)(sqlite3_file *, int);
	int (*xFileSize)(sqlite3_file *, int64_t *);
	int (*xLock)(sqlite3_file *, int);
	int (*xUnlock)(sqlite3_file *, int);
	int (*xCheckReservedLock)(sqlite3_file *, int *);
	int (*xFileControl)(sqlite3_file *, int, void *);
	int (*xSectorSize)(sqlite3_file *);
	int (*xDeviceCharacteristics)(sqlite3_file *);
	int (*xShmMap)(sqlite3_file *, int, int, int, void volatile **);
	int (*xShmLock)(sqlite3_file *, int, int, int);
	void (*xShmBarrier)(sqlite3_file *);
	int (*xShmUnmap)(sqlite3_file *, int);
} sqlite3_io_methods;

typedef struct sqlite3_vfs sqlite3_vfs;
struct sqlite3_vfs {
	int iVersion;
	int szOsFile;
	int mxPathname;
	sqlite3_vfs *pNext;
	const char *zName;
	void *pAppData;
	int (*xOpen)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
	int (*xDelete)(sqlite3_vfs *, const char *, int);
	int (*xAccess)(sqlite3_vfs *, const char *, int, int *);
	int (*xFullPathname)(sqlite3_vfs *, const char *, int, char *);
	void *(*xDlOpen)(sqlite3_vfs *, const char *);
	void (*xDlError)(sqlite3_vfs *, int, char *);
	void (*(*xDlSym)(sqlite3_vfs *, void *, const char *))(void);
	void (*xDlClose)(sqlite3_vfs *, void *);
	int (*xRandomness)(sqlite3_vfs *, int, char *);
	int (*xSleep)(sqlite3_vfs *, int);
	int (*xCurrentTime)(sqlite3_vfs *, double *);
	int (*xGetLastError)(sqlite3_vfs *, int, char *);
	int (*xCurrentTimeInt64)(sqlite3_vfs *, int64_t *);
};

extern int sqlite3_config(int, ...) __attribute__((weak));
extern int sqlite3_test_control(int, ...) __attribute__((weak));
extern char *sqlite3_mprintf(const char *, ...) __attribute__((weak));
extern sqlite3_vfs *sqlite3_vfs_find(const char *) __attribute__((weak));
extern int sqlite3_vfs_register(sqlite3_vfs *, int) __attribute__((weak));
extern int sqlite3_vfs_unregister(sqlite3_vfs *) __attribute__((weak));

#endif
