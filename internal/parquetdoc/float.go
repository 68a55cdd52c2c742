package parquetdoc

import (
	"errors"
	"math"
	"strconv"
)

// float gives the shortest decimal that is read as the same float.
func (l *Leaf) float(n int64) (string, bool, error) {
	f, size := math.Float64frombits(uint64(n)), 64
	if l.phys == physFloat {
		f, size = float64(math.Float32frombits(uint32(n))), 32
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return strconv.FormatFloat(f, 'g', -1, 64), true, errors.New("it is no number")
	}
	if f == 0 {
		return "0", true, nil // also the one below it
	}
	form := byte('f')
	if a := math.Abs(f); a < 1e-6 || a >= 1e21 {
		form = 'e'
	}
	return strconv.FormatFloat(f, form, -1, size), true, nil
}
