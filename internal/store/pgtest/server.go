//go:build unix

// Package pgtest gives tests a PostgreSQL: the one that WAYBILL_TEST_POSTGRES names, or a private one started from the
// programs that the machine has. It is imported by tests only.
package pgtest

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver behind database/sql
	"go.uber.org/goleak"

	"github.com/waybill-hub/waybill/internal/childtest"
	"github.com/waybill-hub/waybill/internal/needtest"
	"github.com/waybill-hub/waybill/internal/porttest"
)

// EnvURL is the variable with the URL of a server to use.
const EnvURL = "WAYBILL_TEST_POSTGRES"

var shared struct {
	once   sync.Once
	server *Server
	err    error
	seq    atomic.Int64
}

// Main runs the tests of a package and stops the server that they shared. It is for TestMain.
func Main(m *testing.M) int {
	code := m.Run()
	if s := shared.server; s != nil {
		if err := s.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
			code = max(code, 1)
		}
	}
	return code
}

// MainWithoutLeaks is Main for packages that leave nothing running behind.
func MainWithoutLeaks(m *testing.M) int {
	code := Main(m)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// URL is a connection URL of an empty schema of its own. It skips the test where no server can be had, or fails it where one is
// required.
func URL(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() { shared.server, shared.err = Start() })
	if shared.err != nil {
		needtest.Missing(t, "PostgreSQL: %v", shared.err)
	}
	name := fmt.Sprintf("t%d_%d", os.Getpid(), shared.seq.Add(1))
	db, err := sql.Open("pgx", shared.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // a test's helper connection
	if _, err := db.ExecContext(t.Context(), "CREATE SCHEMA "+name); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(shared.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}

// Server is a PostgreSQL to test with.
type Server struct {
	// URL connects to its database "postgres" as a superuser.
	URL string

	dir   string
	child *childtest.Child // nil: it is another one's
}

// Start gives the server that EnvURL names, or starts a private one in a directory of its own, on a free port of 127.0.0.1.
func Start() (*Server, error) {
	if u := os.Getenv(EnvURL); u != "" {
		return &Server{URL: u}, nil
	}
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	who, err := account()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/tmp", "waybill-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	if err := s.start(bin, who); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) start(bin string, who *syscall.SysProcAttr) error {
	if who.Credential != nil {
		if err := os.Chown(s.dir, int(who.Credential.Uid), int(who.Credential.Gid)); err != nil {
			return err
		}
	}
	data := filepath.Join(s.dir, "data")
	// --no-sync and fsync=off: these tests kill processes of the hub, not the machine.
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = who, s.dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	addr, err := porttest.Addr()
	if err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-c", "listen_addresses=127.0.0.1", "-c", "port="+addr[strings.LastIndexByte(addr, ':')+1:],
		"-c", "unix_socket_directories="+s.dir, "-c", "fsync=off", "-c", "shared_buffers=32MB", "-c", "max_connections=300", "-c", "logging_collector=off")
	cmd.SysProcAttr, cmd.Dir = who, s.dir
	if s.child, err = childtest.Start("PostgreSQL", syscall.SIGINT, cmd); err != nil {
		return err
	}
	s.URL = "postgres://postgres@" + addr + "/postgres?sslmode=disable"
	return s.await()
}

// await returns once the server answers.
func (s *Server) await() error {
	db, err := sql.Open("pgx", s.URL)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // a helper connection
	return s.child.Await(time.Minute, db.PingContext)
}

// Stop ends a private server and removes its directory.
func (s *Server) Stop() error {
	if s.dir == "" {
		return nil
	}
	if err := s.child.Stop(); err != nil {
		return err
	}
	return os.RemoveAll(s.dir)
}

// programs is the directory of the newest PostgreSQL on this machine.
func programs() (string, error) {
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.Join(errors.New("neither is initdb in PATH or /usr/lib/postgresql, nor does "+EnvURL+" name a server"), err)
	}
	version := func(p string) int {
		n, err := strconv.Atoi(strings.Split(p, "/")[4])
		if err != nil {
			return 0
		}
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(found[len(found)-1]), nil
}
