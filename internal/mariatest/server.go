//go:build unix

// Package mariatest gives tests a MariaDB: the one that WAYBILL_TEST_MARIADB names, or a private one started from the programs that the machine
// has. It is imported by tests only.
package mariatest

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/waybill-hub/waybill/internal/childtest"
	"github.com/waybill-hub/waybill/internal/needtest"
	"github.com/waybill-hub/waybill/internal/porttest"
)

// EnvURL is the variable with the URL of a server to use, as mysql://user:password@host:port/. The user may make databases.
const EnvURL = "WAYBILL_TEST_MARIADB"

// Password is that of a private server's user: tests look for it where no secret may be.
const Password = "unused-pa55word"

var shared struct {
	once   sync.Once
	server *Server
	err    error
	seq    atomic.Int64
}

// Main runs the tests of a package and stops the server that they shared. It is for TestMain.
func Main(run func() int) int {
	code := run()
	if s := shared.server; s != nil {
		if err := s.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop MariaDB:", err)
			code = max(code, 1)
		}
	}
	return code
}

// URL is a connection URL of an empty database of its own. It skips the test where no server can be had, or fails it where one is required.
func URL(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() { shared.server, shared.err = Start() })
	if shared.err != nil {
		needtest.Missing(t, "MariaDB: %v", shared.err)
	}
	name := fmt.Sprintf("t%d_%d", os.Getpid(), shared.seq.Add(1))
	db := Open(t, shared.server.URL)
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Exec("DROP DATABASE " + name); err != nil {
			t.Error(err)
		}
	})
	return shared.server.URL + name
}

// Open connects to what a URL names, as a program other than the hub would, one that cares for little: names stand in double quotes, times are UTC, and what does not fit is
// made to.
func Open(t testing.TB, at string) *sql.DB {
	t.Helper()
	db, err := open(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // a test's helper connection
	return db
}

func open(at string) (*sql.DB, error) {
	u, err := url.Parse(at)
	if err != nil {
		return nil, err
	}
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.DBName = "tcp", u.Host, u.User.Username(), strings.TrimPrefix(u.Path, "/")
	cfg.Passwd, _ = u.User.Password()
	cfg.Logger, cfg.ClientFoundRows = &mysql.NopLogger{}, true
	cfg.Params = map[string]string{"sql_mode": "'ANSI_QUOTES,PIPES_AS_CONCAT'", "time_zone": "'+00:00'"}
	c, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

// Server is a MariaDB to test with.
type Server struct {
	// URL connects to it as a user who may do everything; it ends in a slash, after which a database may be named.
	URL string

	dir   string
	child *childtest.Child // nil: it is another one's
}

// Start gives the server that EnvURL names, or starts a private one in a directory of its own, on a free port of 127.0.0.1.
func Start() (*Server, error) {
	if u := os.Getenv(EnvURL); u != "" {
		return &Server{URL: strings.TrimSuffix(u, "/") + "/"}, nil
	}
	return Private()
}

// Private starts a server with more options, such as --read-only.
func Private(options ...string) (*Server, error) {
	if err := errors.Join(has("mariadb-install-db"), has("mariadbd")); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/tmp", "waybill-mariadb-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	if err := s.start(options); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func has(program string) error {
	if _, err := exec.LookPath(find(program)); err != nil {
		return fmt.Errorf("%s is not in PATH, and %s names no server: install the package mariadb-server", program, EnvURL)
	}
	return nil
}

// find also looks where servers are kept, which is not in everybody's PATH.
func find(program string) string {
	if p, err := exec.LookPath(program); err == nil {
		return p
	}
	return filepath.Join("/usr/sbin", program)
}

func (s *Server) start(options []string) error {
	data, who := filepath.Join(s.dir, "data"), &syscall.SysProcAttr{}
	var as []string
	if os.Geteuid() == 0 { // it wants to be told
		as = []string{"--user=root"}
	}
	install := exec.Command(find("mariadb-install-db"), append([]string{"--no-defaults", "--datadir=" + data, "--auth-root-authentication-method=normal", "--skip-test-db"}, as...)...)
	install.Dir = s.dir
	if out, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("mariadb-install-db: %w: %s", err, out)
	}
	grants := filepath.Join(s.dir, "init.sql")
	if err := os.WriteFile(grants, []byte("CREATE OR REPLACE USER 'tester'@'%' IDENTIFIED BY '"+Password+"';\nGRANT ALL ON *.* TO 'tester'@'%' WITH GRANT OPTION;\n"), 0o600); err != nil {
		return err
	}
	addr, err := porttest.Addr()
	if err != nil {
		return err
	}
	// Nothing is synced: these tests kill processes of the hub, not the machine. The zone is one in which nobody means UTC by accident.
	args := append([]string{"--no-defaults", "--datadir=" + data, "--bind-address=127.0.0.1", "--port=" + addr[strings.LastIndexByte(addr, ':')+1:],
		"--socket=" + filepath.Join(s.dir, "socket"), "--pid-file=" + filepath.Join(s.dir, "pid"), "--init-file=" + grants, "--skip-name-resolve",
		"--default-time-zone=+05:30", "--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci", "--max-connections=120",
		"--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-flush-method=nosync", "--innodb-buffer-pool-size=32M", "--skip-log-bin"}, as...)
	cmd := exec.Command(find("mariadbd"), append(args, options...)...)
	cmd.SysProcAttr, cmd.Dir = who, s.dir
	if s.child, err = childtest.Start("MariaDB", syscall.SIGTERM, cmd); err != nil {
		return err
	}
	s.URL = "mysql://tester:" + Password + "@" + addr + "/"
	return s.await()
}

// await returns once the server answers.
func (s *Server) await() error {
	db, err := open(s.URL)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // a helper connection
	return s.child.Await(2*time.Minute, db.PingContext)
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
