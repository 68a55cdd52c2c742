package edi

import (
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// node is a document that is being filled: names and values in the order in which they came.
type node struct {
	members []member
	from    *nodes
}

// member is a value, an object or a list. key is its name as JSON has it, with the colon; nil: it is made of the name.
type member struct {
	name string
	key  []byte
	raw  []byte
	obj  *node
	list []*node
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
	out.members = out.members[:0]
	n.used++
	return out
}

func (n *node) set(name string, raw []byte) {
	n.members = append(n.members, member{name: name, raw: raw})
}

func (n *node) child(name string, list bool) *node {
	for i := range n.members {
		if n.members[i].name == name {
			c := n.from.make()
			n.members[i].list = append(n.members[i].list, c)
			return c
		}
	}
	c := n.from.make()
	m := member{name: name}
	if list {
		m.list = []*node{c}
	} else {
		m.obj = c
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
		case m.list != nil:
			dst = append(dst, '[')
			for j, c := range m.list {
				if j > 0 {
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
