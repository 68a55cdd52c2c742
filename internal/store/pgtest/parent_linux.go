package pgtest

import "syscall"

// dieWithParent ends the server when the test program ends without stopping it: killed, or in a panic.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGINT }
