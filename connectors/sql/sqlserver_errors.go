package sql

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/waybill-hub/waybill/internal/fault"
)

// sqlserverKind maps the server's numbers (sys.messages). Of class 20 and more the connection is lost.
func sqlserverKind(e mssql.Error) fault.Kind {
	switch e.Number {
	case 18456, 18452, 18470, 18486, 18487, 18488, 916: // log-in, account, password expired, no right to the database
		return fault.Auth
	case 4060, 911, 921, 922, 923, 924, 927, 942, 945, 976, 978, 983: // the database is not there, or not open: nothing is wrong with the message
		return fault.Unavailable
	case 0, 1205, 1222, 3930, 3952, 3960, 3961, 41301, 41302, 41305, 41325, 41839, // aborted, deadlock, lock, doomed, snapshot, memory-optimised tables
		701, 802, 1101, 1105, 1204, 3967, 8645, 8651, 9001, 9002, 5901, // memory, disk, locks, log
		3906, 3908, 3904, 15105, // read-only
		10928, 10929, 10936, 40197, 40501, 40540, 40544, 40549, 40550, 40551, 40552, 40553, 40613, 40615, 49918, 49919, 49920, // Azure
		596, 6005, 17142, 17148, 17188, 17830, 64, 233, 10053, 10054, 10060: // killed, shutdown, paused, network
		return fault.Unavailable
	}
	if e.Class >= 20 {
		return fault.Unavailable
	}
	return fault.Invalid
}

var (
	sqlserverColumnOf = regexp.MustCompile(`column '([^']+)'`)
	sqlserverObjectOf = regexp.MustCompile(`(?:in object|key row in object) '([^']+)'`)
	// sqlserverValues are what quotes what was sent, or is stored.
	sqlserverValues = []*regexp.Regexp{
		regexp.MustCompile(`(?s) The duplicate key value is .*$`), regexp.MustCompile(`(?s) Truncated value: .*$`), regexp.MustCompile(`(?s) value '.*' to data type`),
	}
)

// sqlserverFault fills in a failure of the server's. Its text quotes what was sent: that is left out.
func (db *database) sqlserverFault(f *fault.Error, e mssql.Error, o *object, creating bool, err error) {
	f.Code, f.Kind = "MSSQL_"+strconv.Itoa(int(e.Number)), sqlserverKind(e)
	if m := sqlserverColumnOf.FindStringSubmatch(e.Message); m != nil {
		f.Field = m[1]
	}
	f.Err = errors.New(db.scrub.Text(sqlserverText(e.Message)))
	if e.Number != 2601 && e.Number != 2627 || !creating || o == nil {
		return
	}
	if m := sqlserverObjectOf.FindStringSubmatch(e.Message); m != nil && strings.EqualFold(lastPart(m[1]), lastPart(o.Table)) && onTable(err, o) {
		f.Kind, f.Duplicate = fault.Conflict, true
	}
}

func sqlserverText(text string) string {
	text = sqlserverValues[0].ReplaceAllString(text, "")
	text = sqlserverValues[1].ReplaceAllString(text, "")
	return sqlserverValues[2].ReplaceAllString(text, " value … to data type")
}

// onTable: the statement that failed was one on the object's own table, and none of a trigger's on a table of another name.
func onTable(err error, o *object) bool {
	var at *tableError
	return errors.As(err, &at) && at.table == o.Table
}

// sqlserverRolledBack: of these the server, or the driver in its name, says at a commit that nothing was applied.
func sqlserverRolledBack(e mssql.Error) bool {
	return slices.Contains([]int32{0, 1205, 3902, 3930, 3960, 41301, 41302, 41305, 41325}, e.Number)
}
