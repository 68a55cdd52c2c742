// Package mapping is the hub's mapping language: pure functions from document to document, written in YAML, and the
// expressions of flows.
//
// A mapping is checked once, at load, against the schemas of its source and its target, and compiled. Every expression is
// parsed by the expression library and then walked once: the walk infers what the expression can be, reports what is wrong
// at its place in the file, and produces two forms of it. The direct form works on the parsed document (package jsondoc) and
// copies bytes; it exists for everything but predicates over lists and `let`. What has no direct form runs on the
// expression library's machine, with each operator, literal, field access and function call rewritten to a call of this
// package, so that numbers are exact decimals and absent fields are absent there too. Both forms call the same functions.
//
// A mapping has no clock, no randomness and no environment: the same input gives the same bytes. Expressions of business rules may be about several
// documents, and may ask for the moment at which their run began.
package mapping
