package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/configs"
	"github.com/waybill-hub/waybill/flows"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/manifest"
	"github.com/waybill-hub/waybill/internal/scaffold"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/mappings"
	"github.com/waybill-hub/waybill/schemas"
)

// system adds a system to the configuration: lines are put in, and nothing else of the file changes.
func (m *making) system(c *cobra.Command, args []string) error {
	name := args[0]
	if err := m.begin(c.Context(), name, false); err != nil {
		return err
	}
	vendors, err := manifestsOf(m.dir)
	if err != nil {
		return err
	}
	if all := slices.Concat(m.kinds.Names(), vendors.Names()); !slices.Contains(all, m.kind) {
		return usage("give --connector: %s%s", strings.Join(all, ", "), hint(m.kind, all))
	}
	if m.plan.Systems[name] != nil {
		return fmt.Errorf("the system %q is there already, at %s; nothing was written", name, m.plan.Systems[name].Pos)
	}
	if m.entity == "" {
		if m.entity = entityIn(filepath.Base(m.sample)); m.entity == "" {
			m.entity = "order"
		}
	}
	if !fileName.MatchString(m.entity) {
		return usage("--object: %q cannot be a name", m.entity)
	}
	old, err := os.ReadFile(m.paths.Config)
	if err != nil {
		return err
	}
	block := m.block(name)
	var files []scaffold.File
	if vendors.Has(m.kind) {
		if block, files, err = m.vendor(name, vendors); err != nil {
			return err
		}
	}
	text, ok := insert(old, block)
	if !ok {
		return fmt.Errorf("%s does not hold systems: with one system on each line, so that nothing was written; add this by hand:\n%s", m.paths.Config, block)
	}
	if err := absent(m.dir, files); err != nil {
		return err
	}
	if err := m.replace(text, block); err != nil {
		return err
	}
	if len(files) > 0 {
		if err := m.write(m.dir, files); err != nil {
			return fmt.Errorf("the system was added to %s, and its starter was not: %w", m.paths.Config, err)
		}
	}
	if m.output == "json" {
		if len(files) > 0 {
			return nil // what was written is said
		}
		return m.json(map[string]any{"changed": []string{m.paths.Config}})
	}
	fmt.Fprintf(m.out, "changed %s: the system %s was added\nnext: look at its TODO lines; waybill check; waybill check --connect\n", m.paths.Config, name)
	return nil
}

// vendor is a system as its manifest's example shows it, and the starter with its mappings, schemas and tests, where one is shipped.
func (m *making) vendor(name string, vendors *manifest.Set) ([]byte, []scaffold.File, error) {
	var p strictyaml.Problems
	v := vendors.Get(m.kind, strictyaml.OS(m.paths.Dir), &p)
	if v == nil {
		return nil, nil, p.Err()
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "  %s:\n    connector: %s\n", name, m.kind)
	b.Write(manifest.YAML(v.Example, 2))
	var files []scaffold.File
	for _, part := range []struct {
		from fs.FS
		in   string // below vendors
		to   string
	}{{flows.FS, m.kind + ".yaml", "flows/" + name + ".yaml"}, {flows.FS, m.kind + "_test.yaml", "flows/" + name + "_test.yaml"},
		{mappings.FS, m.kind, "mappings/" + name}, {schemas.FS, m.kind, "schemas/" + m.kind}} {
		top := path.Join(config.Vendors, part.in)
		err := fs.WalkDir(part.from, top, func(at string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a manifest of the project's own has no starter
			}
			if err != nil || d.IsDir() {
				return err
			}
			data, err := fs.ReadFile(part.from, at)
			if path.Ext(at) == ".yaml" {
				data = renamed(data, m.kind, name)
			}
			files = append(files, scaffold.File{Path: part.to + strings.TrimPrefix(at, top), Data: data})
			return err
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return b.Bytes(), files, nil
}

// renamed gives a starter for a system of another name than the vendor's, whose name the starters' systems have. Flows, mappings, value maps and schemas
// keep theirs.
func renamed(data []byte, vendor, name string) []byte {
	for _, form := range []string{"system: %s\n", "system: %s}", "system: %s,", `"%s"`, "{%s: "} {
		data = bytes.ReplaceAll(data, fmt.Appendf(nil, form, vendor), fmt.Appendf(nil, form, name))
	}
	return data
}

// replace puts a text in the configuration's place where the project still passes with it. The file keeps its mode, and a link leads to it still.
func (m *making) replace(text, block []byte) (err error) {
	file, err := filepath.EvalSymlinks(m.paths.Config)
	if err != nil {
		return err
	}
	old, err := os.Stat(file)
	if err != nil {
		return err
	}
	tmp := file + ".new"
	if err := put(tmp, text); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp) // only this call knows it
		}
	}()
	p := m.paths
	p.Config = tmp
	if plan, problems := m.load(p); plan == nil {
		return fmt.Errorf("the configuration would have problems, so that nothing was written:\n%s\nthis was to be added:\n%s", strings.ReplaceAll(problems.Err().Error(), tmp+":", m.paths.Config+":"), block)
	}
	if err := os.Chmod(tmp, old.Mode().Perm()); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}

