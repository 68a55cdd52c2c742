package process

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the CPU times that Linux tells.
const tick = 10 * time.Millisecond

// stat gives the fields of a process behind its name, as proc(5) counts them from 3 on; nil where the machine does not tell.
func stat(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	s := string(b)
	return strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
}

func ticks(fields []string, numbers ...int) (d time.Duration) {
	for _, n := range numbers {
		if n-3 < len(fields) {
			v, _ := strconv.ParseInt(fields[n-3], 10, 64)
			d += time.Duration(v) * tick
		}
	}
	return d
}

// CPU is the user and system time of a process.
func CPU(pid int) time.Duration { return ticks(stat(pid), 14, 15) }

// FamilyCPU is that of a process, of its children and of those that have ended.
func FamilyCPU(pid int) time.Duration {
	if pid == 0 {
		return 0
	}
	sum := ticks(stat(pid), 14, 15, 16, 17)
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		child, _ := strconv.Atoi(filepath.Base(dir))
		if f := stat(child); len(f) > 1 && f[1] == strconv.Itoa(pid) {
			sum += ticks(f, 14, 15)
		}
	}
	return sum
}

// Peak is the largest resident memory that a running process has had.
func Peak(pid int) int64 {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10
		}
	}
	return 0
}

// Listener is the process that listens at a port of this machine; 0 where none is found.
func Listener(addr string) int {
	_, port, _ := strings.Cut(addr, ":")
	n, _ := strconv.Atoi(port)
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, _ := os.ReadFile(table)
		for row := range strings.Lines(string(b)) {
			f := strings.Fields(row)
			if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", n)) {
				sockets["socket:["+f[9]+"]"] = true
			}
		}
	}
	found := 0
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, file := range files {
		if to, err := os.Readlink(file); err == nil && sockets[to] {
			pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
			if found == 0 || pid < found { // a server before the children that have inherited its socket
				found = pid
			}
		}
	}
	return found
}
