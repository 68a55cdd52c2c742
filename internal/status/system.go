package status

import "time"

// SystemFacts is what a system is judged by.
type SystemFacts struct {
	Name      string
	Connector string // its kind
	// Down: nothing is tried there until its probe answers. Since is when that began, Cause why.
	Down  bool
	Since time.Time
	Cause string
}

var systemRules = []func(*SystemFacts) (Verdict, bool){down}

// Judge says whether the system is up.
func (s *SystemFacts) Judge() Verdict { return first(systemRules, s, Up) }

func down(s *SystemFacts) (Verdict, bool) { return Verdict{Down, s.Cause}, s.Down }
