// Package recording holds contracts with outside systems: what was asked of one, what it answered, and what the hub's connector made of that. A recording is
// played back without the system, through the real connector, by an HTTP server that answers to nothing but what was recorded. docs/manifests.md is the
// format's reference.
package recording

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Recording is a recording as it is written.
type Recording struct {
	Name     string          `yaml:"recording,required" doc:"its name"`
	Manifest string          `yaml:"manifest,required" doc:"the manifest that it is a contract of"`
	On       string          `yaml:"on,required" enum:"product,runtime,stand-in" doc:"what it was recorded on"`
	Made     string          `yaml:"made,required" doc:"when, and of what; of a stand-in, which documents its answers are made of"`
	System   strictyaml.Node `yaml:"system" type:"map" doc:"the system, as in the configuration, without connector; default: the manifest's example"`
	Steps    []*Step         `yaml:"steps,required" doc:"what the connector is asked to do, one after the other"`

	file string
	dir  fs.FS // of answer-file
}

// Step is one call of the connector.
type Step struct {
	Name   string     `yaml:"name,required" doc:"names the step; @NAME is the id of the object that it has made or found first, in later steps"`
	Create *writeStep `yaml:"create" doc:"make an object"`
	Update *writeStep `yaml:"update" doc:"change one"`
	Delete *writeStep `yaml:"delete" doc:"delete one"`
	Find   *findStep  `yaml:"find" doc:"look one up"`
	Poll   *pollStep  `yaml:"poll" doc:"one page of changes, from where the last poll of the object ended"`
	List   *listStep  `yaml:"list" doc:"everything"`
	Probe  *probeStep `yaml:"probe" doc:"ask whether the system is well"`

	Receive *receiveStep `yaml:"receive" doc:"take what the system sends to a webhook of XML, as the manifest's webhook.xml reads it; the deliveries' ids are those that one sent twice is known by"`

	Exchanges []*Exchange `yaml:"exchanges" doc:"what went over the line"`
	Want      want        `yaml:"want" doc:"what the connector made of it"`
}

type writeStep struct {
	Object   string `yaml:"object,required" doc:"the object type"`
	External string `yaml:"external" doc:"the hub's external id, a UUID"`
	Local    string `yaml:"local" doc:"the object's id there, or @STEP"`
	ETag     string `yaml:"etag" doc:"the concurrency token that the write is guarded by: @STEP, the one that the step has read first"`
	Doc      string `yaml:"doc" doc:"the document, as JSON; \"@STEP\" in it is an id as a text, \"@STEP#\" as a number"`
}

type findStep struct {
	Object   string            `yaml:"object,required" doc:"the object type"`
	Local    string            `yaml:"local" doc:"by its id there, or @STEP"`
	External string            `yaml:"external" doc:"by the hub's external id"`
	Natural  map[string]string `yaml:"natural" doc:"by fields"`
}

type pollStep struct {
	Object  string        `yaml:"object,required" doc:"the object type"`
	Limit   int           `yaml:"limit" doc:"records of a page; default: the source's own"`
	Overlap time.Duration `yaml:"overlap" doc:"how far to look back"`
}

type listStep struct {
	Object string `yaml:"object,required" doc:"the object type"`
}

type probeStep struct{}

type receiveStep struct {
	Object string `yaml:"object,required" doc:"the object type that it is about"`
	Body   string `yaml:"body,required" doc:"what is sent"`
}

// Exchange is one request and its answer.
type Exchange struct {
	Ask           string            `yaml:"ask,required" doc:"method and address, without the host: GET /v1/orders?limit=2; of a database SQL and a statement, with its parameters as the body, a list, and an answer of {columns, rows}, {affected}, {out} or {error}"`
	Headers       map[string]string `yaml:"headers" doc:"headers of the request that matter: preconditions, preferences, the type of a body that is no JSON"`
	Proof         []string          `yaml:"proof" doc:"headers by which the hub proves itself, without what they say; Authorization with its scheme"`
	Body          string            `yaml:"body" doc:"what is sent"`
	Times         int               `yaml:"times" default:"1" doc:"how often it is asked in this step"`
	Status        int               `yaml:"status" default:"200" doc:"the answer's status"`
	AnswerHeaders map[string]string `yaml:"answer-headers" doc:"the answer's headers; Content-Type is application/json where nothing is said"`
	Answer        string            `yaml:"answer" doc:"what is answered"`
	AnswerFile    string            `yaml:"answer-file" doc:"or the file that holds it, beside the recording"`
	Source        string            `yaml:"source" doc:"where a stand-in's answer comes from"`

	left int
}

type want struct {
	Local   string   `yaml:"local" doc:"the id of what was made"`
	Doc     string   `yaml:"doc" doc:"the document that came back, as JSON"`
	Records []record `yaml:"records" doc:"what was read"`
	More    bool     `yaml:"more" doc:"there is more to poll"`
	Fault   *failure `yaml:"fault" doc:"or how it failed"`
}

type record struct {
	Local      string `yaml:"local" doc:"the object's id there"`
	Version    string `yaml:"version" doc:"its version"`
	Deleted    bool   `yaml:"deleted" doc:"it is deleted"`
	Unreadable string `yaml:"unreadable" doc:"why it cannot be read"`
	Doc        string `yaml:"doc" doc:"the document, as JSON"`
}

type failure struct {
	Kind string `yaml:"kind,required" doc:"the class of the failure"`
	Code string `yaml:"code" doc:"the system's own code, or the status"`
	Text string `yaml:"text" doc:"what it says"`
}

// Fields describes the keys of a recording.
func Fields() []connector.Field { return connector.Fields[Recording]() }