var systemsLine = regexp.MustCompile(`(?m)^systems:[ \t]*(\{\})?[ \t]*(#.*)?$`)

// insert puts the block of a system behind the line systems:, or that line with it at the end.
func insert(text, block []byte) ([]byte, bool) {
	at := systemsLine.FindIndex(text)
	if at == nil {
		if regexp.MustCompile(`(?m)^systems:`).Match(text) {
			return nil, false
		}
		if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
			text = append(slices.Clip(text), '\n')
		}
		return append(append(slices.Clip(text), "systems:\n"...), block...), true
	}
	line := bytes.Replace(text[at[0]:at[1]], []byte("{}"), nil, 1)
	rest := text[at[1]:]
	if len(rest) > 0 {
		rest = rest[1:] // its line's end
	}
	if m := regexp.MustCompile(`(?m)\A(?:[ \t]*(?:#.*)?\n)*([ ]+)[^ #\n]`).FindSubmatch(rest); m != nil && string(m[1]) != "  " {
		block = bytes.ReplaceAll(append([]byte("\n"), block...), []byte("\n  "), append([]byte("\n"), m[1]...))[1:]
	}
	return slices.Concat(text[:at[0]], bytes.TrimRight(line, " "), []byte("\n"), block, rest), true
}

// block is a system as it is written below systems:, with what a sample says of its columns.
func (m *making) block(name string) []byte {
	var b bytes.Buffer
	variable := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	fmt.Fprintf(&b, "  %s:\n    connector: %s\n", name, m.kind)
	switch m.kind {
	case "rest":
		fmt.Fprintf(&b, "    url: \"${env:%s_URL}\"\n    # TODO: how the service knows the hub; auth: {bearer: …}, {basic: …} or {client-credentials: …} (docs/connectors.md)\n    objects:\n      %s:\n        path: /%ss          # TODO: paths, ids and paging as the service has them\n        id: %s\n", variable, m.entity, m.entity, m.idOf())
	case "sql":
		fmt.Fprintf(&b, "    driver: postgres\n    url: \"${env:%s_URL}\"\n    objects:\n      %s:\n        table: %ss          # TODO: the table or view, with its schema where needed\n        id: %s\n        columns:\n", variable, m.entity, m.entity, m.idColumn())
		m.columns(&b, map[string]string{"integer": "integer", "number": "decimal", "boolean": "boolean", "date": "date", "date-time": "timestamp", "object": "json", "array": "json"}, m.idColumn())
	case "soap":
		fmt.Fprintf(&b, "    url: \"${env:%s_URL}\"\n    # TODO: how the service knows the hub; auth: {basic: …} or username-token: {user: …, password: …}\n    namespaces: {s: urn:example:service}          # TODO: the namespace of the service's messages, as its WSDL says\n", variable)
		fmt.Fprintf(&b, "    objects:\n      %s:\n        id: %s\n        # TODO: names of the messages as the service has them; find, create and update as docs/soap.md shows them\n", m.entity, m.idOf())
		fmt.Fprintf(&b, "        get: {action: \"\", request: {s:Get: {s:id: \"{$id}\"}}, item: GetResponse.%s}\n        list: {action: \"\", request: {s:List: {s:page: \"{$page}\"}}, items: ListResponse.%s, paging: {style: page}}\n", m.entity, m.entity)
	case "odata":
		fmt.Fprintf(&b, "    url: \"${env:%s_URL}\"          # what all its services begin with\n    # TODO: how the service knows the hub; auth: {basic: …} or {client-credentials: …} (docs/odata.md)\n", variable)
		fmt.Fprintf(&b, "    objects:\n      %s:\n        set: %ss          # TODO: the entity set as $metadata names it, and service: … where url holds several; types and keys come from there\n", m.entity, m.entity)
	case "tryton":
		fmt.Fprintf(&b, "    url: \"${env:%[1]s_URL}\"\n    database: tryton          # TODO: its name\n    user: hub\n    password: \"${env:%[1]s_PASSWORD}\"\n", variable)
		fmt.Fprintf(&b, "    objects:\n      %s:\n        model: sale.sale          # TODO: the model, its fields, and lines and steps as docs/tryton.md shows them\n        fields: [id]\n", m.entity)
	case "kafka":
		fmt.Fprintf(&b, "    brokers: [\"${env:%s_BROKER}\"]          # host:port of one broker or more\n    # TODO: tls and sasl, as the cluster wants them; registry: {url: …} for Avro (docs/kafka-systems.md)\n    objects:\n      %s:\n        topic: %ss          # TODO: the topic, which the hub does not make\n", variable, m.entity, m.entity)
	case "sftp":
		fmt.Fprintf(&b, "    host: \"${env:%[1]s_HOST}\"\n    user: hub\n    key: \"${env:%[1]s_KEY}\"          # or password: …\n    host-keys: [\"${env:%[1]s_HOST_KEY}\"]          # SHA256:…, as the partner tells it (docs/files.md)\n    objects:\n      %[2]s:\n        ", variable, m.entity)
		m.drop(&b)
	case "s3":
		fmt.Fprintf(&b, "    endpoint: \"${env:%[1]s_ENDPOINT}\"\n    bucket: exchange          # TODO: the bucket, which the hub does not make, and region: …\n    access-key: \"${env:%[1]s_ACCESS_KEY}\"\n    secret-key: \"${env:%[1]s_SECRET_KEY}\"\n    objects:\n      %[2]s:\n        ", variable, m.entity)
		m.drop(&b)
	case "mail":
		fmt.Fprintf(&b, "    host: \"${env:%[1]s_HOST}\"\n    user: hub\n    password: \"${env:%[1]s_PASSWORD}\"\n    from: \"${env:%[1]s_FROM}\"\n    objects:\n      %[2]s:\n        to: [\"{email}\"]          # TODO: the field that holds the address\n        subject: \"%[2]s\"\n        text: \"See the file.\"\n        format: jsonl          # TODO: what is attached; xlsx and csv list their columns (docs/files.md)\n", variable, m.entity)
	case "file":
		fmt.Fprintf(&b, "    path: ../%s          # the folder, from this file's directory\n    objects:\n      %s:\n        ", name, m.entity)
		m.drop(&b)
	}
	return b.Bytes()
}

