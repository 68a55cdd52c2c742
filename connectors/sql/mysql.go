package sql

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/waybill-hub/waybill/internal/httpclient"
)

// sqlMode is how a server has to take what the hub sends: values that a column cannot hold are errors, 0 is a number and asks for none, and names
// stand in double quotes as everywhere else. Zero dates stay allowed, since tables have them as defaults; the hub itself never writes one.
const sqlMode = "ANSI_QUOTES,STRICT_ALL_TABLES,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION"

// sslModes are MySQL's own words.
var sslModes = []string{"DISABLED", "PREFERRED", "REQUIRED", "VERIFY_IDENTITY"}

// mysqlConfig reads mysql://user:password@host:3306/database?ssl-mode=VERIFY_IDENTITY&ssl-ca=/file.pem. Its errors do not quote it: it holds a password.
func mysqlConfig(connection string, timeout time.Duration) (*mysqldriver.Config, error) {
	u, err := url.Parse(connection)
	if err != nil || u.Scheme != "mysql" && u.Scheme != "mariadb" || u.Opaque != "" {
		return nil, errors.New("this is no MySQL connection URL")
	}
	cfg := mysqldriver.NewConfig()
	if err := cfg.Apply(mysqldriver.Charset("utf8mb4", "")); err != nil {
		return nil, err
	}
	cfg.Net, cfg.Addr = "tcp", u.Host
	if u.Port() == "" {
		cfg.Addr = net.JoinHostPort(u.Hostname(), "3306")
	}
	cfg.User = u.User.Username()
	cfg.Passwd, _ = u.User.Password()
	if cfg.DBName = strings.TrimPrefix(u.Path, "/"); cfg.DBName == "" || strings.Contains(cfg.DBName, "/") {
		return nil, errors.New("the URL names no database")
	}
	mode, ca := "PREFERRED", ""
	for name, values := range u.Query() {
		switch value := values[len(values)-1]; name {
		case "ssl-mode":
			mode = strings.ToUpper(value)
		case "ssl-ca":
			ca = value
		case "socket":
			cfg.Net, cfg.Addr = "unix", value
		default:
			return nil, fmt.Errorf("the URL has a parameter %q: it takes ssl-mode, ssl-ca and socket", name)
		}
	}
	if u.Hostname() == "" && cfg.Net == "tcp" {
		return nil, errors.New("the URL names no host")
	}
	if err := encrypt(cfg, mode, ca, u.Hostname()); err != nil {
		return nil, err
	}
	cfg.Logger = &mysqldriver.NopLogger{} // what it would say is in its errors
	cfg.ClientFoundRows = true            // a row that has the values already was found: it is not gone
	cfg.MaxAllowedPacket = 0              // the server's own bound: a statement over it is refused here, instead of costing the connection
	cfg.ConnectionAttributes = "program_name:waybill"
	// Deadlines are those of the calls. A commit has none, and is not to wait for ever for a server that is gone.
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = timeout, timeout+time.Second, timeout+time.Second
	if cfg.Net == "tcp" {
		cfg.DialFunc = httpclient.Dialer().DialContext
	}
	return cfg, nil
}

func encrypt(cfg *mysqldriver.Config, mode, ca, host string) error {
	switch mode {
	case "DISABLED":
	case "PREFERRED":
		cfg.TLS, cfg.AllowFallbackToPlaintext = &tls.Config{InsecureSkipVerify: true}, true //nolint:gosec // as MySQL's own clients do by default
	case "REQUIRED":
		cfg.TLS = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // what the word means
	case "VERIFY_IDENTITY":
		cfg.TLS = &tls.Config{ServerName: host}
	default:
		return fmt.Errorf("ssl-mode: write one of %s", strings.Join(sslModes, ", "))
	}
	if ca == "" {
		return nil
	}
	if mode != "VERIFY_IDENTITY" {
		return errors.New("ssl-ca is for ssl-mode=VERIFY_IDENTITY")
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return fmt.Errorf("ssl-ca: %w", err)
	}
	if cfg.TLS.RootCAs = x509.NewCertPool(); !cfg.TLS.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("ssl-ca: %s holds no certificate", ca)
	}
	return nil
}

// mysqlPassword gives the password inside a connection URL, for scrubbing.
func mysqlPassword(connection string) string {
	if u, err := url.Parse(connection); err == nil {
		p, _ := u.User.Password()
		return p
	}
	return ""
}

