// Package soak proves, from outside the hub, that nothing is lost, doubled or reordered while things break. It holds tests
// only: senders that remember every promise they got, targets in processes of their own that log every call and hold the
// objects, a checker that compares the two once all is quiet, and the matrix of faults.
//
// `go test ./internal/soak` runs a short form of every fault, `make soak FOR=1h` the long one, which writes the table of
// docs/reliability.md.
package soak
