package strictyaml

// Kind is the shape of a node.
type Kind uint8

const (
	// Missing: there is no such node.
	Missing Kind = iota
	// Null: a key without a value, `null` or `~`.
	Null
	// Scalar: a text.
	Scalar
	// Map: keys and values.
	Map
	// List: items.
	List
)

// String names the kind as a message to a person does.
func (k Kind) String() string {
	return [...]string{"nothing", "an empty value", "text", "a mapping", "a list"}[k]
}

// Style is how a scalar is written.
type style uint8

const (
	plain style = iota
	single
	double
	literal // |
	folded  // >
)

// node is one value of a document. Nothing in it changes after Parse.
type node struct {
	kind   Kind
	style  style
	pos    Pos
	src    *source
	start  int    // of the value, as a byte offset into src.data
	text   string // of a scalar
	key    string // the key it stands under, for messages
	fields []Field
	items  []Node
	trap   string // what YAML may have made of it, see Node.Trap
}

// Node is one value in a file, or nothing: the zero Node is Missing. It is small and may be copied.
type Node struct {
	n *node
	// of a missing node: where it would stand
	pos Pos
	key string
}

// Field is one entry of a mapping.
type Field struct {
	Key    string
	KeyPos Pos
	Value  Node
}

// Kind is the node's shape.
func (n Node) Kind() Kind {
	if n.n == nil {
		return Missing
	}
	return n.n.kind
}

// Pos is where the node begins. For a missing node it is where the mapping begins in which it was looked for.
func (n Node) Pos() Pos {
	if n.n == nil {
		return n.pos
	}
	return n.n.pos
}

// Key is the key that the node stands under, or was looked for under; items of a list have their list's key.
func (n Node) Key() string {
	if n.n == nil {
		return n.key
	}
	return n.n.key
}

// Quoted reports whether the node is a scalar in single or double quotes.
func (n Node) Quoted() bool {
	return n.Kind() == Scalar && (n.n.style == single || n.n.style == double)
}

// Text is the text of a scalar without any typing: 00123 stays 00123. It is empty for every other kind.
func (n Node) Text() string {
	if n.Kind() != Scalar {
		return ""
	}
	return n.n.text
}

// Trap says what YAML may have made of a plain scalar that does not hold what its writer meant: a comment that begins at
// ` #`, a comma that ended it inside {}, a next line that became part of it. Whoever cannot make sense of the text adds it as
// the hint. It is empty when nothing looks suspicious.
func (n Node) Trap() string {
	if n.n == nil {
		return ""
	}
	return n.n.trap
}

// Get gives the value under key, or a missing node.
func (n Node) Get(key string) Node {
	if n.Kind() == Map {
		for i := range n.n.fields {
			if n.n.fields[i].Key == key {
				return n.n.fields[i].Value
			}
		}
	}
	return Node{pos: n.Pos(), key: key}
}

// Has reports whether the mapping has the key, even without a value.
func (n Node) Has(key string) bool { return n.Get(key).Kind() != Missing }

// Fields gives the entries of a mapping in their order. Of duplicate keys, which are a problem, only the first is kept.
// The slice must not be changed.
func (n Node) Fields() []Field {
	if n.Kind() != Map {
		return nil
	}
	return n.n.fields
}

// KeyPos is where the key stands, or the mapping's own place when it has no such key.
func (n Node) KeyPos(key string) Pos {
	for _, f := range n.Fields() {
		if f.Key == key {
			return f.KeyPos
		}
	}
	return n.Pos()
}

// Items gives the elements of a list. The slice must not be changed.
func (n Node) Items() []Node {
	if n.Kind() != List {
		return nil
	}
	return n.n.items
}

// Known adds a problem for every key of a mapping that is not in keys, with the one that was probably meant.
func (n Node) Known(p *Problems, keys ...string) bool {
	ok := true
	for _, f := range n.Fields() {
		if !contains(keys, f.Key) {
			ok = false
			p.AddHint(f.KeyPos, DidYouMean(f.Key, keys), "unknown key %q", f.Key)
		}
	}
	return ok
}

func contains(list []string, s string) bool {
	for i := range list {
		if list[i] == s {
			return true
		}
	}
	return false
}
