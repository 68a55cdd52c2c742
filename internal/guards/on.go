//go:build !benchbare

// Package guards tells whether the hub's guards are built in: the inbox, the intents of calls, the version guard and the echo guard. They always are, but in a
// build for the bench alone (tag benchbare), which shows what they cost. Such a build loses and doubles messages; it says so when it starts.
package guards

// Off: the guards are left out.
const Off = false
