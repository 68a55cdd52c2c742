package schema

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// resolve finds the target of every $ref of a file. Nothing is ever fetched: a reference leads to another file of the plan
// or it is a problem.
func (c *compiler) resolve(src *source) {
	for _, n := range src.refs {
		file, fragment, _ := strings.Cut(n.ref.Str(), "#")
		to := src
		if file != "" {
			if to = c.find(src, n.ref, file); to == nil {
				continue
			}
		}
		if to.root == nil {
			src.broken = true // the other file's own problem is reported there
			continue
		}
		n.target = c.follow(src, n.ref, to, fragment)
	}
}

// find is the file that a reference names: relative to the referring file, by its name in the plan, or by its $id.
func (c *compiler) find(src *source, ref jsondoc.Value, file string) *source {
	if to := c.byID[file]; to != nil {
		return to
	}
	if u, err := url.Parse(file); err != nil || u.Scheme != "" || strings.HasPrefix(file, "//") {
		c.problem(src, ref, "copy that schema into the plan and refer to it by its name", "$ref %s is not fetched: schemas refer only to each other", quoted(ref))
		return nil
	}
	name := strings.TrimSuffix(file, ".json")
	if to := c.sources[path.Join(src.dir(), name)]; to != nil {
		return to
	}
	if to := c.sources[strings.TrimPrefix(path.Clean(name), "/")]; to != nil {
		return to
	}
	c.problem(src, ref, strictyaml.DidYouMean(name, slices.Sorted(maps.Keys(c.sources))), "$ref %s: there is no schema %q", quoted(ref), name)
	return nil
}

// follow walks a JSON pointer to a subschema of to.
func (c *compiler) follow(src *source, ref jsondoc.Value, to *source, fragment string) *node {
	pointer, err := url.PathUnescape(fragment)
	if err != nil || pointer != "" && pointer[0] != '/' {
		c.problem(src, ref, "write #/definitions/NAME", "$ref %s does not end in a path", quoted(ref))
		return nil
	}
	v := to.doc.Root()
	for i, step := range strings.Split(pointer, "/") {
		if i == 0 {
			continue
		}
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		next := v.Get(step)
		if at, err := strconv.Atoi(step); err == nil && v.Kind() == jsondoc.Array {
			next = v.Index(at)
		}
		if next.Kind() == jsondoc.Missing {
			var names []string
			for name := range v.Members() {
				names = append(names, name)
			}
			c.problem(src, ref, strictyaml.DidYouMean(step, names), "$ref %s leads nowhere: %q has no %q", quoted(ref), to.name, step)
			return nil
		}
		v = next
	}
	n := to.nodes[v.Offset()]
	if n == nil {
		c.problem(src, ref, "", "$ref %s leads to something that is no schema", quoted(ref))
	}
	return n
}

// findCycles reports every reference through which a schema contains itself. The library would run out of stack while
// compiling some of them and out of time on documents with others; a document that may nest for ever has no place here.
func (c *compiler) findCycles(src *source) {
	if src.root == nil {
		return
	}
	state := map[*node]uint8{} // 1: on the way here, 2: done
	var walk func(n *node)
	walk = func(n *node) {
		state[n] = 1
		if t := n.target; t != nil {
			switch state[t] {
			case 0:
				walk(t)
			case 1:
				c.problem(n.src, n.ref, "describe the levels that really occur", "$ref %s makes the schema contain itself", quoted(n.ref))
				n.target = nil
			}
		}
		n.children(true, func(child *node) {
			if state[child] == 0 {
				walk(child)
			}
		})
		state[n] = 2
	}
	walk(src.root)
}

// mostExpanded bounds a schema with all its references written out: time to validate may grow with it.
const mostExpanded = 200_000

// sumOf hashes a file and all files that it leads to, in the order of their names.
func (c *compiler) sumOf(src *source) [sha256.Size]byte {
	files := map[*source]bool{}
	var walk func(s *source)
	walk = func(s *source) {
		if files[s] {
			return
		}
		files[s] = true
		for _, n := range s.refs {
			if n.target != nil {
				walk(n.target.src)
			}
		}
	}
	walk(src)
	h := sha256.New()
	for _, s := range slices.SortedFunc(maps.Keys(files), func(a, b *source) int { return strings.Compare(a.name, b.name) }) {
		one := sha256.Sum256(s.data)
		_, _ = fmt.Fprintf(h, "%q %x\n", s.name, one)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// reach lists the referred-to nodes that root needs, in order of first use, and whether any file on the way has problems.
func (c *compiler) reach(src *source) (targets []*node, sound bool) {
	sound = !src.broken
	seen := map[*node]bool{}
	size := map[*node]int{}
	var walk func(n *node) int
	walk = func(n *node) int {
		if s, ok := size[n]; ok {
			return s
		}
		sum := 1
		if n.src.broken || n.ref.Kind() != jsondoc.Missing && n.target == nil {
			sound = false
		}
		if t := n.target; t != nil {
			sum += walk(t)
			if !seen[t] {
				seen[t] = true
				targets = append(targets, t)
			}
		} else {
			n.children(false, func(child *node) { sum += walk(child) })
		}
		size[n] = min(sum, mostExpanded+1)
		return size[n]
	}
	if walk(src.root) > mostExpanded {
		c.problem(src, src.root.v, "", "with all references followed the schema has more than %d parts", mostExpanded)
		sound = false
	}
	return targets, sound
}
