// Package disktest gives tests a disk that is small, full or read-only, where the machine allows it.
package disktest
