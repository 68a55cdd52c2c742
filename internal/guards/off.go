//go:build benchbare

package guards

// Off: the guards are left out.
const Off = true
