package drop

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
)

// mostCopies is how many copies are kept of which nobody reads.
const mostCopies = 4

// Copies are copies of files that lie elsewhere, for as long as they are read: a file is named by its content, judged and read, and comes over the network once. They
// have no name in the file system, so that nothing is left of them when the hub ends. A transfer that breaks off is gone on with where it ended.
type Copies struct {
	mu   sync.Mutex
	held []*copied // the one that was used last comes last
}

type copied struct {
	name string
	info fs.FileInfo

	mu   sync.Mutex
	f    *os.File
	have int64
	used int // by how many; guarded by Copies.mu
}

// Open gives the copy of a file. fetch writes the file's bytes from a place on, and may be called again after it has failed.
func (c *Copies) Open(name string, info fs.FileInfo, fetch func(from int64, to io.Writer) error) (File, error) {
	e := c.take(name, info)
	if err := e.fill(fetch); err != nil {
		return nil, errors.Join(err, c.leave(e))
	}
	return &copyReader{SectionReader: io.NewSectionReader(e.f, 0, info.Size()), info: info, close: func() error { return c.leave(e) }}, nil
}

func (c *Copies) take(name string, info fs.FileInfo) *copied {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, e := range c.held {
		if e.name == name && e.info.Size() == info.Size() && e.info.ModTime().Equal(info.ModTime()) {
			c.held = append(append(c.held[:i:i], c.held[i+1:]...), e)
			e.used++
			return e
		}
	}
	e := &copied{name: name, info: info, used: 1}
	c.held = append(c.held, e)
	return e
}

// leave ends one use, and closes what is too much.
func (c *Copies) leave(e *copied) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.used--
	var err error
	for i := 0; i < len(c.held) && len(c.held) > mostCopies; {
		if old := c.held[i]; old.used == 0 {
			err = errors.Join(err, old.close())
			c.held = append(c.held[:i:i], c.held[i+1:]...)
			continue
		}
		i++
	}
	return err
}

// Forget drops the copies of a file that is moved away.
func (c *Copies) Forget(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	kept := c.held[:0:0]
	for _, e := range c.held {
		if e.name == name && e.used == 0 {
			err = errors.Join(err, e.close())
			continue
		}
		kept = append(kept, e)
	}
	c.held = kept
	return err
}

// Close drops all copies.
func (c *Copies) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	for _, e := range c.held {
		err = errors.Join(err, e.close())
	}
	c.held = nil
	return err
}

func (e *copied) close() error {
	if e.f == nil {
		return nil
	}
	return e.f.Close()
}

func (e *copied) fill(fetch func(from int64, to io.Writer) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.f == nil {
		f, err := os.CreateTemp("", "waybill-copy-")
		if err != nil {
			return err
		}
		if err := os.Remove(f.Name()); err != nil {
			return errors.Join(err, f.Close())
		}
		e.f = f
	}
	size := e.info.Size()
	if e.have == size {
		return nil
	}
	if err := fetch(e.have, e); err != nil {
		return err
	}
	if e.have != size {
		return fmt.Errorf("%s: %d bytes came of %d that were listed: it is being written to", e.name, e.have, size)
	}
	return nil
}

// Write takes what comes, up to the size that was listed: what is behind it came since.
func (e *copied) Write(b []byte) (int, error) {
	n := len(b)
	if rest := e.info.Size() - e.have; int64(n) > rest {
		b = b[:rest]
	}
	m, err := e.f.WriteAt(b, e.have)
	e.have += int64(m)
	if err != nil {
		return m, err
	}
	return n, nil
}

// copyReader is one reader of a copy.
type copyReader struct {
	*io.SectionReader
	info  fs.FileInfo
	close func() error
	once  sync.Once
}

func (r *copyReader) Stat() (fs.FileInfo, error) { return r.info, nil }

func (r *copyReader) Close() (err error) {
	r.once.Do(func() { err = r.close() })
	return err
}
