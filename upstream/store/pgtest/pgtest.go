// Package pgtest starts a real PostgreSQL for tests and benchmarks, from what
// Debian's package has installed, and removes it without a trace.
//
// The cluster is durable as in production (fsync is on), listens on a socket
// in a folder of its own and on no port, and belongs to a user that is not
// root. It ends when the process that started it ends, however that happens: a
// shell that guards it sees its pipe close, stops it, and removes its folder.
package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Role is the role that owns the databases that [Cluster.Create] makes. As
// campusd's should be, it is no superuser.
const Role = "campusd"

const superuser = "postgres"

// startMax is how long a cluster may take to answer after a start. It is long:
// other tests may have the machine.
const startMax = time.Minute

// Cluster is a running PostgreSQL.
type Cluster struct {
	dir   string
	guard *exec.Cmd
	tell  io.WriteCloser // the guard's standard input; its end is the cluster's
	hear  *bufio.Reader  // the guard says when PostgreSQL has stopped
	count atomic.Int64   // of databases made
}

// Database is an empty database.
type Database struct {
	Name  string
	DSN   string // as [Role], its owner
	Admin string // as superuser
}

// guard keeps PostgreSQL running. Each line that it reads is a signal that
// stops PostgreSQL, to start it again; at the end of its input all is over.
const guard = `
dir=$1; shift
while :; do
	"$@" >>"$dir/log" 2>&1 &
	if read -r signal; then
		kill -"$signal" $!; wait $!; echo stopped
	else
		kill -QUIT $!; wait $!; rm -rf "$dir"; exit
	fi
done`

// settings make it small and quick to start, and no less durable.
var settings = map[string]string{
	"listen_addresses":   "",
	"max_connections":    "200",
	"shared_buffers":     "32MB",
	"fsync":              "on",
	"synchronous_commit": "on",
	"full_page_writes":   "on",
}

// Folder is where clusters are: where temporary files are, unless the path of a
// socket there would be too long, or PostgreSQL's user may not make and remove
// files there.
func Folder() string {
	dir := os.TempDir()
	if i, err := os.Stat(dir); err != nil || len(dir) > 40 || i.Mode()&0o003 != 0o003 {
		return "/tmp"
	}
	return dir
}

// Start makes a cluster and starts it. Whoever starts one closes it.
func Start(ctx context.Context) (c *Cluster, err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	who, err := owner()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(Folder(), "pgtest-")
	if err != nil {
		return nil, err
	}
	c = &Cluster{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start PostgreSQL: %w", err), c.Close(), os.RemoveAll(dir))
		}
	}()
	if who != nil {
		if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", superuser,
		"--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = dir, &syscall.SysProcAttr{Credential: who}
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if err := c.startGuard(filepath.Join(bin, "postgres"), data, who); err != nil {
		return nil, err
	}
	if err := c.await(ctx); err != nil {
		return nil, err
	}
	return c, c.exec(ctx, "CREATE ROLE "+Role+" LOGIN")
}

func (c *Cluster) startGuard(postgres, data string, who *syscall.Credential) (err error) {
	args := []string{"-c", guard, "pgtest", c.dir, postgres, "-D", data, "-k", c.dir}
	for key, value := range settings {
		args = append(args, "-c", key+"="+value)
	}
	g := exec.Command("/bin/sh", args...)
	g.Dir, g.Stderr = c.dir, os.Stderr
	// A session of its own: Ctrl-C is for the test, which then tells the guard.
	g.SysProcAttr = &syscall.SysProcAttr{Credential: who, Setsid: true}
	if c.tell, err = g.StdinPipe(); err != nil {
		return err
	}
	out, err := g.StdoutPipe()
	if err != nil {
		return err
	}
	c.hear = bufio.NewReader(out)
	if err := g.Start(); err != nil {
		return err
	}
	c.guard = g
	return nil
}

// Close stops the cluster and removes it.
func (c *Cluster) Close() error {
	if c.guard == nil {
		return nil
	}
	err := c.tell.Close()
	return errors.Join(err, c.guard.Wait())
}

// Restart stops the cluster, with an end to all connections, and starts it
// again. A crash leaves everything to be recovered from its log.
func (c *Cluster) Restart(ctx context.Context, crash bool) error {
	signal := "INT" // PostgreSQL's "fast"
	if crash {
		signal = "QUIT" // its "immediate"
	}
	if _, err := fmt.Fprintln(c.tell, signal); err != nil {
		return fmt.Errorf("restart PostgreSQL: %w", err)
	}
	if _, err := c.hear.ReadString('\n'); err != nil {
		return fmt.Errorf("restart PostgreSQL: %w", err)
	}
	return c.await(ctx)
}

// await waits until the cluster answers.
func (c *Cluster) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startMax)
	defer cancel()
	for {
		err := c.exec(ctx, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(c.dir, "log"))
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, log)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Create makes an empty database.
func (c *Cluster) Create(ctx context.Context) (Database, error) {
	name := fmt.Sprintf("t%d", c.count.Add(1))
	if err := c.exec(ctx, "CREATE DATABASE "+name+" OWNER "+Role); err != nil {
		return Database{}, fmt.Errorf("create database: %w", err)
	}
	return Database{name, c.dsn(Role, name), c.dsn(superuser, name)}, nil
}

// Drop removes a database, with an end to the connections to it.
func (c *Cluster) Drop(ctx context.Context, d Database) error {
	return c.exec(ctx, "DROP DATABASE "+d.Name+" WITH (FORCE)")
}

// Socket is the path of the socket that the cluster listens on.
func (c *Cluster) Socket() string { return filepath.Join(c.dir, ".s.PGSQL.5432") }

func (c *Cluster) dsn(role, database string) string {
	return "postgres://" + role + "@/" + database + "?" + url.Values{"host": {c.dir}}.Encode()
}

// exec runs a statement as superuser.
func (c *Cluster) exec(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, c.dsn(superuser, "postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// programs returns the folder of PostgreSQL's programs, of its newest version.
func programs() (string, error) {
	best, newest := "", 0
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	for _, path := range found {
		version, _, _ := strings.Cut(strings.TrimPrefix(path, "/usr/lib/postgresql/"), "/")
		if n, err := strconv.Atoi(version); err == nil && n > newest {
			best, newest = filepath.Dir(path), n
		}
	}
	if best == "" {
		return "", errors.Join(err, errors.New("PostgreSQL is not installed: tools/setup/setup.sh does it"))
	}
	return best, nil
}

// owner returns whom the cluster is to belong to: nil is who we are, which
// PostgreSQL refuses to be root.
func owner() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
}
