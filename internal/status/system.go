package status

import "time"

// SystemFacts is what a system is judged by, in each direction.
type SystemFacts struct {
	Name      string
	Connector string // its kind
	Write     Direction
	Read      Direction
	// CallTime is how long the newest calls to it took, on average; 0 where none was made lately.
	CallTime time.Duration
}

// Direction is how a system does where it is written to, or read.
type Direction struct {
	// Failing: the last call or read failed. Since is when the first one did after the last success, Cause the newest failure.
	Failing bool
	Since   time.Time
	Cause   string
	// Lasts: nothing was taken for ten seconds of that.
	Lasts bool
	// Down: its probe fails besides. Refused: it refuses the hub's credentials. In both cases nothing is tried but now and then.
	Down, Refused bool
}

var systemRules = []func(*SystemFacts) (Verdict, bool){down, refused, failing}

// Judge says whether the system is up; the worse of the two directions counts.
func (s *SystemFacts) Judge() Verdict { return first(systemRules, s, Up) }

// Worst is the direction that the verdict is about.
func (s *SystemFacts) Worst() *Direction {
	for _, is := range []func(*Direction) bool{func(d *Direction) bool { return d.Down }, func(d *Direction) bool { return d.Refused }, func(d *Direction) bool { return d.Failing }} {
		for _, d := range []*Direction{&s.Write, &s.Read} {
			if is(d) {
				return d
			}
		}
	}
	return &s.Write
}

func down(s *SystemFacts) (Verdict, bool)    { d := s.Worst(); return d.Judge(), d.Down }
func refused(s *SystemFacts) (Verdict, bool) { d := s.Worst(); return d.Judge(), d.Refused }
func failing(s *SystemFacts) (Verdict, bool) { d := s.Worst(); return d.Judge(), d.Failing }

var directionRules = []func(*Direction) (Verdict, bool){
	func(d *Direction) (Verdict, bool) { return Verdict{Down, d.text("down")}, d.Down },
	func(d *Direction) (Verdict, bool) {
		return Verdict{Failing, d.text("refuses the hub's credentials")}, d.Refused
	},
	func(d *Direction) (Verdict, bool) { return Verdict{Failing, d.text("failing")}, d.Failing },
}

// Judge says how the system does in this direction.
func (d *Direction) Judge() Verdict { return first(directionRules, d, Up) }

func (d *Direction) text(what string) string {
	text := what + " since " + d.Since.UTC().Format(time.RFC3339)
	if d.Cause != "" {
		text += ": " + d.Cause
	}
	return text
}

// Stops reports whether nothing is delivered in this direction, and says why. A paused flow asks nothing of its target: what is known of one that
// answers its probe may be over by now, and what waits goes on when somebody resumes the flow.
func (d *Direction) Stops(name string, paused bool) (why string, stops bool) {
	back, corrected := "and what waits goes on by itself when it is back", "correct them, and what waits goes on by itself"
	if paused {
		back, corrected = "and what waits goes on once it is back and the flow is resumed", "correct them, and what waits goes on once the flow is resumed"
	}
	switch {
	case d.Down:
		return name + " is " + d.text("down") + "; nothing is parked for it, " + back, true
	case d.Refused:
		return name + " " + d.text("refuses the hub's credentials") + "; nothing is parked for it: " + corrected, true
	case d.Failing && d.Lasts && !paused:
		return name + " answers its probe, and has taken nothing meanwhile: " + d.text("failing"), true
	}
	return "", false
}