// drop says what the files of a drop are like, as far as the sample shows it.
func (m *making) drop(b *bytes.Buffer) {
	switch {
	case m.root == nil:
		b.WriteString("pattern: \"*.csv\"\n")
	case m.delimiter == "":
		b.WriteString("pattern: \"*.jsonl\"\n        format: jsonl          # one object a line\n")
	default:
		b.WriteString("pattern: \"*.csv\"\n        csv:\n")
		if m.delimiter != "," {
			fmt.Fprintf(b, "          delimiter: %q\n", m.delimiter)
		}
		b.WriteString("          columns:\n")
		m.columns(b, nil, "")
	}
}

func (m *making) idOf() string {
	if m.root != nil {
		if f := scaffold.Key(m.root, m.entity); f != nil {
			return oneColumn(f.Name)
		}
	}
	return "id"
}

// idColumn is idOf for a table, where it must be the name of a column.
func (m *making) idColumn() string {
	if id := m.idOf(); bareColumn.MatchString(id) {
		return id
	}
	return "id"
}

func (m *making) columns(b *bytes.Buffer, types map[string]string, id string) {
	seen := false
	if m.root != nil {
		for _, f := range m.root.Fields {
			typ := types[f.Format]
			if typ == "" {
				for _, t := range f.Types {
					if typ == "" {
						typ = types[t]
					}
				}
			}
			if typ == "" {
				typ = "text"
			}
			if types != nil && !bareColumn.MatchString(f.Name) {
				fmt.Fprintf(b, "          # TODO: %q is no name of a column: which one holds it?\n", f.Name)
				continue
			}
			seen = seen || oneColumn(f.Name) == id
			fmt.Fprintf(b, "          %s%s: %s\n", pad(types == nil), oneColumn(f.Name), typ)
		}
	}
	if id != "" && !seen {
		fmt.Fprintf(b, "          %s: text\n", id)
	}
}

