package config

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// FormatText gives a line for every problem, and one that counts them, and then a line for every note; nothing when there is none.
func FormatText(p *strictyaml.Problems) string {
	var b strings.Builder
	for _, note := range p.Notes() {
		note.Message = "note: " + note.Message
		fmt.Fprintln(&b, note)
	}
	if p.Len() == 0 {
		return b.String()
	}
	notes := b.String()
	b.Reset()
	files := map[string]bool{}
	for _, problem := range p.List() {
		fmt.Fprintln(&b, problem)
		files[problem.File] = true
	}
	fmt.Fprintf(&b, "%s in %s\n", count(p.Len(), "problem"), count(len(files), "file"))
	return b.String() + notes
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// FormatJSON gives a list of {level, file, line, column, message, hint}, the problems before the notes; an empty list when there is neither.
// The level is problem or note.
func FormatJSON(p *strictyaml.Problems) string {
	type problem struct {
		Level   string `json:"level"`
		File    string `json:"file"`
		Line    int    `json:"line,omitempty"`
		Column  int    `json:"column,omitempty"`
		Message string `json:"message"`
		Hint    string `json:"hint,omitempty"`
	}
	list := []problem{}
	for _, x := range p.List() {
		list = append(list, problem{"problem", x.File, x.Line, x.Col, x.Message, x.Hint})
	}
	for _, x := range p.Notes() {
		list = append(list, problem{"note", x.File, x.Line, x.Col, x.Message, x.Hint})
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(list) // texts and numbers never fail
	return b.String()
}

// FormatGitHub gives workflow commands, which show every problem and note at its line in a pull request.
func FormatGitHub(p *strictyaml.Problems) string {
	text := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var b strings.Builder
	say := func(command string, list []strictyaml.Problem) {
		for _, x := range list {
			at := "file=" + property.Replace(x.File)
			if x.Line > 0 {
				at += fmt.Sprintf(",line=%d,col=%d", x.Line, x.Col)
			}
			message := x.Message
			if x.Hint != "" {
				message += " (" + x.Hint + ")"
			}
			fmt.Fprintf(&b, "::%s %s::%s\n", command, at, text.Replace(message))
		}
	}
	say("error", p.List())
	say("notice", p.Notes())
	return b.String()
}