func openMySQL(d *mysql, connection string, conns int, timeout time.Duration, readOnly bool) (*sql.DB, error) {
	c, err := newMySQLConnector(d, connection, timeout, false)
	if err != nil {
		return nil, err
	}
	c.readOnly = readOnly
	return pooled(sql.OpenDB(c), conns), nil
}

// mysqlConnector makes connections of which the hub knows how the server takes what it sends.
type mysqlConnector struct {
	driver.Connector
	dialect *mysql
	timeout time.Duration
	long    bool // statements may take longer than a call
	// readOnly: no transaction of a session may write.
	readOnly bool
}

func newMySQLConnector(d *mysql, connection string, timeout time.Duration, long bool) (*mysqlConnector, error) {
	cfg, err := mysqlConfig(connection, timeout)
	if err != nil {
		return nil, err
	}
	if long {
		cfg.ReadTimeout = 0
	}
	inner, err := mysqldriver.NewConnector(cfg)
	return &mysqlConnector{Connector: inner, dialect: d, timeout: timeout, long: long}, err
}

// flavour is what the dialect must know of the server, learnt with every connection.
type flavour struct {
	// returning: INSERT … RETURNING gives the id back.
	returning atomic.Bool
	// noReturning is for tests of what is done without.
	noReturning bool
}

// driverConn is what the driver's connections can.
type driverConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.QueryerContext
	driver.ExecerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
	driver.NamedValueChecker
}

// Connect makes a connection, and sets its session up.
func (c *mysqlConnector) Connect(ctx context.Context) (driver.Conn, error) {
	made, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn := &mysqlConn{driverConn: made.(driverConn), connector: c}
	if err := conn.begin(ctx); err != nil {
		_ = made.Close() // it is of no use
		return nil, err
	}
	return conn, nil
}

// mysqlConn is a connection whose statement does not outlive it on the server.
type mysqlConn struct {
	driverConn
	connector *mysqlConnector
	id        string // on its server
	server    mysqlServer
	impatient bool // it waits for locks as a transaction of many does
	cut       bool // its statement is not waited for
}

// mysqlServer tells one run of one server from others.
type mysqlServer struct {
	host  string
	start int64 // unix time, give or take a second
}

func (s mysqlServer) same(o mysqlServer) bool {
	return s.host == o.host && max(s.start-o.start, o.start-s.start) <= 2
}

// begin sets the session up, and sees to it that the server has taken it so.
func (c *mysqlConn) begin(ctx context.Context) error {
	version, err := answer(ctx, c, "SELECT VERSION(), CONNECTION_ID()")
	if err != nil {
		return err
	}
	c.id = version[1]
	maria := strings.Contains(version[0], "MariaDB")
	c.connector.dialect.returning.Store(maria && !old(version[0], 10, 5) && !c.connector.dialect.noReturning)
	seconds := strconv.Itoa(int((c.connector.timeout + time.Second - 1) / time.Second))
	// The bounds on the server are a net below those of the calls, which end earlier; 0 is none.
	bound := (c.connector.timeout + 2*time.Second - 1).Truncate(time.Second)
	if c.connector.long {
		bound = 0
	}
	most := "max_execution_time = " + strconv.FormatInt(bound.Milliseconds(), 10)
	if maria {
		most = "max_statement_time = " + strconv.FormatInt(int64(bound/time.Second), 10)
	}
	sets := []string{
		"SET SESSION sql_mode = '" + sqlMode + "', time_zone = '+00:00', autocommit = 1, lock_wait_timeout = " + seconds + ", " + most,
		"SET SESSION innodb_lock_wait_timeout = " + seconds,
		"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", // as PostgreSQL's: a second look sees what others have committed meanwhile
	}
	if c.connector.readOnly {
		sets = append(sets, "SET SESSION TRANSACTION READ ONLY")
	}
	for _, set := range sets {
		if _, err := c.driverConn.ExecContext(ctx, set, nil); err != nil {
			return fmt.Errorf("the server does not take the session that the hub needs (%s): %w", set, err)
		}
	}
	if c.server, err = serverOf(ctx, c.driverConn); err != nil {
		return err
	}
	have, err := answer(ctx, c, "SELECT @@SESSION.sql_mode, @@SESSION.time_zone, @@character_set_client, @@character_set_connection, @@character_set_results, @@SESSION.autocommit")
	if err != nil {
		return err
	}
	for _, word := range strings.Split(sqlMode, ",") {
		if !strings.Contains(","+have[0]+",", ","+word+",") {
			return fmt.Errorf("the server keeps the sql_mode %q for this session, without %s: it would cut and round values silently", have[0], word)
		}
	}
	if strings.Contains(have[0], "NO_BACKSLASH_ESCAPES") || have[1] != "+00:00" || have[2] != "utf8mb4" || have[3] != "utf8mb4" || have[4] != "utf8mb4" || have[5] != "1" {
		return fmt.Errorf("the server does not keep the session that the hub has set up (sql_mode, time zone, character sets, autocommit): %q", have)
	}
	return nil
}