// Open reads a recording from disk.
func Open(file string, p *strictyaml.Problems) *Recording {
	data, err := strictyaml.ReadPath(file, strictyaml.MaxFile)
	if err != nil {
		p.Add(strictyaml.Pos{File: file}, "cannot be read: %s", err)
		return nil
	}
	return Read(filepath.ToSlash(file), data, os.DirFS(filepath.Dir(file)), p)
}

// Read reads a recording; dir is where the files of answers are.
func Read(file string, data []byte, dir fs.FS, p *strictyaml.Problems) *Recording {
	before := p.Len()
	docs := strictyaml.ParseWith(file, data, standIns{}, p)
	if len(docs) != 1 {
		if p.Len() == before {
			p.Add(strictyaml.Pos{File: file}, "a recording is a file with one document")
		}
		return nil
	}
	r := &Recording{file: file, dir: dir}
	if !(connector.Settings{Node: docs[0]}).Decode(r, p) {
		return nil
	}
	seen := map[string]bool{}
	for i, s := range r.Steps {
		at := docs[0].Get("steps").Items()[i]
		if seen[s.Name] {
			p.AddHint(at.Get("name").Pos(), "rename one of them", "name: there is a step %q already", s.Name)
		}
		seen[s.Name] = true
		var does []string
		for _, verb := range verbs {
			if at.Has(verb) {
				does = append(does, verb)
			}
		}
		if len(does) != 1 {
			p.AddHint(at.Pos(), "write one of "+strings.Join(verbs, ", "), "the step %q does %d things", s.Name, len(does))
			continue
		}
		for j, e := range s.Exchanges {
			e.left = e.Times
			here := at.Get("exchanges").Items()[j]
			if method, target, ok := strings.Cut(e.Ask, " "); !ok || method == "" || method != statementMethod && !strings.HasPrefix(target, "/") {
				p.AddHint(here.Get("ask").Pos(), "write for example GET /v1/orders", "ask: %q is no method and address", e.Ask)
			}
			if e.Times < 1 {
				p.AddHint(here.Get("times").Pos(), "write how often it is asked, or remove the exchange", "times: %d", e.Times)
			}
			if e.Status < 200 || e.Status > 599 {
				p.AddHint(here.Get("status").Pos(), "write a status from 200 to 599", "status: %d", e.Status)
			}
			if e.Answer != "" && e.AnswerFile != "" {
				p.AddHint(here.Get("answer-file").Pos(), "remove one of the two", "an exchange has one answer")
			}
		}
	}
	if p.Len() > before {
		return nil
	}
	return r
}

var verbs = []string{"create", "update", "delete", "find", "poll", "list", "probe", "receive"}

// answer gives what is answered.
func (r *Recording) answer(e *Exchange) (string, error) {
	if e.AnswerFile == "" {
		return e.Answer, nil
	}
	data, err := fs.ReadFile(r.dir, e.AnswerFile)
	if err != nil {
		return "", fmt.Errorf("%s: answer-file %s cannot be read: %w", r.file, e.AnswerFile, err)
	}
	return string(data), nil
}

// File is the name of its file.
func (r *Recording) File() string { return r.file }

// Asked names what the steps do, for tests that want all of it: "create customer".
func (r *Recording) Asked() []string {
	var out []string
	for _, s := range r.Steps {
		verb, object := s.does()
		if what := strings.TrimSpace(verb + " " + object); !slices.Contains(out, what) {
			out = append(out, what)
		}
	}
	return out
}

// Documents gives what was read of an object type, and what was written, as JSON.
func (r *Recording) Documents(object string) (read, written []string) {
	for _, s := range r.Steps {
		if verb, of := s.does(); of != object || verb == "probe" {
			continue
		}
		for _, rec := range s.Want.Records {
			if rec.Unreadable == "" && !rec.Deleted && rec.Doc != "" {
				read = append(read, rec.Doc)
			}
		}
		for _, w := range []*writeStep{s.Create, s.Update} {
			if w != nil && s.Want.Fault == nil {
				written = append(written, w.Doc)
			}
		}
	}
	return read, written
}

// does gives what a step does, and to which object type.
func (s *Step) does() (verb, object string) {
	switch {
	case s.Create != nil:
		return "create", s.Create.Object
	case s.Update != nil:
		return "update", s.Update.Object
	case s.Delete != nil:
		return "delete", s.Delete.Object
	case s.Find != nil:
		return "find", s.Find.Object
	case s.Poll != nil:
		return "poll", s.Poll.Object
	case s.List != nil:
		return "list", s.List.Object
	}
	if s.Receive != nil {
		return "receive", s.Receive.Object
	}
	return "probe", ""
}

// standIns answers for references: a recording needs no secrets.
type standIns struct{}

func (standIns) Env(name string) (string, bool) { return standIn(name), true }

// File gives for a .pem a key of its own, made each time, since what is signed must be signed by one.
func (standIns) File(path string) ([]byte, error) {
	if !strings.HasSuffix(path, ".pem") {
		return []byte(standIn(path)), nil
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

func standIn(name string) string {
	return "stand-in-for-" + strings.ToLower(strings.Trim(strings.NewReplacer("_", "-", "/", "-", ".", "-").Replace(name), "-"))
}

// Outcomes says of each step how it ended: its name, and the class of its failure or how many records were read.
func (r *Recording) Outcomes() []string {
	var out []string
	for _, s := range r.Steps {
		how := fmt.Sprintf("%d records", len(s.Want.Records))
		if s.Want.Fault != nil {
			how = s.Want.Fault.Kind
		}
		out = append(out, s.Name+": "+how)
	}
	return out
}
