package strictyaml

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Resolver looks up what ${env:NAME} and ${file:PATH} name.
type Resolver interface {
	// Env gives the variable and whether it is set.
	Env(name string) (string, bool)
	// File gives the content of a file.
	File(path string) ([]byte, error)
}

// OS resolves from the process's environment and the disk; relative paths are resolved against dir.
func OS(dir string) Resolver { return osResolver{dir} }

type osResolver struct{ dir string }

func (osResolver) Env(name string) (string, bool) { return os.LookupEnv(name) }

// maxFile bounds a file named by ${file:…}.
const maxFile = 1 << 20

func (r osResolver) File(path string) ([]byte, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.dir, path)
	}
	return ReadPath(path, maxFile)
}

// resolve gives the scalar's text with its references filled in, and how many there were. `$${` stands for `${`.
func (n Node) resolve(p *Problems) (text string, refs int, ok bool) {
	if !n.wantScalar(p, "text") {
		return "", 0, false
	}
	raw := n.n.text
	if !strings.Contains(raw, "${") {
		return raw, 0, true
	}
	var b strings.Builder
	ok = true
	for i := 0; i < len(raw); {
		switch {
		case strings.HasPrefix(raw[i:], "$${"):
			b.WriteString("${")
			i += 3
		case strings.HasPrefix(raw[i:], "${"):
			end := strings.IndexByte(raw[i:], '}')
			if end < 0 {
				p.AddHint(n.ScalarPos(i), "close it with }, or write $${ for the characters ${", "reference without an end")
				return "", refs, false
			}
			value, problem, hint := n.n.src.lookup(raw[i+2 : i+end])
			if n.n.src.absent(raw[i+2 : i+end]) {
				p.ignore(n.Pos())
			}
			if problem != "" {
				p.AddHint(n.ScalarPos(i), hint, "%s", problem)
				ok = false
			}
			b.WriteString(value)
			refs++
			i += end + 1
		default:
			b.WriteByte(raw[i])
			i++
		}
	}
	return b.String(), refs, ok
}

func (s *source) lookup(ref string) (value, problem, hint string) {
	scheme, name, found := strings.Cut(ref, ":")
	const forms = "write ${env:NAME} or ${file:PATH}; $${ stands for the characters ${"
	if !found || name == "" {
		return "", fmt.Sprintf("${%s} is no reference", shorten(ref)), forms
	}
	switch scheme {
	case "env":
		if !isName(name) {
			return "", fmt.Sprintf("%q is no name of an environment variable", shorten(name)), forms
		}
		v, ok := s.resolver.Env(name)
		if !ok {
			return "", fmt.Sprintf("the environment variable %s is not set", name), "set it before starting the hub"
		}
		return v, "", ""
	case "file":
		b, err := s.resolver.File(name)
		if err != nil {
			return "", fmt.Sprintf("the file %s cannot be read: %s", name, cause(err)), "relative paths start at the directory of the configuration file"
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), "", ""
	case "setting":
		f, ok := s.resolver.(Filler)
		if !ok {
			return "", "${setting:…} is for manifests alone", forms
		}
		v, ok := f.Setting(name)
		if !ok {
			return "", fmt.Sprintf("the manifest has no setting %q", shorten(name)), "list it under settings"
		}
		return v, "", ""
	}
	return "", fmt.Sprintf("%q is no kind of reference", shorten(scheme)), forms
}

// cause leaves out the operation and path that the message names already.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func isName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
