package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/flowtest"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/scaffold"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/schemas"
)

// making is one run of `waybill new`.
type making struct {
	*env
	dir, sample, entity, from, to, key, kind string

	paths config.Paths
	kinds *connector.Registry
	plan  *config.Plan
	docs  []*jsondoc.Doc
	root  *scaffold.Field
	// keyed is the field that names the business object, and keyExpr reads it.
	keyed   *scaffold.Field
	keyExpr string
	// delimiter of a sample that is CSV; empty for JSON.
	delimiter string
}

var fileName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,79}$`)

func (e *env) newCommand() *cobra.Command {
	m := making{env: e}
	root := &cobra.Command{Use: "new", Short: "Make a flow, a mapping or a system, from a sample document", Args: noSuchCommand,
		Long: `Make a flow, a mapping or a system, from a sample document: a JSON object or a list of them, JSON line by line, or CSV with a header.

A schema is inferred, a mapping to the entity's common schema is suggested by the names of the fields, and the sample becomes a test. What is not
sure is written as a TODO comment, never as a rule. No file is written over.`,
		RunE: func(c *cobra.Command, _ []string) error { _ = c.Help(); return &exitError{exitUsage, nil} }}
	root.PersistentFlags().StringVarP(&m.dir, "dir", "C", ".", "the project's directory")
	root.PersistentFlags().StringVar(&m.sample, "sample", "", "a file with sample documents; - reads standard input")
	flow := &cobra.Command{Use: "flow NAME --sample FILE", Short: "Make a flow from a system to a topic, with its schema, mapping and test", Args: needs("a NAME"), RunE: do(m.flow)}
	mapping := &cobra.Command{Use: "mapping NAME --sample FILE --entity ENTITY", Short: "Make a mapping to an entity's common schema, with the sample's schema and a test", Args: needs("a NAME"), RunE: do(m.mapping)}
	system := &cobra.Command{Use: "system NAME --connector KIND", Short: "Add a system to the configuration; a sample gives a table or a file its columns, and a vendor's name a starter with flows and mappings", Args: needs("a NAME"), RunE: do(m.system)}
	for _, c := range []*cobra.Command{flow, mapping} {
		c.Flags().StringVar(&m.entity, "entity", "", "the kind of business object; default: found in NAME")
		c.Flags().StringVar(&m.key, "key", "", "the field that names the business object, with dots where it lies deeper (order.id); default: the one that looks so")
	}
	flow.Flags().StringVar(&m.from, "from", "", "the system that the documents come from; default: the only one")
	flow.Flags().StringVar(&m.to, "to", "", "the topic; default: canonical.ENTITY, or draft.NAME while the mapping is not complete")
	system.Flags().StringVar(&m.kind, "connector", "", "a kind such as rest, odata or sftp, or a vendor such as shopify; 'waybill connector list' shows them all")
	system.Flags().StringVar(&m.entity, "object", "", "the name of its object type; default: the entity in the sample's file name, else order")
	root.AddCommand(flow, mapping, system)
	return root
}

// begin loads the project and reads the sample.
func (m *making) begin(ctx context.Context, name string, sample bool) (err error) {
	if !fileName.MatchString(name) {
		return usage("%q cannot be a name: use at most 80 small letters, digits and hyphens", name)
	}
	p, ok := projectAt(m.dir)
	if !ok {
		return usage("%s holds no configs/*.yaml: give the directory of a project with --dir; waybill init makes one", m.dir)
	}
	m.paths = p
	if m.kinds, err = registry(); err != nil {
		return err
	}
	var problems *strictyaml.Problems
	if m.plan, problems = m.load(m.paths); m.plan == nil {
		fmt.Fprint(m.err, config.FormatText(problems))
		return errors.New("the project has problems: mend them first; nothing was written")
	}
	if m.sample == "" {
		if sample {
			return usage("give --sample: a file with a document as it comes: JSON, JSON line by line, or CSV")
		}
		return nil
	}
	data, err := readInput(ctx, m.sample, os.Stdin, scaffold.MaxSample)
	if err != nil {
		return usage("--sample: %w", err)
	}
	if m.docs, err = scaffold.ParseSample(m.sample, data); err != nil {
		return fmt.Errorf("--sample %s: %w", m.sample, err)
	}
	m.root = scaffold.Infer(m.docs)
	m.delimiter, _ = scaffold.Delimiter(m.sample, data)
	return nil
}

func (m *making) load(p config.Paths) (*config.Plan, *strictyaml.Problems) {
	return config.Load(p, planOptions(m.kinds, unset{strictyaml.OS(p.Dir), map[string]bool{}}, nil))
}

// about finds out what the sample is: the entity and the key.
func (m *making) about(name string) error {
	if err := scaffold.Testable(m.docs); err != nil {
		return fmt.Errorf("--sample %s: %w", m.sample, err)
	}
	if m.entity == "" {
		if m.entity = entityIn(name); m.entity == "" {
			return usage("give --entity: the kind of business object; the common ones are %s", strings.Join(config.Entities, ", "))
		}
	}
	if m.key == "" {
		if m.keyed = scaffold.Key(m.root, m.entity); m.keyed == nil {
			return usage("no field of the sample looks like the number or id of the %s: give --key; %s", m.entity, canBeKey(m.root))
		}
		m.keyExpr = scaffold.Path("source", m.keyed.Name)
		return nil
	}
	if m.keyed, m.keyExpr = m.root.At(m.key); m.keyed == nil {
		return usage("--key %q: this is no field that every document has as a text or a number; %s", m.key, canBeKey(m.root))
	}
	return nil
}

// entityIn gives the common entity that one of a name's words is, in the singular or the plural; empty: none.
func entityIn(name string) (entity string) {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) })
	for _, e := range config.Entities {
		if slices.ContainsFunc(words, func(w string) bool { return w == e || w == e+"s" || w == strings.TrimSuffix(e, "y")+"ies" }) {
			entity = e
		}
	}
	return entity
}

// canBeKey names what --key takes.
func canBeKey(root *scaffold.Field) string {
	var names []string
	for _, k := range root.Keys() {
		names = append(names, fmt.Sprintf("%q", k.Name))
	}
	if names == nil {
		return "no field of the sample is a text or a number in every document"
	}
	return "these are: " + strings.Join(names, ", ")
}

// maps gives the files of a mapping: to the common schema where everything that it requires is sure, else a draft.
func (m *making) maps(ctx context.Context, name string, rest func(source string, draft bool) []scaffold.File) ([]scaffold.File, error) {
	target := "canonical/" + m.entity + ".v1"
	common, shape, err := m.common(target)
	if err != nil {
		return nil, err
	}
	sm := scaffold.Mapping{Name: name, Entity: m.entity, Root: m.root, Key: m.keyed, KeyExpr: m.keyExpr, Target: shape, TargetName: target}
	text, err := scaffold.Schema(m.root, "A "+m.entity+", as a sample shows it", m.docs)
	if err != nil {
		return nil, err
	}
	files := func(draft bool) []scaffold.File {
		return append([]scaffold.File{{Path: "schemas/" + sm.SourceName() + ".json", Data: text}}, rest(sm.SourceName(), draft)...)
	}
	if len(shape.Fields()) > 0 {
		full := append(slices.Concat(files(false), common), sm.Full())
		done, _, err := m.try(ctx, full)
		if done != nil || err != nil && !errors.Is(err, errOwnTest) { // the common schema may refuse values whose names and types fit
			return done, err
		}
	}
	draft, err := sm.Draft()
	if err != nil {
		return nil, err
	}
	done, problems, err := m.try(ctx, append(files(true), draft...))
	if err == nil && done == nil {
		err = fmt.Errorf("what was made of the sample does not pass the check; nothing was written:\n%s", config.FormatText(problems))
	}
	return done, err
}

// common is the project's schema of the entity, or else the shipped one with the files that it is made of.
func (m *making) common(name string) ([]scaffold.File, schema.Shape, error) {
	if s := m.plan.Schemas.Get(name); s != nil {
		return nil, s.Shape(), nil
	}
	var files []scaffold.File
	var all []schema.File
	for _, n := range []string{name, "canonical/common.v1"} {
		data, err := fs.ReadFile(schemas.FS, n+".json")
		if err != nil {
			return nil, schema.Shape{}, nil // an entity of the project's own, which has no common schema yet
		}
		all = append(all, schema.File{Name: n, Path: n + ".json", Data: data})
		if m.plan.Schemas.Get(n) == nil {
			files = append(files, scaffold.File{Path: "schemas/" + n + ".json", Data: data})
		}
	}
	var p strictyaml.Problems
	set := schema.Compile(all, &p)
	return files, set.Get(name).Shape(), p.Err()
}

// try checks the project together with files that are not written yet, and runs their tests, whose want is filled in; nil: they have problems.
func (m *making) try(ctx context.Context, files []scaffold.File) ([]scaffold.File, *strictyaml.Problems, error) {
	if err := absent(m.dir, files); err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "waybill-new-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a leftover below the temporary directory harms nobody
	for _, f := range files {
		if err := put(filepath.Join(dir, f.Path), f.Data); err != nil {
			return nil, nil, err
		}
	}
	p := m.paths
	sub := func(name string) config.Source {
		return config.Source{Name: name, FS: os.DirFS(filepath.Join(dir, name))}
	}
	p.Flows, p.Mappings, p.Schemas = append(slices.Clip(p.Flows), sub("flows")), append(slices.Clip(p.Mappings), sub("mappings")), append(slices.Clip(p.Schemas), sub("schemas"))
	plan, problems := m.load(p)
	if plan == nil {
		return nil, problems, nil
	}
	out := slices.Clone(files)
	for i, f := range out {
		name := filepath.Join(dir, f.Path)
		if !flowtest.IsTest(name) {
			continue
		}
		t, err := flowtest.Open(name)
		if err != nil {
			return nil, nil, err
		}
		rep, err := flowtest.Run(ctx, plan, []flowtest.File{t}, flowtest.Options{Update: true})
		if err != nil {
			return nil, nil, err
		}
		if !rep.OK() {
			var why strings.Builder
			for i := range rep.Results {
				why.WriteString(flowtest.FormatResult(&rep.Results[i]))
			}
			return nil, nil, fmt.Errorf("%w; nothing was written:\n%s%s", errOwnTest, why.String(), flowtest.FormatEnd(rep))
		}
		if out[i].Data, err = os.ReadFile(name); err != nil {
			return nil, nil, err
		}
	}
	return out, problems, nil
}

var errOwnTest = errors.New("the sample's own test fails")

func put(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// absent complains of a file that would be written over.
func absent(dir string, files []scaffold.File) error {
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(dir, f.Path)); err == nil {
			return fmt.Errorf("%s is there already; nothing was written: choose another name, or move it away", filepath.Join(dir, f.Path))
		}
	}
	return nil
}

// write writes all of the files or none, and lists them. Nothing is written over.
func (e *env) write(dir string, files []scaffold.File) error {
	if err := absent(dir, files); err != nil {
		return err
	}
	for i, f := range files {
		if err := put(filepath.Join(dir, f.Path), f.Data); err != nil {
			for _, done := range files[:i] {
				err = errors.Join(err, os.Remove(filepath.Join(dir, done.Path)))
			}
			return fmt.Errorf("nothing was written: %w", err)
		}
	}
	if e.output == "json" {
		names := []string{}
		for _, f := range files {
			names = append(names, filepath.Join(dir, f.Path))
		}
		return e.json(map[string]any{"written": names})
	}
	for _, f := range files {
		fmt.Fprintln(e.out, "wrote "+filepath.Join(dir, f.Path))
	}
	return nil
}

// onlyObject is the object type to name in a flow: the only one that the system's settings hold, where it is not called like the entity.
func onlyObject(s *config.System, entity string) string {
	objects := s.Settings.Node.Get("objects")
	if objects.Kind() != strictyaml.Map || objects.Has(entity) || len(objects.Fields()) != 1 {
		return ""
	}
	return objects.Fields()[0].Key
}

func (m *making) flow(c *cobra.Command, args []string) error {
	name := args[0]
	if err := m.begin(c.Context(), name, true); err != nil {
		return err
	}
	if err := m.about(name); err != nil {
		return err
	}
	systems := sortedNames(m.plan.Systems)
	if m.from == "" && len(systems) == 1 {
		m.from = systems[0]
	}
	s := m.plan.Systems[m.from]
	if s == nil {
		return usage("give --from: a system of the configuration (%s); waybill new system adds one", strings.Join(systems, ", "))
	}
	kind, _ := m.kinds.Get(s.Kind)
	f := scaffold.Flow{Name: name, Entity: m.entity, System: m.from, Topic: m.to, Map: name, Key: m.keyExpr, From: "webhook"}
	if can := kind.Spec().Can; can.Files {
		f.From = "files"
	} else if can.Poll {
		f.From = "poll"
	}
	f.Object = onlyObject(s, m.entity)
	files, err := m.maps(c.Context(), name, func(source string, draft bool) []scaffold.File {
		f.Accept = source
		if m.to == "" {
			// The readers of the common topic count on the common schema.
			f.Topic = map[bool]string{true: "draft." + name, false: "canonical." + m.entity}[draft]
		}
		return []scaffold.File{f.File(), scaffold.Test("test", name, m.docs)}
	})
	if err != nil {
		return err
	}
	if err := m.write(m.dir, files); err != nil || m.output == "json" {
		return err
	}
	fmt.Fprintln(m.out, "next: look at the TODO lines; waybill check; waybill test")
	if f.From == "webhook" {
		fmt.Fprintf(m.out, "the sender's secret is read from the environment: %s\n", f.SecretName())
	}
	return nil
}

func (m *making) mapping(c *cobra.Command, args []string) error {
	name := args[0]
	if err := m.begin(c.Context(), name, true); err != nil {
		return err
	}
	if err := m.about(name); err != nil {
		return err
	}
	files, err := m.maps(c.Context(), name, func(string, bool) []scaffold.File { return []scaffold.File{scaffold.Test("mapping", name, m.docs)} })
	if err != nil {
		return err
	}
	return m.write(m.dir, files)
}

func sortedNames(systems map[string]*config.System) []string {
	var out []string
	for name := range systems {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
