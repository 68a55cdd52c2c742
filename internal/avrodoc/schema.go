// Package avrodoc turns Avro's binary values into JSON documents and back, exactly: decimals are numbers with their digits, times are texts, and what one
// side cannot hold as the other has it is refused, with its path.
package avrodoc

import (
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/avro"
)

// Schema is one schema, ready for use. It is safe for concurrent use.
type Schema struct {
	codec *avro.Schema
	root  *avro.SchemaNode
	// named are the types that are described, by their full names; refs are the places where one is named instead.
	named map[string]*avro.SchemaNode
	refs  map[*avro.SchemaNode]*avro.SchemaNode
}

// Compile reads a schema. references are the texts of the schemas whose types it names, each after those that it names itself.
func Compile(text string, references ...string) (*Schema, error) {
	var cache avro.SchemaCache
	for _, r := range references {
		if _, err := cache.Parse(r); err != nil {
			return nil, fmt.Errorf("a schema that it refers to: %w", err)
		}
	}
	codec, err := cache.Parse(text)
	if err != nil {
		return nil, err
	}
	root := codec.Root()
	s := &Schema{codec: codec, root: root, named: map[string]*avro.SchemaNode{}, refs: map[*avro.SchemaNode]*avro.SchemaNode{}}
	s.index(root)
	if err := s.resolve(root, ""); err != nil {
		return nil, err
	}
	return s, nil
}

// Name is the full name of the schema's record, or the type where it is none.
func (s *Schema) Name() string {
	if n := fullName(s.root); n != "" {
		return n
	}
	return s.root.Type
}

// Record reports whether values are records, which become JSON objects.
func (s *Schema) Record() bool { return s.root.Type == "record" }

// Field is one field of the schema's record: its type in Avro's words, and whether a document may leave it out.
type Field struct {
	Name, Type string
	Optional   bool
}

// Fields are those of the record, in its order.
func (s *Schema) Fields() []Field {
	out := make([]Field, len(s.root.Fields))
	for i := range s.root.Fields {
		f := &s.root.Fields[i]
		out[i] = Field{f.Name, describe(&f.Type), f.HasDefault || nullable(&f.Type)}
	}
	return out
}

// describe is a type as people write it.
func describe(n *avro.SchemaNode) string {
	switch {
	case n.Type == "union":
		var all []string
		for i := range n.Branches {
			all = append(all, describe(&n.Branches[i]))
		}
		return strings.Join(all, " or ")
	case n.LogicalType == "decimal":
		return fmt.Sprintf("decimal(%d,%d)", n.Precision, n.Scale)
	case n.LogicalType != "":
		return n.LogicalType
	case n.Type == "array" && n.Items != nil:
		return "array of " + describe(n.Items)
	case n.Type == "map" && n.Values != nil:
		return "map of " + describe(n.Values)
	}
	if name := fullName(n); name != "" {
		return n.Type + " " + name
	}
	return n.Type
}

func nullable(n *avro.SchemaNode) bool {
	if n.Type == "null" {
		return true
	}
	for i := range n.Branches {
		if n.Branches[i].Type == "null" {
			return true
		}
	}
	return false
}

func fullName(n *avro.SchemaNode) string {
	switch n.Type {
	case "record", "error", "enum", "fixed":
	default:
		return ""
	}
	if n.Namespace == "" || strings.Contains(n.Name, ".") {
		return n.Name
	}
	return n.Namespace + "." + n.Name
}

// children gives the nodes below one.
func children(n *avro.SchemaNode) []*avro.SchemaNode {
	var out []*avro.SchemaNode
	for i := range n.Fields {
		out = append(out, &n.Fields[i].Type)
	}
	for i := range n.Branches {
		out = append(out, &n.Branches[i])
	}
	if n.Type == "array" && n.Items != nil {
		out = append(out, n.Items)
	}
	if n.Type == "map" && n.Values != nil {
		out = append(out, n.Values)
	}
	return out
}

// index notes the types that are described, by their full names.
func (s *Schema) index(n *avro.SchemaNode) {
	if name := fullName(n); name != "" {
		if s.named[name] != nil {
			return
		}
		s.named[name] = n
	}
	for _, c := range children(n) {
		s.index(c)
	}
}

// resolve finds the types that are named. A name without a dot is of the namespace around it, or of none.
func (s *Schema) resolve(n *avro.SchemaNode, namespace string) error {
	if !known[n.Type] {
		for _, name := range []string{namespace + "." + n.Type, n.Type} {
			if t := s.named[name]; t != nil && s.refs[n] == nil {
				s.refs[n] = t
			}
		}
		if s.refs[n] == nil {
			return fmt.Errorf("the type %s is nowhere described", n.Type)
		}
		return nil
	}
	if fullName(n) != "" {
		namespace = n.Namespace
	}
	for _, c := range children(n) {
		if err := s.resolve(c, namespace); err != nil {
			return err
		}
	}
	return nil
}

var known = map[string]bool{
	"null": true, "boolean": true, "int": true, "long": true, "float": true, "double": true, "bytes": true, "string": true,
	"record": true, "error": true, "enum": true, "fixed": true, "array": true, "map": true, "union": true,
}

// of is the node itself, or the type that it names.
func (s *Schema) of(n *avro.SchemaNode) *avro.SchemaNode {
	if known[n.Type] {
		return n
	}
	return s.refs[n]
}

// branch is how a value is marked as one of a union's.
func (s *Schema) branch(n *avro.SchemaNode) string {
	n = s.of(n)
	if name := fullName(n); name != "" {
		return name
	}
	return n.Type
}

// Error is why a value cannot be the other one, with its path.
type Error struct {
	Path string
	Err  error
}

func (e *Error) Error() string {
	if e.Path == "" {
		return e.Err.Error()
	}
	return e.Path + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// at puts a step before the path of an error.
func at(step string, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return &Error{step, err}
	}
	if e.Path == "" {
		return &Error{step, e.Err}
	}
	return &Error{step + "." + e.Path, e.Err}
}
