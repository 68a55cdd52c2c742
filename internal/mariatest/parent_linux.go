package mariatest

import "syscall"

// dieWithParent ends the server when the test program ends without stopping it: killed, or in a panic.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGTERM }
