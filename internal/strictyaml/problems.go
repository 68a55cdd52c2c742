package strictyaml

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Pos is a place in a file. Line and Col count from 1; Col counts characters, not bytes. A zero Line means the whole file.
type Pos struct {
	File      string
	Line, Col int
}

// String gives "file:line:col", or only the file when there is no line.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Col)
}

func (p Pos) compare(q Pos) int {
	return cmp.Or(strings.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Col, q.Col))
}

// Problem is one thing that is wrong in a file: what, and in Hint what to do about it. A note is no problem: what works, and may not be what
// whoever wrote the file wanted.
type Problem struct {
	Pos
	Message string
	Hint    string
}

// String gives "file:line:col: message (hint)".
func (p Problem) String() string {
	s := p.Message
	if at := p.Pos.String(); at != "" {
		s = at + ": " + s
	}
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// Problems collects what is wrong, and apart from it notes, which make no file wrong. A nil collector drops everything; the zero value is
// ready for use. It is not safe for concurrent use.
type Problems struct {
	list, notes []Problem
	// ignored are places of values that a stand-in was given for (see StandIn).
	ignored map[Pos]bool
}

// ignore makes that nothing is told of a place any more, nor counted.
func (p *Problems) ignore(pos Pos) {
	if p == nil {
		return
	}
	if p.ignored == nil {
		p.ignored = map[Pos]bool{}
	}
	p.ignored[pos] = true
}

// Add notes a problem at pos.
func (p *Problems) Add(pos Pos, format string, args ...any) { p.AddHint(pos, "", format, args...) }

// AddHint notes a problem at pos together with what to do about it. The same problem twice is noted once.
func (p *Problems) AddHint(pos Pos, hint, format string, args ...any) {
	if p == nil || p.ignored[pos] {
		return
	}
	p.list = once(p.list, Problem{pos, fmt.Sprintf(format, args...), hint})
}

// Note adds a note at pos together with what to do about it. The same note twice is kept once.
func (p *Problems) Note(pos Pos, hint, format string, args ...any) {
	if p == nil || p.ignored[pos] {
		return
	}
	p.notes = once(p.notes, Problem{pos, fmt.Sprintf(format, args...), hint})
}

func once(list []Problem, p Problem) []Problem {
	if slices.Contains(list, p) {
		return list
	}
	return append(list, p)
}

// Append adds every problem and every note of q.
func (p *Problems) Append(q *Problems) {
	for _, problem := range q.List() {
		p.AddHint(problem.Pos, problem.Hint, "%s", problem.Message)
	}
	for _, note := range q.Notes() {
		p.Note(note.Pos, note.Hint, "%s", note.Message)
	}
}

// List gives the problems by file, line and column; those of one place stay in the order in which they were found.
func (p *Problems) List() []Problem {
	if p == nil {
		return nil
	}
	return sorted(p.list)
}

// Notes gives the notes in the same order.
func (p *Problems) Notes() []Problem {
	if p == nil {
		return nil
	}
	return sorted(p.notes)
}

func sorted(list []Problem) []Problem {
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b Problem) int { return a.compare(b.Pos) })
	return out
}

// Len is the number of problems; notes do not count.
func (p *Problems) Len() int {
	if p == nil {
		return 0
	}
	return len(p.list)
}

// Err is nil when there are no problems, else an *Error.
func (p *Problems) Err() error {
	if p.Len() == 0 {
		return nil
	}
	return &Error{Problems: p.List()}
}

// Error holds one or more problems.
type Error struct{ Problems []Problem }

// Error gives one line for every problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}
