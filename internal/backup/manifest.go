// Package backup keeps copies of the hub in a folder: each a folder of its own, whole or not there at all, with a list of its files and their hashes. It
// knows nothing of what the files hold.
package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ManifestFile is the name of a copy's list of files.
const ManifestFile = "manifest.json"

// Format is the newest form of a copy that this program reads and writes.
const Format = 1

// Names in a copy.
const (
	StoreFile = "waybill.db"
	BrokerDir = "broker"
)

// Manifest says what a copy is and what is in it.
type Manifest struct {
	Format int `json:"format"`
	// ID is the copy's own; the store in it carries it too.
	ID string `json:"id"`
	// Version is the program's that wrote it.
	Version string `json:"version"`
	// Began and Ended are when it was written; AsOf is the moment of which its store is.
	Began time.Time `json:"began"`
	AsOf  time.Time `json:"as_of"`
	Ended time.Time `json:"ended"`
	// Cluster is the id of the embedded broker whose logs are in it.
	Cluster string `json:"cluster"`
	Files   []File `json:"files"`
}

// File is one file of a copy; Name is its path there, with slashes.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Size is that of all files together.
func (m *Manifest) Size() (n int64) {
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// Read reads the manifest of the copy in dir.
func Read(dir string) (*Manifest, error) {
	b, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is no copy that `waybill backup` has finished: there is no %s in it", dir, ManifestFile)
	}
	if err != nil {
		return nil, err
	}
	var m Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("%s: %s is damaged: %w", dir, ManifestFile, err)
	}
	if m.Format != Format {
		return nil, fmt.Errorf("%s is a copy of form %d, and this program reads form %d: use the version of waybill that wrote it, %s", dir, m.Format, Format, m.Version)
	}
	for _, f := range m.Files {
		if !fs.ValidPath(f.Name) || f.Name == "." {
			return nil, fmt.Errorf("%s: %s names %q, which is no path in the copy", dir, ManifestFile, f.Name)
		}
	}
	return &m, nil
}

// maxBad is how many files that do not fit are named.
const maxBad = 10

// Verify holds the files of a copy against its manifest: none is missing, none is changed, none has come. All that do not fit are named.
func Verify(ctx context.Context, dir string) (*Manifest, error) {
	m, err := Read(dir)
	if err != nil {
		return nil, err
	}
	var bad []string
	known := map[string]bool{ManifestFile: true}
	for _, f := range m.Files {
		known[f.Name] = true
		size, sum, err := hashFile(ctx, filepath.Join(dir, filepath.FromSlash(f.Name)))
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, fs.ErrNotExist):
			bad = append(bad, f.Name+" is missing")
		case err != nil:
			bad = append(bad, f.Name+": "+err.Error())
		case size != f.Size:
			bad = append(bad, fmt.Sprintf("%s has %d bytes, and had %d", f.Name, size, f.Size))
		case sum != f.SHA256:
			bad = append(bad, f.Name+" holds other bytes than it did")
		}
	}
	here, err := list(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range here {
		if !known[name] {
			bad = append(bad, name+" is not of the copy")
		}
	}
	if len(bad) > 0 {
		more := ""
		if len(bad) > maxBad {
			more = fmt.Sprintf("; and %d more", len(bad)-maxBad)
		}
		return nil, fmt.Errorf("%s is not what was copied: %s%s: use another copy", dir, strings.Join(bad[:min(len(bad), maxBad)], "; "), more)
	}
	return m, nil
}

// list gives the files below dir, in order, with slashes.
func list(dir string) (names []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	slices.Sort(names)
	return names, err
}

func hashFile(ctx context.Context, path string) (size int64, sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	size, err = io.Copy(h, &reader{ctx, f})
	return size, hex.EncodeToString(h.Sum(nil)), err
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	io.Reader
}

// Read makes reader an io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
