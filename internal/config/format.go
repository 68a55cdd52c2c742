package config

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// FormatText gives a line for every problem, and a last one that counts them; nothing when there is none.
func FormatText(p *strictyaml.Problems) string {
	if p.Len() == 0 {
		return ""
	}
	var b strings.Builder
	files := map[string]bool{}
	for _, problem := range p.List() {
		fmt.Fprintln(&b, problem)
		files[problem.File] = true
	}
	fmt.Fprintf(&b, "%s in %s\n", count(p.Len(), "problem"), count(len(files), "file"))
	return b.String()
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// FormatJSON gives a list of {file, line, column, message, hint}; an empty list when there is no problem.
func FormatJSON(p *strictyaml.Problems) string {
	type problem struct {
		File    string `json:"file"`
		Line    int    `json:"line,omitempty"`
		Column  int    `json:"column,omitempty"`
		Message string `json:"message"`
		Hint    string `json:"hint,omitempty"`
	}
	list := []problem{}
	for _, x := range p.List() {
		list = append(list, problem{x.File, x.Line, x.Col, x.Message, x.Hint})
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(list) // texts and numbers never fail
	return b.String()
}

// FormatGitHub gives workflow commands, which show every problem at its line in a pull request.
func FormatGitHub(p *strictyaml.Problems) string {
	text := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var b strings.Builder
	for _, x := range p.List() {
		at := "file=" + property.Replace(x.File)
		if x.Line > 0 {
			at += fmt.Sprintf(",line=%d,col=%d", x.Line, x.Col)
		}
		message := x.Message
		if x.Hint != "" {
			message += " (" + x.Hint + ")"
		}
		fmt.Fprintf(&b, "::error %s::%s\n", at, text.Replace(message))
	}
	return b.String()
}
