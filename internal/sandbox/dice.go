package sandbox

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"strings"
)

// digest hashes the seed with what it is used for.
func digest(seed int64, parts ...string) []byte {
	sum := sha256.Sum256([]byte(strconv.FormatInt(seed, 10) + "\x00" + strings.Join(parts, "\x00")))
	return sum[:]
}

// roll is a number in [0, 1) that depends on nothing but its arguments: neither on time nor on what else runs.
func roll(seed int64, parts ...string) float64 {
	return float64(binary.BigEndian.Uint64(digest(seed, parts...))>>11) / (1 << 53)
}

// rng is a generator for one purpose; its stream depends only on the seed and the purpose.
func rng(seed int64, parts ...string) *rand.Rand {
	d := digest(seed, parts...)
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(d), binary.BigEndian.Uint64(d[8:])))
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }
