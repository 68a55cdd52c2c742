package childtest

import "syscall"

// dieWithParent has the server end when the test is killed.
func dieWithParent(a *syscall.SysProcAttr, end syscall.Signal) { a.Pdeathsig = end }
