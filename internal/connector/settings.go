package connector

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Common is embedded, with `yaml:",inline"`, in every kind's settings: the keys below systems.<name> that the hub itself
// reads.
type Common struct {
	Kind         string        `yaml:"connector" doc:"-"`
	VisibleAfter time.Duration `yaml:"visible-after" doc:"-"`
}

// Decode reads the settings strictly into the struct that into points to, and reports whether it did so without a
// problem. A struct's tags say everything about a setting:
//
//	yaml:"name,required"   its key
//	doc:"…"                its sentence in the documentation ("-" leaves the setting out)
//	default:"30s"          the value where the file gives none
//	enum:"a,b"             the only values
//	type:"map" elem:"…"    what a type that reads itself looks like in the file
//
// Fields gives the same as documentation, so that neither can differ from the other.
func (s Settings) Decode(into any, p *strictyaml.Problems) bool {
	before := p.Len()
	s.Node.Decode(into, p)
	fill(reflect.ValueOf(into).Elem(), s.Node, p)
	return p.Len() == before
}

// Path resolves a relative path against Dir.
func (s Settings) Path(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(s.Dir, path)
}

// Positive adds a problem for a duration that is 0. One that is no duration has its problem already.
func Positive(n strictyaml.Node, p *strictyaml.Problems) {
	if d, err := strictyaml.ParseDuration(n.Text()); err == nil && d == 0 {
		p.Add(n.Pos(), "%s: it must be above 0", n.Key())
	}
}

var (
	secretType   = reflect.TypeFor[strictyaml.Secret]()
	sizeType     = reflect.TypeFor[strictyaml.Size]()
	rateType     = reflect.TypeFor[strictyaml.Rate]()
	nodeType     = reflect.TypeFor[strictyaml.Node]()
	durationType = reflect.TypeFor[time.Duration]()
)

// leaf reports whether a struct type is a single value in the file.
func leaf(t reflect.Type) bool { return t == secretType || t == rateType || t == nodeType }

// fill sets defaults where nothing stands and checks enumerations, all the way down.
func fill(v reflect.Value, n strictyaml.Node, p *strictyaml.Problems) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			fill(v.Elem(), n, p)
		}
	case reflect.Slice:
		items := n.Items()
		for i := range v.Len() {
			if i < len(items) {
				fill(v.Index(i), items[i], p)
			}
		}
	case reflect.Map:
		for _, f := range n.Fields() {
			key := reflect.ValueOf(f.Key).Convert(v.Type().Key())
			old := v.MapIndex(key)
			if !old.IsValid() {
				continue
			}
			// Values of a map cannot be changed in place.
			tmp := reflect.New(old.Type()).Elem()
			tmp.Set(old)
			fill(tmp, f.Value, p)
			v.SetMapIndex(key, tmp)
		}
	case reflect.Struct:
		if !leaf(v.Type()) {
			fillStruct(v, n, p)
		}
	}
}

func fillStruct(v reflect.Value, n strictyaml.Node, p *strictyaml.Problems) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		tag, ok := f.Tag.Lookup("yaml")
		if !ok || tag == "-" {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if options == "inline" {
			fill(v.Field(i), n, p)
			continue
		}
		at := n.Get(name)
		if def := f.Tag.Get("default"); def != "" && at.Kind() == strictyaml.Missing {
			if err := setText(v.Field(i), def); err != nil {
				panic(fmt.Sprintf("connector: %s.%s: default %q: %v", v.Type(), f.Name, def, err))
			}
			continue
		}
		if enum := f.Tag.Get("enum"); enum != "" && at.Kind() == strictyaml.Scalar {
			checkEnum(v.Field(i).String(), strings.Split(enum, ","), at, p)
		}
		fill(v.Field(i), at, p)
	}
}

func checkEnum(got string, values []string, at strictyaml.Node, p *strictyaml.Problems) {
	if slices.Contains(values, got) {
		return
	}
	p.AddHint(at.Pos(), strictyaml.DidYouMean(got, values), "%s: %q is none of its values", at.Key(), shorten(got))
}

// setText sets a value from the text of a default.
func setText(v reflect.Value, text string) error {
	switch v.Type() {
	case durationType:
		d, err := strictyaml.ParseDuration(text)
		v.SetInt(int64(d))
		return err
	case sizeType:
		s, err := strictyaml.ParseSize(text)
		v.SetInt(int64(s))
		return err
	case rateType:
		r, err := strictyaml.ParseRate(text)
		v.Set(reflect.ValueOf(r))
		return err
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return err
		}
		v.SetInt(i)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return err
		}
		v.SetBool(b)
	case reflect.Slice:
		v.Set(reflect.ValueOf(strings.Split(text, ",")))
	default:
		return fmt.Errorf("a default of type %s", v.Type())
	}
	return nil
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:77]) + "..."
	}
	return s
}
