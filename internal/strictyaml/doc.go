// Package strictyaml reads the YAML that people write for the hub: strictly, with the true line and column of everything,
// and with every problem reported at once.
//
// It reads a deliberately small YAML. Scalars are text and are typed only by what they are decoded into, so that a code
// such as 00123 stays a code. Duplicate keys, tags, anchors, aliases and merge keys are problems. Where YAML's own rules
// are known to surprise, the problem carries a hint that says what was read and what to write instead.
package strictyaml
