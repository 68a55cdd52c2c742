package embedded

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/bus/recordbatch"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/filemode"
)

// identityFile holds the id that was minted when the directory was first used. The broker's own copy of it is the file
// by which it knows that the directory holds anything at all: without it, it would start empty over the data.
const identityFile = "identity.json"

type identity struct {
	Cluster string `json:"cluster_id"`
}

// brokerMeta is the broker's own meta.json.
type brokerMeta struct {
	Version int    `json:"version"`
	Cluster string `json:"cluster_id"`
}

// repair makes the data directory fit to be opened after a crash, and gives the cluster's id. What a crash can leave
// behind (a torn end of a log) is cut off; anything else that is damaged is refused, because the broker itself would
// silently drop what follows it.
func repair(dir string, log *slog.Logger) (string, error) {
	id, err := identify(dir)
	if err != nil {
		return "", err
	}
	failpoint.Hit(failpoint.BrokerIdentified)
	for _, name := range []string{"groups.log", "pids.log"} {
		if err := repairLog(filepath.Join(dir, name), log); err != nil {
			return "", err
		}
	}
	partitions, err := filepath.Glob(filepath.Join(dir, "partitions", "*"))
	if err != nil {
		return "", err
	}
	segments := 0
	for _, p := range partitions {
		n, err := repairPartition(p, log)
		if err != nil {
			return "", err
		}
		segments += n
	}
	if segments > 0 && !exists(filepath.Join(dir, "topics.json")) {
		return "", fmt.Errorf("%s holds records but topics.json is missing: restore it from a backup", dir)
	}
	return id, nil
}

// identify reads the cluster's id, or mints one for an empty directory.
func identify(dir string) (string, error) {
	var own identity
	var theirs brokerMeta
	haveOwn, err := readJSON(filepath.Join(dir, identityFile), &own)
	if err != nil {
		return "", err
	}
	haveTheirs, err := readJSON(filepath.Join(dir, "meta.json"), &theirs)
	if err != nil {
		return "", err
	}
	hasData := exists(filepath.Join(dir, "topics.json")) || exists(filepath.Join(dir, "partitions"))
	switch {
	case haveOwn && haveTheirs && own.Cluster != theirs.Cluster:
		return "", fmt.Errorf("identity.json and meta.json name different clusters (%s and %s): the directory mixes the files of two brokers", own.Cluster, theirs.Cluster)
	case haveOwn && !haveTheirs && hasData:
		return own.Cluster, writeJSON(filepath.Join(dir, "meta.json"), brokerMeta{Version: 1, Cluster: own.Cluster})
	case haveOwn:
		return own.Cluster, nil
	case haveTheirs:
		return theirs.Cluster, writeJSON(filepath.Join(dir, identityFile), identity{theirs.Cluster})
	case hasData:
		return "", errors.New("there are topics but neither identity.json nor meta.json: restore one of them from a backup")
	}
	id, err := mintID()
	if err != nil {
		return "", err
	}
	return id, writeJSON(filepath.Join(dir, identityFile), identity{id})
}

// repairLog cuts off the torn end of one of the broker's logs of framed entries: length, checksum, then what they cover,
// little-endian. The broker stops reading at a torn entry, but appends behind it.
func repairLog(path string, log *slog.Logger) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	good := 0
	for {
		rest := b[good:]
		if len(rest) < 10 {
			break
		}
		size := int64(binary.LittleEndian.Uint32(rest))
		if size < 2 || size > int64(len(rest))-8 || crc32.Checksum(rest[8:8+size], recordbatch.Castagnoli) != binary.LittleEndian.Uint32(rest[4:]) {
			break
		}
		good += 8 + int(size)
	}
	return cut(path, int64(good), int64(len(b)), log)
}

// repairPartition checks every segment of one partition and cuts off the torn end of the last one. It gives the number of
// segments.
func repairPartition(dir string, log *slog.Logger) (int, error) {
	bases, err := segmentBases(dir)
	if err != nil {
		return 0, err
	}
	if len(bases) == 0 {
		return 0, keepEnd(dir, log)
	}
	for i, base := range bases {
		if err := repairSegment(dir, base, i == len(bases)-1, log); err != nil {
			return 0, err
		}
	}
	return len(bases), nil
}

// segmentBases are the offsets that name the segments, in order.
func segmentBases(dir string) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var bases []int64
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".dat"); ok {
			if base, err := strconv.ParseInt(name, 10, 64); err == nil {
				bases = append(bases, base)
			}
		}
	}
	slices.Sort(bases)
	return bases, nil
}