func pad(deeper bool) string {
	if deeper {
		return "  "
	}
	return ""
}

var bareColumn = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func oneColumn(name string) string {
	if bareColumn.MatchString(name) {
		return name
	}
	return fmt.Sprintf("%q", name)
}

func (e *env) initCommand() *cobra.Command {
	return &cobra.Command{Use: "init [DIR]", Short: "Make a project: the flows, mappings and schemas of the demo, for its sandbox systems; no file is written over",
		Args: cobra.MaximumNArgs(1), RunE: do(func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			if _, ok := projectAt(dir); ok {
				return fmt.Errorf("%s holds a project already (configs/*.yaml); nothing was written", dir)
			}
			var files []scaffold.File
			for _, part := range []struct {
				name string
				fs   fs.FS
			}{{"configs", configs.FS}, {"flows", flows.FS}, {"mappings", mappings.FS}, {"schemas", schemas.FS}} {
				err := fs.WalkDir(part.fs, ".", func(p string, d fs.DirEntry, err error) error {
					switch {
					case d != nil && d.IsDir() && p == config.Vendors:
						return fs.SkipDir // starters, for whoever has such a system: waybill new system writes them
					case err == nil && d.IsDir() && part.name == "mappings" && p == "edi":
						return fs.SkipDir // every project has them without holding them
					case err != nil || d.IsDir() || filepath.Ext(p) == ".go":
						return err
					}
					data, err := fs.ReadFile(part.fs, p)
					files = append(files, scaffold.File{Path: part.name + "/" + p, Data: data})
					return err
				})
				if err != nil {
					return err
				}
			}
			if err := e.write(dir, files); err != nil || e.output == "json" {
				return err
			}
			fmt.Fprint(e.out, nextSteps(dir))
			return nil
		})}
}

func nextSteps(dir string) string {
	cd := ""
	if dir != "." {
		cd = "  cd " + dir + "\n"
	}
	return "next:\n" + cd + `  waybill check && waybill test
  waybill sandbox all                              # three systems to play with; in another terminal:
  eval "$(waybill sandbox env)"
  waybill check --connect && waybill run
`
}
