package drop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"time"

	"github.com/waybill-hub/waybill/internal/failpoint"
)

// Transport reaches the place where a system's files lie: a folder of this machine, an SFTP server, a bucket.
type Transport interface {
	// Folder opens an object's folder, whose path is below the system's; "." is the system's own. Its calls end with ctx.
	Folder(ctx context.Context, dir string) (Folder, error)
	Close() error
}

// Folder is one object's folder. Names may lead into folders below it, with slashes, and never out of it. What is not there is fs.ErrNotExist, what
// may not be done fs.ErrPermission; a *fault.Error keeps its class; everything else is unavailable. It is used by one caller at a time.
type Folder interface {
	// List gives what a folder holds, by name.
	List(dir string) ([]fs.DirEntry, error)
	// Stat tells of one entry; of a link, and not of what it points to.
	Stat(name string) (fs.FileInfo, error)
	// Open opens a file for reading; what is no file is an error.
	Open(name string) (File, error)
	// Create makes a new file, whole or not at all, durable and under its name. A name that is taken is fs.ErrExist. Right before the file becomes visible ask
	// is called, and forbids it with an error, which is given back as it is. The error of a call of which nobody knows whether the file is visible wraps ErrUnknown.
	Create(name string, data []byte, ask func() error) error
	// Put writes a file that may be there already. It makes the folders to it.
	Put(name string, data []byte) error
	// Move gives a file another name, which nobody has, and makes the folders to it. The file is the very one that info tells of: where it was replaced since, and
	// the transport notices, it stays, with ErrReplaced.
	Move(info fs.FileInfo, from, to string) error
	Remove(name string) error
	Close() error
}

// File is a file that is read.
type File interface {
	io.ReadSeekCloser
	// Stat tells of the file that was opened.
	Stat() (fs.FileInfo, error)
}

var (
	// ErrUnknown: nobody knows whether a file has become visible.
	ErrUnknown = errors.New("it is not known whether the file was made")
	// ErrReplaced: another file stands under the name.
	ErrReplaced = errors.New("the file was replaced")
)

// Claimer is a folder where a move is several steps, which two could begin with one file: who takes it is decided before.
type Claimer interface {
	// Claim moves a file into a folder for claims, to this name; to that under which it was begun before, if it was. It gives where the file lies then. A file that
	// somebody else has begun to claim for another folder stays, with *Claimed; else errors are those of Move.
	Claim(info fs.FileInfo, from, dir, name string) (at string, err error)
	// Resume ends what was begun for a folder and not ended: before it is looked at, so that no file lies in two places.
	Resume(dir string) error
}

// Claimed is the error of a claim that came second.
type Claimed struct {
	By    string    // the other's folder
	Since time.Time // by the clock of the place
	Mark  string    // the file that says so
}

func (c *Claimed) Error() string {
	return fmt.Sprintf("another program has begun to take it into its folder %s (%s says so)", c.By, c.Mark)
}

// Renamer is what Beside needs of a folder.
type Renamer interface {
	Stat(name string) (fs.FileInfo, error)
	// Write writes a file and makes it durable; an older one of its name goes.
	Write(name string, data []byte) error
	// Name gives a written file its name, durably, and makes it visible.
	Name(from, to string) error
	Remove(name string) error
}

// Beside makes a file as Folder.Create promises, where there are names: it is written under a hidden one that nobody takes, and renamed.
func Beside(f Renamer, name string, data []byte, ask func() error) error {
	if _, err := f.Stat(name); err == nil {
		return &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir, base := path.Split(name)
	temp := dir + "." + base + ".tmp"
	err := f.Write(temp, data)
	if err == nil {
		err = failpoint.Fail(failpoint.FileWritten)
	}
	if err == nil {
		err = ask()
	}
	if err == nil {
		err = f.Name(temp, name)
	}
	if errors.Is(err, ErrUnknown) {
		return err
	}
	if err != nil {
		_ = f.Remove(temp) // the failure is what counts
	}
	return err
}

// local: a name of this folder, not a path.
func local(name string) bool {
	return filepath.IsLocal(name) && filepath.Base(name) == name && name != "."
}