// old reports whether a version such as 10.11.19-MariaDB, also with MySQL's 5.5.5- before it, is older than a release.
func old(version string, major, minor int) bool {
	parts := strings.SplitN(strings.TrimPrefix(version, "5.5.5-"), ".", 3)
	if len(parts) < 2 {
		return true
	}
	a, errA := strconv.Atoi(parts[0])
	b, errB := strconv.Atoi(parts[1])
	return errA != nil || errB != nil || a < major || a == major && b < minor
}

func serverOf(ctx context.Context, c driver.QueryerContext) (s mysqlServer, err error) {
	where, err := answer(ctx, c, "SELECT CONCAT_WS(':', @@hostname, @@port, @@datadir), UNIX_TIMESTAMP()")
	if err != nil {
		return s, err
	}
	up, err := answer(ctx, c, "SHOW GLOBAL STATUS LIKE 'Uptime'")
	if err != nil {
		return s, err
	}
	now, errNow := strconv.ParseInt(where[1], 10, 64)
	uptime, errUp := strconv.ParseInt(up[1], 10, 64)
	return mysqlServer{where[0], now - uptime}, errors.Join(errNow, errUp)
}

// answer gives the one row of a query without parameters.
func answer(ctx context.Context, c driver.QueryerContext, query string) ([]string, error) {
	rows, err := c.QueryContext(ctx, query, nil)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	row := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(row); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("no answer to %s", query)
	} else if err != nil {
		return nil, err
	}
	out := make([]string, len(row))
	for i, v := range row {
		if b, ok := v.([]byte); ok {
			out[i] = string(b)
		} else if v != nil {
			out[i] = fmt.Sprint(v)
		}
	}
	return out, nil
}

// patience is what makes a transaction of many wait for no lock of others for long. The server counts in seconds, and for the session.
const patience = "SET SESSION innodb_lock_wait_timeout = 1"

// ExecContext remembers what has to be set back.
func (c *mysqlConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.impatient = c.impatient || query == patience
	return c.driverConn.ExecContext(ctx, query, args)
}

// ResetSession makes the connection ready for its next user.
func (c *mysqlConn) ResetSession(ctx context.Context) error {
	if err := c.driverConn.ResetSession(ctx); err != nil || !c.impatient {
		return err
	}
	seconds := strconv.Itoa(int((c.connector.timeout + time.Second - 1) / time.Second))
	if _, err := c.driverConn.ExecContext(ctx, "SET SESSION innodb_lock_wait_timeout = "+seconds, nil); err != nil {
		return driver.ErrBadConn
	}
	c.impatient = false
	return nil
}

// killing is how long the hub tries, at most, to end on the server what it does not wait for any more.
const killing = 5 * time.Second

// Close closes the connection. Where the driver has given it up, as it does at the end of a call's time, the server does not notice before the
// statement has ended: it is told, so that nothing goes on there that nobody waits for, and no lock is held.
func (c *mysqlConn) Close() error {
	lost := c.cut || !c.IsValid()
	err := c.driverConn.Close()
	if lost && c.id != "" {
		c.kill()
	}
	return err
}

// kill ends the connection on its server, if that is still the one: behind a balancer, or after a new start, somebody else may have its number.
func (c *mysqlConn) kill() {
	ctx, cancel := context.WithTimeout(context.Background(), min(killing, c.connector.timeout))
	defer cancel()
	made, err := c.connector.Connector.Connect(ctx)
	if err != nil {
		return // a server that is out of reach ends it by itself
	}
	defer made.Close()
	conn := made.(driverConn)
	if s, err := serverOf(ctx, conn); err != nil || !s.same(c.server) {
		return
	}
	_, _ = conn.ExecContext(ctx, "KILL "+c.id, nil) // it may have ended
}
