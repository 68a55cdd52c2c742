package file

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Survey looks whether the system's folder and those of its objects are there and can be written to: what is taken is moved away, and a folder that
// is absent is never made by the hub.
func (Kind) Survey(s connector.Settings) []connector.Finding {
	set := read(s, nil)
	if set.Path == "" {
		return nil
	}
	root := s.Path(set.Path)
	if f := usable(root, s.Node.Get("path").Pos()); f != nil {
		return []connector.Finding{*f}
	}
	var out []connector.Finding
	seen := map[string]bool{".": true}
	for _, name := range slices.Sorted(maps.Keys(set.Objects)) {
		o := set.Objects[name]
		if o != nil && o.EDI.Answers != "" && !seen[filepath.Clean(o.EDI.Answers)] {
			seen[filepath.Clean(o.EDI.Answers)] = true
			if f := usable(filepath.Join(root, o.EDI.Answers), s.Node.Get("objects").Get(name).Get("edi").Get("answers").Pos()); f != nil {
				out = append(out, *f)
			}
		}
		if o == nil || seen[filepath.Clean(o.Path)] {
			continue
		}
		seen[filepath.Clean(o.Path)] = true
		if f := usable(filepath.Join(root, o.Path), s.Node.Get("objects").Get(name).Get("path").Pos()); f != nil {
			out = append(out, *f)
		}
	}
	return out
}

func usable(dir string, at strictyaml.Pos) *connector.Finding {
	info, err := os.Stat(dir)
	f := connector.Finding{Pos: at}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Text, f.Hint = fmt.Sprintf("path: the folder %s is not there", dir), "make it: the hub does not, because a share that is not mounted looks the same"
	case err != nil:
		f.Text = fmt.Sprintf("path: the folder %s cannot be looked at: %s", dir, errors.Unwrap(err))
	case !info.IsDir():
		f.Text, f.Hint = fmt.Sprintf("path: %s is no folder", dir), "name the folder that holds the files"
	case syscall.Access(dir, 7) != nil: // read, write and search
		f.Text, f.Hint = fmt.Sprintf("path: the folder %s cannot be read and written to by this user", dir), "files that were taken are moved away: give the user that runs the hub the right to"
	default:
		return nil
	}
	return &f
}
