package sql

import (
	"fmt"
	"testing"
	"time"
)

// TestTouchedColumnsOfMariaDB: the column's digits say what the next version is.
func TestTouchedColumnsOfMariaDB(t *testing.T) {
	at := time.Date(2026, 10, 25, 1, 30, 0, 250e6, time.UTC) // 02:30:00.250 in Berlin, for the second time
	p := newMySQL(t)
	for i, tc := range []struct{ typ, column, stored, next string }{
		{"timestamp", "datetime", "2026-10-25 01:30:00", "2026-10-25 01:30:01"},
		{"timestamp", "datetime", "2026-10-25 01:29:58", "2026-10-25 01:30:00"},
		{"timestamp", "datetime(3)", "2026-10-25 01:30:00.250", "2026-10-25 01:30:00.251"},
		{"timestamp", "datetime(3)", "2026-10-25 01:30:00.000", "2026-10-25 01:30:00.250"},
		{"timestamp", "datetime(6)", "2026-10-25 01:30:00.250000", "2026-10-25 01:30:00.250001"},
		{"timestamp", "datetime(6)", "2062-07-01 00:00:00.000000", "2062-07-01 00:00:00.000001"},
		{"timestamp", "timestamp(1) NULL", "2026-10-25 01:30:00.3", "2026-10-25 01:30:00.4"},
		{"timestamp", "timestamp(6) NULL ON UPDATE CURRENT_TIMESTAMP(6)", "2026-10-25 01:30:00.300000", "2026-10-25 01:30:00.300001"},
		{"timestamp", "date", "2026-10-25", "2026-10-26"},
		{"timestamp", "date", "2026-10-24", "2026-10-25"},
		{"timestamp", "datetime", "0000-00-00 00:00:00", "2026-10-25 01:30:00"},
		{"local-timestamp", "datetime", "2026-10-25 02:30:00", "2026-10-25 02:30:01"},
		{"local-timestamp", "datetime(6)", "2026-10-25 02:59:59.999999", "2026-10-25 03:00:00.000000"},
		{"unix", "bigint", "1792891800", "1792891801"},
		{"unix", "int unsigned", "1", "1792891800"},
		{"unix-ms", "bigint unsigned", "1792891800250", "1792891800251"},
		{"integer", "bigint unsigned", "18446744073709551613", "18446744073709551614"},
	} {
		touches(t, p, fmt.Sprintf("x%d", i), tc.column, tc.typ, tc.stored, tc.next, at)
	}
}
