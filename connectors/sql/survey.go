package sql

import (
	"fmt"
	"os"
	"syscall"

	"github.com/waybill-hub/waybill/internal/connector"
)

// Survey looks whether the file of a SQLite database is there and can be used.
func (Kind) Survey(s connector.Settings) []connector.Finding {
	set, _ := read(s, nil)
	if set.Driver != "sqlite" || set.Path == "" {
		return nil
	}
	path := s.Path(set.Path)
	f := connector.Finding{Pos: s.Node.Get("path").Pos()}
	switch info, err := os.Stat(path); {
	case err != nil:
		f.Text, f.Hint = fmt.Sprintf("path: the database %s is not there", path), "its application makes it: the hub never does; relative paths start at the directory of the configuration file"
	case info.IsDir():
		f.Text, f.Hint = fmt.Sprintf("path: %s is a directory", path), "name the database's file"
	case set.ReadOnly && syscall.Access(path, 4) != nil:
		f.Text, f.Hint = fmt.Sprintf("path: the database %s cannot be read by this user", path), "run check as the user that runs the hub"
	case !set.ReadOnly && syscall.Access(path, 6) != nil: // read and write
		f.Text, f.Hint = fmt.Sprintf("path: the database %s cannot be read and written to by this user", path), "run check as the user that runs the hub"
	default:
		return nil
	}
	return []connector.Finding{f}
}
