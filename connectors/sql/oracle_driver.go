//go:build oracle

package sql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/url"
	"time"

	ora "github.com/sijms/go-ora/v2"

	"github.com/waybill-hub/waybill/internal/httpclient"
)

// oracleMissing is why the hub cannot connect to Oracle; empty: it can.
const oracleMissing = ""

// oracleSession is how a session compares and takes what the hub sends. A procedure that commits would commit the hub's transaction.
var oracleSession = []string{
	"ALTER SESSION SET TIME_ZONE = '+00:00' NLS_NUMERIC_CHARACTERS = '.,' NLS_SORT = BINARY NLS_COMP = BINARY NLS_CALENDAR = 'GREGORIAN'",
	"ALTER SESSION DISABLE COMMIT IN PROCEDURE",
}

func checkOracleURL(connection string) error {
	u, err := url.Parse(connection)
	if err != nil || u.Scheme != "oracle" || u.Hostname() == "" || len(u.Path) < 2 {
		return errors.New("this is no Oracle connection URL")
	}
	return nil
}

// openOracle makes the sessions that oracleSession says; a commit without an answer is an unknown outcome, which the driver tells by its failure alone.
func openOracle(connection string, conns int, _ time.Duration) (*sql.DB, error) {
	if err := checkOracleURL(connection); err != nil {
		return nil, err
	}
	c, ok := ora.NewConnector(connection).(*ora.OracleConnector)
	if !ok {
		return nil, errors.New("the driver of Oracle gives another kind of connector")
	}
	c.Dialer(httpclient.Dialer())
	return pooled(sql.OpenDB(oracleConnector{c}), conns), nil
}

// oracleConnector sets each session up.
type oracleConnector struct{ driver.Connector }

func (c oracleConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	for _, set := range oracleSession {
		if _, err := conn.(driver.ExecerContext).ExecContext(ctx, set, nil); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// oracleOut is a parameter that the server fills.
func oracleOut(into *string) any { return ora.Out{Dest: into, Size: 4000} }
