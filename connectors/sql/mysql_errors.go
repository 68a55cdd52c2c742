package sql

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/waybill-hub/waybill/internal/fault"
)

// tableError is the failure of a statement on a table, where the database's own words do not name it.
type tableError struct {
	table string
	err   error
}

func (e *tableError) Error() string { return e.err.Error() }
func (e *tableError) Unwrap() error { return e.err }

// on says on which table a statement has failed.
func on(table string, err error) error {
	if err == nil {
		return nil
	}
	return &tableError{table, err}
}

// mysqlKind maps the servers' numbers (sql/share/errmsg.txt of MariaDB, appendix of MySQL's manual).
func mysqlKind(number uint16) fault.Kind {
	switch number {
	case 1045, 1698, 1044, 1130, 1251, 1820, 1862, 3118: // password, right to the database, host, plugin, password expired, account locked
		return fault.Auth
	case 1049: // no such database: nothing is wrong with the message
		return fault.Unavailable
	case 1205, 1213, 1020, // lock wait, deadlock, snapshot
		1317, 1969, 3024, 1927, 3169, // interrupted, out of time, killed
		1040, 1203, 1226, 1129, // too many connections, host blocked
		1053, 1077, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1180, 1047, // shutdown, network, Galera's node not ready
		1290, 1792, 1836, 1874, // read-only
		1021, 1114, 1037, 1038, 1041, 1030, 1015, 1637, 3572, // disk, memory, engine, NOWAIT
		1412, 1615, 1461, 1665, // the table was altered, statements prepared, a binlog format that the isolation does not go with
		3100, 3101:
		return fault.Unavailable
	}
	return fault.Invalid
}

// rolledBack: of these the server says at a commit that nothing was applied.
func rolledBack(number uint16) bool {
	return slices.Contains([]uint16{1213, 1205, 1020, 3100, 3101, 1290, 1792, 1836}, number)
}

var (
	mysqlColumnOf = regexp.MustCompile("(?:[Cc]olumn|[Ff]ield) ['`](?:[^'`]*`\\.`)*([^'`]+)['`]")
	mysqlKeyOf    = regexp.MustCompile(`for key '([^']*)'`)
	mysqlValueOf  = regexp.MustCompile(`^(Duplicate entry|(I|Truncated i)ncorrect [A-Za-z ]+ value:) '`)
)

// mysqlFault fills in a failure of the server's. Its text quotes what was sent, and what is stored: that is left out.
func (db *database) mysqlFault(f *fault.Error, e *mysqldriver.MySQLError, o *object, creating bool, err error) {
	f.Code = "MYSQL_" + strconv.Itoa(int(e.Number))
	f.Kind = mysqlKind(e.Number)
	if m := mysqlColumnOf.FindStringSubmatch(e.Message); m != nil {
		f.Field = m[1]
	}
	text := e.Message
	if mysqlValueOf.MatchString(text) {
		text = withoutValue(text)
	}
	f.Err = errors.New(db.scrub.Text(text))
	if e.Number != 1062 && e.Number != 1586 {
		return
	}
	key, at := "", (*tableError)(nil)
	if m := mysqlKeyOf.FindStringSubmatch(e.Message); m != nil {
		key = m[1]
	}
	if o == nil || !creating || !errors.As(err, &at) || at.table != o.Table {
		return
	}
	// MySQL puts the table's name before the key's, MariaDB does not; a trigger may have written elsewhere.
	if table, name, named := strings.Cut(key, "."); named {
		if !strings.EqualFold(table, lastPart(o.Table)) {
			return
		}
		key = name
	}
	if slices.ContainsFunc(o.learnt().table.indexes, func(x knownIndex) bool { return x.unique && x.name == key }) {
		f.Kind, f.Duplicate = fault.Conflict, true
	}
}

// withoutValue cuts the first quoted value out: what follows it begins with " for ".
func withoutValue(text string) string {
	from := strings.IndexByte(text, '\'')
	to := strings.LastIndex(text, "' for ")
	if to < from {
		return text[:from] + "…"
	}
	return text[:from] + "…" + text[to+1:]
}
