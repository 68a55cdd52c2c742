package edi

import (
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// node is a document that is being filled: names and values in the order in which they came.
type node struct {
	members []member
	from    *nodes
	next    *node // in the list that it stands in
}

// member is a value, an object or a list. key is its name as JSON has it, with the colon; nil: it is made of the name.
type member struct {
	name string
	key  []byte
	raw  []byte
	obj  *node // the object, or the list's first
	last *node // the list's last; nil: it is no list
}

// nodes are made once and used for one message after the other.
type nodes struct {
	all  []*node
	used int
}

func (n *nodes) make() *node {
	if n.used == len(n.all) {
		n.all = append(n.all, &node{from: n, members: make([]member, 0, 8)})
	}
	out := n.all[n.used]
	out.members, out.next = out.members[:0], nil
	n.used++
	return out
}

func (n *node) set(name string, raw []byte) {
	n.members = append(n.members, member{name: name, raw: raw})
}

func (n *node) child(name string, list bool) *node {
	c := n.from.make()
	for i := range n.members {
		if m := &n.members[i]; m.name == name {
			if m.last == nil { // a segment that came once more than it may
				m.last = m.obj
			}
			m.last.next, m.last = c, c
			return c
		}
	}
	m := member{name: name, obj: c}
	if list {
		m.last = c
	}
	n.members = append(n.members, m)
	return c
}

func (n *node) append(dst []byte) []byte {
	dst = append(dst, '{')
	for i := range n.members {
		if i > 0 {
			dst = append(dst, ',')
		}
		m := &n.members[i]
		if m.key != nil {
			dst = append(dst, m.key...)
		} else {
			dst = append(jsondoc.AppendString(dst, m.name), ':')
		}
		switch {
		case m.last != nil:
			dst = append(dst, '[')
			for c := m.obj; c != nil; c = c.next {
				if c != m.obj {
					dst = append(dst, ',')
				}
				dst = c.append(dst)
			}
			dst = append(dst, ']')
		case m.obj != nil:
			dst = m.obj.append(dst)
		default:
			dst = append(dst, m.raw...)
		}
	}
	return append(dst, '}')
}
