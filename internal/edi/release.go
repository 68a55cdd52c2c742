package edi

import (
	"strconv"
	"strings"
)

// window is a span of releases, both among them; 0: it is open.
type window struct{ from, until int }

func (w window) has(release int) bool {
	return release >= w.from && (w.until == 0 || release <= w.until)
}

// apart: no release is in both.
func (w window) apart(o window) bool {
	return w.until > 0 && w.until < o.from || o.until > 0 && o.until < w.from
}

// release gives the place of a version among those of its standard: X12's 004010VICS, EDIFACT's D:96A:UN:EAN008. 0 is one that is before all that have one, such as EDIFACT's
// of before 1993.
func release(std Standard, version string) int {
	if std == X12 {
		n, _ := strconv.Atoi(version[:min(6, len(version))]) // 0: it is none
		return max(n, 0)
	}
	_, directory, _ := strings.Cut(version, ":")
	if len(directory) < 3 || len(directory) > 3 && directory[3] != ':' || directory[2] < 'A' || directory[2] > 'Z' {
		return 0
	}
	year, err := strconv.Atoi(directory[:2])
	if err != nil || year < 0 {
		return 0
	}
	if year < 90 {
		year += 100
	}
	return (1900+year)*100 + int(directory[2]-'A') + 1
}
