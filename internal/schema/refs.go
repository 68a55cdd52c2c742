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
		to := c.find(src, n, file)
		if to == nil {
			continue
		}
		if to.src.root == nil {
			src.broken = true // the other file's own problem is reported there
			continue
		}
		n.target = c.follow(src, n.ref, to, fragment)
	}
}

// resolveURI gives the absolute form of a reference without its fragment.
func resolveURI(base string, ref *url.URL) string {
	b, err := url.Parse(base)
	if err != nil {
		return ref.String()
	}
	abs := b.ResolveReference(ref)
	abs.Fragment, abs.RawFragment = "", ""
	return abs.String()
}

// find is the schema resource that a reference names: the one it stands in, one with that $id, or a file by its name in the plan, relative
// to the referring file. Nothing else is looked for.
func (c *compiler) find(src *source, n *node, file string) *node {
	if file == "" {
		if own := c.resources[n.base]; own != nil {
			return own
		}
		return src.root
	}
	u, err := url.Parse(file)
	if err == nil {
		if to := c.resources[resolveURI(n.base, u)]; to != nil {
			return to
		}
	}
	if err != nil || u.Scheme != "" || strings.HasPrefix(file, "//") {
		c.problem(src, n.ref, "copy that schema into the plan and refer to it by its name", "$ref %s is not fetched: schemas refer only to each other", quoted(n.ref))
		return nil
	}
	name := strings.TrimSuffix(file, ".json")
	for _, name := range []string{path.Join(src.dir(), name), strings.TrimPrefix(path.Clean(name), "/")} {
		if to := c.sources[name]; to != nil {
			if to.root == nil {
				return &node{src: to}
			}
			return to.root
		}
	}
	c.problem(src, n.ref, strictyaml.DidYouMean(name, slices.Sorted(maps.Keys(c.sources))), "$ref %s: there is no schema %q", quoted(n.ref), name)
	return nil
}

// follow goes on from a schema resource to where a fragment leads: along a JSON pointer, or to an anchor.
func (c *compiler) follow(src *source, ref jsondoc.Value, to *node, fragment string) *node {
	pointer, err := url.PathUnescape(fragment)
	if err != nil {
		c.problem(src, ref, "write #/"+src.draft.definitions()+"/NAME", "$ref %s does not end in a path", quoted(ref))
		return nil
	}
	if pointer != "" && pointer[0] != '/' {
		n := c.anchors[to.base+"#"+pointer]
		if n == nil {
			c.problem(src, ref, "write #/"+src.draft.definitions()+"/NAME, or give the schema that name", "$ref %s: no schema has the anchor %q", quoted(ref), pointer)
		}
		return n
	}
	v := to.v
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
			c.problem(src, ref, strictyaml.DidYouMean(step, names), "$ref %s leads nowhere: %q has no %q", quoted(ref), to.src.name, step)
			return nil
		}
		v = next
	}
	n := to.src.nodes[v.Offset()]
	if n == nil {
		c.problem(src, ref, "", "$ref %s leads to something that is no schema", quoted(ref))
	}
	return n
}

// findCycles reports schemas that mean themselves: they say nothing about the very value at hand. One that contains itself for what lies
// deeper in a document is fine: documents have a bounded depth, and the steps of judging them are bounded (see bounded).
func (c *compiler) findCycles(src *source) {
	const onPath, done = 1, 2
	state := map[*node]uint8{}
	var walk func(n *node)
	walk = func(n *node) {
		state[n] = onPath
		n.inPlace(func(child *node) {
			switch {
			case state[child] == 0:
				walk(child)
			case state[child] == onPath && child == n.target:
				c.problem(n.src, n.ref, "refer to it from properties or items, which go deeper into the document", "$ref %s makes the schema mean itself", quoted(n.ref))
				n.target = nil
			}
		})
		state[n] = done
	}
	for _, n := range src.all {
		if state[n] == 0 {
			walk(n)
		}
	}
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
	_, _ = fmt.Fprintf(h, "%q\n", src.name) // files that contain each other are the same set
	for _, s := range slices.SortedFunc(maps.Keys(files), func(a, b *source) int { return strings.Compare(a.name, b.name) }) {
		one := sha256.Sum256(s.data)
		_, _ = fmt.Fprintf(h, "%q %x\n", s.name, one)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// reached is what a schema needs.
type reached struct {
	targets []*node // the referred-to nodes, in order of first use
	sound   bool    // no file on the way has problems
	modern  bool    // a newer draft is among them
	exact   bool    // numbers are compared that binary floating point may take for equal
	// recursive: a schema contains itself.
	recursive bool
}

// reach looks at everything that a file's schema consists of.
func (c *compiler) reach(src *source) reached {
	r := reached{sound: !src.broken}
	const onPath, done = 1, 2
	state := map[*node]uint8{}
	seen := map[*node]bool{}
	size := map[*node]int{}
	var walk func(n *node) int
	walk = func(n *node) int {
		switch state[n] {
		case done:
			return size[n]
		case onPath:
			r.recursive = true
			return 1
		}
		state[n] = onPath
		sum := 1
		if n.src.broken || n.ref.Kind() != jsondoc.Missing && n.target == nil {
			r.sound = false
		}
		r.modern = r.modern || n.src.draft != draft07
		r.exact = r.exact || n.comparesNumbers()
		if t := n.target; t != nil {
			sum += walk(t)
			if !seen[t] {
				seen[t] = true
				r.targets = append(r.targets, t)
			}
		}
		if n.target == nil || !n.src.draft.refAlone() {
			n.children(false, func(child *node) { sum += walk(child) })
		}
		size[n], state[n] = min(sum, mostExpanded+1), done
		return size[n]
	}
	if walk(src.root) > mostExpanded {
		c.problem(src, src.root.v, "", "with all references followed the schema has more than %d parts", mostExpanded)
		r.sound = false
	}
	return r
}
