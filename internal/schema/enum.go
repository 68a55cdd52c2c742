package schema

import (
	"strconv"
	"strings"
	"sync"

	"github.com/xeipuuv/gojsonschema"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// The library compares enum and const by writing the value as JSON, reading it and writing it again, for every document.
// For a schema that allows only strings the same is said by a format of its own, which is one look into a table.

// enumPrefix marks the names of such formats; no schema file can name them.
const enumPrefix = "waybill:"

// choice is such a format.
type choice struct {
	allowed  map[string]struct{}
	ordered  []string
	constant bool
	format   gojsonschema.FormatChecker // the schema's own format, or nil
	name     string                     // of that
}

// IsFormat implements gojsonschema.FormatChecker.
func (c *choice) IsFormat(v any) bool {
	s, ok := v.(string)
	if !ok {
		return true
	}
	_, ok = c.allowed[s]
	return ok && (c.format == nil || c.format.IsFormat(v))
}

// choices are all there are, by name. Equal ones share a name, so that reloading a plan adds none.
var choices = struct {
	sync.RWMutex
	byKey  map[string]string
	byName map[string]*choice
}{byKey: map[string]string{}, byName: map[string]*choice{}}

// enumFormat gives the name of the format that stands for n's enum or const; "" when they must stay as they are.
func enumFormat(n *node) string {
	values := n.enum
	if n.constant.Kind() != jsondoc.Missing {
		if len(values) > 0 {
			return ""
		}
		values = []jsondoc.Value{n.constant}
	}
	if len(values) == 0 || len(n.types) != 1 || n.types[0] != "string" {
		return ""
	}
	c := &choice{allowed: make(map[string]struct{}, len(values)), constant: len(n.enum) == 0, format: formats[n.format], name: n.format}
	var key strings.Builder
	key.WriteString(n.format + strconv.FormatBool(c.constant))
	for _, v := range values {
		if v.Kind() != jsondoc.String {
			return ""
		}
		c.ordered = append(c.ordered, v.Str())
		c.allowed[v.Str()] = struct{}{}
		key.WriteString(strconv.Quote(v.Str()))
	}
	choices.Lock()
	defer choices.Unlock()
	if name, ok := choices.byKey[key.String()]; ok {
		return name
	}
	name := enumPrefix + strconv.Itoa(len(choices.byName))
	choices.byKey[key.String()] = name
	choices.byName[name] = c
	gojsonschema.FormatCheckers.Add(name, c)
	return name
}

// choiceOf is the choice of that format name; nil for an ordinary format.
func choiceOf(format string) *choice {
	if !strings.HasPrefix(format, enumPrefix) {
		return nil
	}
	choices.RLock()
	defer choices.RUnlock()
	return choices.byName[format]
}