func repairSegment(dir string, base int64, last bool, log *slog.Logger) error {
	path := filepath.Join(dir, strconv.FormatInt(base, 10)+".dat")
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	rest := b
	var index []byte
	maxTime := int64(-1)
	for len(rest) > 0 {
		info, next, ok, err := recordbatch.Read(rest)
		if err != nil || !ok {
			break
		}
		index = appendIndex(index, max(maxTime, info.MaxTime), info.Transactional())
		maxTime = max(maxTime, info.MaxTime)
		rest = next
	}
	good := int64(len(b) - len(rest))
	if len(rest) > 0 && !(last && torn(rest)) {
		return fmt.Errorf("%s is damaged at byte %d of %d: restore it from a backup; going on would lose every record behind that place", path, good, len(b))
	}
	if err := cut(path, good, int64(len(b)), log); err != nil {
		return err
	}
	return repairIndex(filepath.Join(dir, strconv.FormatInt(base, 10)+".idx"), index, log)
}

// torn reports whether b looks like the one write that a crash has interrupted, rather than damage with records behind it: each
// batch is on disk before the next is written, so no whole one stands in it. Of a write that was not synced any part may be there and
// any part be zeros, its beginning too.
func torn(b []byte) bool {
	for i := 1; i+recordbatch.HeaderSize <= len(b); i++ {
		if b[i+16] != 2 {
			continue
		}
		if _, _, ok, err := recordbatch.Read(b[i:]); ok && err == nil {
			return false
		}
	}
	return true
}

// indexEntry is the size of the broker's entry for one batch.
const indexEntry = 15

// appendIndex appends the entry of a batch: version, checksum, leader epoch, largest time so far, transaction flag.
func appendIndex(b []byte, maxTime int64, transactional bool) []byte {
	e := make([]byte, indexEntry)
	e[0] = 1
	binary.LittleEndian.PutUint64(e[6:], uint64(maxTime))
	if transactional {
		e[14] = 1
	}
	e[1] = byte(crc32.Checksum(e[2:], recordbatch.Castagnoli))
	return append(b, e...)
}

// repairIndex makes the index as long as its segment. Entries are found by their place, so one that is missing at the end
// would make every later one belong to the wrong batch.
func repairIndex(path string, want []byte, log *slog.Logger) error {
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(b) == len(want) {
		return nil
	}
	if len(b) > len(want) {
		return cut(path, int64(len(want)), int64(len(b)), log)
	}
	whole := len(b) / indexEntry * indexEntry
	log.Warn("embedded broker: completing an index after a crash", "file", path, "entries", (len(want)-whole)/indexEntry)
	return writeFile(path, append(b[:whole:whole], want[whole:]...))
}

// brokerSnapshot is what a clean stop writes for each partition; fields that are not needed here are kept as they are.
type brokerSnapshot struct {
	High     int64 `json:"high_watermark"`
	Stable   int64 `json:"last_stable_offset"`
	Start    int64 `json:"log_start_offset"`
	Segments []struct {
		Base int64 `json:"base_offset"`
		Size int64 `json:"size"`
	} `json:"segments"`
}

// keepEnd makes a partition that was emptied continue at its end: the broker would let it start again at offset 0 when
// no segment is left.
func keepEnd(dir string, log *slog.Logger) error {
	path := filepath.Join(dir, "snapshot.json")
	var snap brokerSnapshot
	if ok, err := readJSON(path, &snap); err != nil || !ok || snap.High <= 0 {
		return err
	}
	var all map[string]any
	if _, err := readJSON(path, &all); err != nil {
		return err
	}
	log.Info("embedded broker: an emptied partition continues at its end", "partition", filepath.Base(dir), "offset", snap.High)
	all["high_watermark"], all["last_stable_offset"], all["log_start_offset"] = snap.High, snap.High, snap.High
	all["segments"] = []any{map[string]any{"base_offset": snap.High, "size": 0}}
	if err := writeFile(filepath.Join(dir, strconv.FormatInt(snap.High, 10)+".dat"), nil); err != nil {
		return err
	}
	return writeJSON(path, all)
}

// cut shortens a file to its good part.
func cut(path string, good, size int64, log *slog.Logger) error {
	if good == size {
		return nil
	}
	log.Warn("embedded broker: cutting off the torn end of a file after a crash", "file", path, "bytes", size-good, "kept", good)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(good), f.Sync(), f.Close()); err != nil {
		return err
	}
	return failpoint.Fail(failpoint.BrokerCut)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func readJSON(path string, into any) (bool, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		err = d.Decode(into)
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	return true, nil
}

func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeFile(path, b)
}

// writeFile replaces a file so that after a crash it is the old one or the new one.
func writeFile(path string, b []byte) error {
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, filemode.File)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
