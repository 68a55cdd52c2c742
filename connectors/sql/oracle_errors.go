package sql

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/fault"
)

// oracleKind maps the server's numbers (Database Error Messages).
func oracleKind(code int) fault.Kind {
	switch code {
	case 1017, 1005, 1045, 28000, 28001, 28002, 28003: // password, right to connect, account locked, expired
		return fault.Auth
	case 51, 54, 60, 61, 4020, 4021, 8177, 8176, 30006, // locks, deadlock, serialization
		18, 20, 28, 257, 600, 603, 604, 1012, 1013, 1033, 1034, 1041, 1089, 1090, 1092, 1109, 1155, // processes, killed, archiver, inside, cancelled, starting, shutdown
		1555, 1536, 1578, 1628, 1631, 1632, 1650, 1651, 1652, 1653, 1654, 1655, 1658, 1659, 1688, 1691, 1692, 30036, 1110, 1115, 4030, 4031, 7445, // undo, space, disk, memory
		2391, 2396, 2399, 3113, 3114, 3135, 3136, 4061, 4065, 4068, 16000, 16456, 25401, 25402, 25403, 25405, 25408, // limits, connection lost, packages made anew, read-only, failover
		1403: // a statement whose rows are gone meanwhile
		return fault.Unavailable
	}
	if code >= 12150 && code < 12700 { // the way to the server
		return fault.Unavailable
	}
	return fault.Invalid
}

var (
	oracleConstraintOf = regexp.MustCompile(`constraint \(([^)]+)\) violated`)
	oracleColumnOf     = regexp.MustCompile(`\("(?:[^"]+"\.")*([^"]+)"\)|column (?:"[^"]+"\.)*"([^"]+)"`)
)

var (
	oracleNumber = regexp.MustCompile(`ORA-(\d{5})`)
	oraclePlace  = regexp.MustCompile(` error occur at position: \d+$`) // the driver's words
)

// oracleCode gives the number and the words of a failure, as the server writes them, from its number on.
func oracleCode(err error) (code int, text string, ok bool) {
	if err == nil {
		return 0, "", false
	}
	text = err.Error()
	at := oracleNumber.FindStringSubmatchIndex(text)
	if at == nil {
		return 0, "", false
	}
	code, _ = strconv.Atoi(text[at[2]:at[3]]) // five digits
	return code, oraclePlace.ReplaceAllString(text[at[0]:], ""), true
}

// oracleFault fills in a failure of the server's. Its first line says what it is; what follows are places, and values.
func (db *database) oracleFault(f *fault.Error, code int, text string, o *object, creating bool, err error) {
	f.Code, f.Kind = fmt.Sprintf("ORA-%05d", code), oracleKind(code)
	first, _, _ := strings.Cut(text, "\n")
	if m := oracleColumnOf.FindStringSubmatch(first); m != nil {
		f.Field = m[1] + m[2]
	}
	f.Err = errors.New(db.scrub.Text(first))
	if code != 1 || !creating || o == nil || !onTable(err, o) {
		return
	}
	m := oracleConstraintOf.FindStringSubmatch(first)
	if m == nil {
		return
	}
	name := lastPart(m[1])
	if slices.ContainsFunc(o.learnt().table.indexes, func(x knownIndex) bool { return x.unique && x.name == name }) {
		f.Kind, f.Duplicate = fault.Conflict, true
	}
}

// oracleRolledBack: of these the server says at a commit that nothing was applied.
func oracleRolledBack(code int) bool { return slices.Contains([]int{60, 2091, 8177}, code) }
