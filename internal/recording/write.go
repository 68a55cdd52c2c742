package recording

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/manifest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// longestAnswer is the size from which an answer gets a file of its own.
const longestAnswer = 4 << 10

// File is a file to write.
type File struct {
	Name string
	Data []byte
}

// Write gives the recording as it stands in its file, and the files of long answers beside it.
func (r *Recording) Write() []File {
	w := &writer{}
	w.text(0, "recording", r.Name)
	w.text(0, "manifest", r.Manifest)
	w.line(0, "on: "+r.On)
	w.text(0, "made", r.Made)
	if r.System.Kind() != strictyaml.Missing {
		w.line(0, "system:")
		w.Buffer.Write(manifest.YAML(r.System, 1))
	}
	w.line(0, "steps:")
	var files []File
	for _, s := range r.Steps {
		w.text(1, "- name", s.Name)
		w.does(s)
		if len(s.Exchanges) > 0 {
			w.line(2, "exchanges:")
		}
		for _, e := range s.Exchanges {
			if text := compact(e.Answer); len(text) > longestAnswer {
				sum := sha256.Sum256([]byte(text)) // of what several recordings have, there is one
				e.AnswerFile = fmt.Sprintf("answer-%x.txt", sum[:5])
				files = append(files, File{path.Join(path.Dir(r.file), e.AnswerFile), []byte(text)})
			}
			w.exchange(e)
		}
		w.want(&s.Want)
	}
	return append([]File{{r.file, w.Bytes()}}, files...)
}

type writer struct{ bytes.Buffer }

func (w *writer) line(depth int, text string) {
	w.WriteString(strings.Repeat("  ", depth) + text + "\n")
}

// text writes a text in quotes, if there is one.
func (w *writer) text(depth int, key, text string) {
	if text != "" {
		w.line(depth, key+": "+string(jsondoc.AppendString(nil, literal(text))))
	}
}

// literal is a text in which ${ is no reference.
func literal(text string) string { return strings.ReplaceAll(text, "${", "$${") }

// block writes a longer text on lines of its own, if there is one; JSON with a line for each value.
func (w *writer) block(depth int, key, text string) {
	if text == "" {
		return
	}
	if isJSON(text) {
		text = laidOut([]byte(strings.TrimSpace(text)))
	}
	text = lines(text)
	if text == "" || strings.HasPrefix(text, " ") || strings.HasPrefix(text, "\n") {
		w.text(depth, key, text)
		return
	}
	w.line(depth, key+": |")
	for _, l := range strings.Split(literal(text), "\n") {
		if l == "" {
			w.line(0, "")
			continue
		}
		w.line(depth+1, l)
	}
}

// compact is JSON without blanks, and any other text as it is.
func compact(text string) string {
	var b bytes.Buffer
	if !isJSON(text) || json.Compact(&b, []byte(strings.TrimSpace(text))) != nil {
		return text
	}
	return b.String() + "\n"
}

// width is the length up to which JSON stays on a line.
const width = 150

// laidOut gives JSON on one line where it is short, and else with a line for each value.
func laidOut(text []byte) string {
	var short, long bytes.Buffer
	if json.Compact(&short, text) != nil || json.Indent(&long, text, "", "  ") != nil {
		return string(text)
	}
	if short.Len() <= width {
		return short.String()
	}
	return long.String()
}

func isJSON(text string) bool {
	_, err := jsondoc.Parse([]byte(text), jsondoc.Limits{})
	return err == nil
}

func (w *writer) texts(depth int, key string, m map[string]string) {
	if len(m) == 0 {
		return
	}
	w.line(depth, key+":")
	for _, name := range slices.Sorted(maps.Keys(m)) {
		w.text(depth+1, string(jsondoc.AppendString(nil, name)), m[name])
	}
}

func (w *writer) does(s *Step) {
	verb, object := s.does()
	if verb == "probe" {
		w.line(2, "probe: {}")
		return
	}
	w.line(2, verb+":")
	w.line(3, "object: "+object)
	for _, x := range []*writeStep{s.Create, s.Update, s.Delete} {
		if x != nil {
			w.text(3, "external", x.External)
			w.text(3, "local", x.Local)
			w.text(3, "etag", x.ETag)
			w.block(3, "doc", x.Doc)
		}
	}
	if f := s.Find; f != nil {
		w.text(3, "local", f.Local)
		w.text(3, "external", f.External)
		w.texts(3, "natural", f.Natural)
	}
	if s.Receive != nil {
		w.block(3, "body", s.Receive.Body)
	}
	if p := s.Poll; p != nil {
		if p.Limit > 0 {
			w.line(3, fmt.Sprintf("limit: %d", p.Limit))
		}
		if p.Overlap > 0 {
			w.line(3, "overlap: "+strictyaml.FormatDuration(p.Overlap))
		}
	}
}

func (w *writer) exchange(e *Exchange) {
	w.text(3, "- ask", e.Ask)
	if e.Times > 1 {
		w.line(4, fmt.Sprintf("times: %d", e.Times))
	}
	w.texts(4, "headers", e.Headers)
	if len(e.Proof) > 0 {
		w.line(4, "proof:")
		for _, p := range e.Proof {
			w.line(5, "- "+string(jsondoc.AppendString(nil, p)))
		}
	}
	w.block(4, "body", e.Body)
	if e.Status != 200 {
		w.line(4, fmt.Sprintf("status: %d", e.Status))
	}
	w.texts(4, "answer-headers", e.AnswerHeaders)
	if e.AnswerFile != "" {
		w.text(4, "answer-file", e.AnswerFile)
	} else {
		w.block(4, "answer", e.Answer)
	}
	w.text(4, "source", e.Source)
}

func (w *writer) want(x *want) {
	w.line(2, "want:")
	w.text(3, "local", x.Local)
	w.block(3, "doc", x.Doc)
	if x.More {
		w.line(3, "more: true")
	}
	if len(x.Records) > 0 {
		w.line(3, "records:")
	}
	for _, r := range x.Records {
		w.text(4, "- local", r.Local)
		w.text(5, "version", r.Version)
		if r.Deleted {
			w.line(5, "deleted: true")
		}
		w.text(5, "unreadable", r.Unreadable)
		w.block(5, "doc", r.Doc)
	}
	if f := x.Fault; f != nil {
		w.line(3, "fault:")
		w.text(4, "kind", f.Kind)
		w.text(4, "code", f.Code)
		w.text(4, "text", f.Text)
	}
	if x.Local == "" && x.Doc == "" && !x.More && len(x.Records) == 0 && x.Fault == nil {
		w.Truncate(w.Len() - len("    want:\n"))
		w.line(2, "want: {}")
	}
}
