package strictyaml

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// MaxFile is the largest file of a project that is read: a document, a schema, an example.
const MaxFile = 8 << 20

// ReadFile reads a file of fsys that has at most most bytes. What is no file, such as a named pipe, a device or a directory, is an error
// that says so, and is never opened: who opens a pipe waits for its other end.
func ReadFile(fsys fs.FS, name string, most int64) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err == nil {
		err = Regular(info, most)
	}
	if err != nil {
		return nil, err
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = tooLong(most)
	}
	return data, err
}

// ReadPath is ReadFile for a path of the operating system.
func ReadPath(path string, most int64) ([]byte, error) {
	return ReadFile(os.DirFS(filepath.Dir(path)), filepath.Base(path), most)
}

// Regular gives why something cannot be read as a file of at most most bytes; nil: it can.
func Regular(info fs.FileInfo, most int64) error {
	what := ""
	switch mode := info.Mode(); {
	case mode.IsDir():
		what = "a directory"
	case mode&fs.ModeNamedPipe != 0:
		what = "a named pipe"
	case mode&fs.ModeSocket != 0:
		what = "a socket"
	case mode&fs.ModeDevice != 0:
		what = "a device"
	case !mode.IsRegular():
		what = "no regular file"
	}
	if what != "" {
		return fmt.Errorf("it is %s: put a file in its place", what)
	}
	if info.Size() > most {
		return tooLong(most)
	}
	return nil
}

func tooLong(most int64) error { return fmt.Errorf("it is longer than %s", Size(most)) }
